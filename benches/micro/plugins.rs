//! What does a guard cost? Calls of plugins in their sandbox against a guard that lets everything pass.

#[allow(dead_code, reason = "the host's tests need more of it")]
#[path = "../../plugins/host/tests/suite/guest.rs"]
mod guest;
mod table;

use std::hint::black_box;
use std::sync::Arc;

use tidegate_plugin_host::{
    CallView, Hook, Host, HostOptions, Piece, Plugin, Setup, StreamWindow, Subject, Terms,
};
use tokio::runtime::Runtime;

use crate::table::{Group, Table};

const DEFAULT: &[u8] = include_bytes!("../../plugins/default/default.wasm");
const PII: &[u8] = include_bytes!("../../plugins/pii/pii.wasm");
const RULE: &str = r#"{"rule": "\\b[A-Z]{3}-\\d{4}\\b", "not": true}"#;

/// Plugins and the thread that calls them.
struct Bench {
    runtime: Runtime,
    pass: Arc<Plugin>,
    default: Arc<Plugin>,
    pii: Arc<Plugin>,
}

impl Bench {
    fn new() -> Self {
        let host = Host::start(HostOptions::default()).expect("a host");
        let load = |bytes: &[u8]| host.load(bytes, Setup::default()).expect("a plugin");
        let pass = guest::Guest::passes().with_window("(i32.const 0)").build();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
            pass: load(&pass),
            default: load(DEFAULT),
            pii: load(PII),
        }
    }

    fn check(
        &self,
        group: &mut Group<'_>,
        name: &'static str,
        call: (&Arc<Plugin>, &str, &str),
        bytes: usize,
        reuse: bool,
    ) {
        let (plugin, check, params) = call;
        let terms = Terms { reuse: Some(reuse), limits: None };
        let (subject, tenant) = (Arc::new(subject(bytes)), Arc::<str>::from("tenant"));
        let (check, params) = (Arc::<str>::from(check), Arc::<str>::from(params));
        group.bench(name, |b| {
            b.iter(|| {
                let asked = plugin.check(
                    tenant.clone(),
                    check.clone(),
                    params.clone(),
                    black_box(subject.clone()),
                    Some(&terms),
                );
                self.runtime.block_on(asked).expect("a verdict")
            });
        });
    }
}

fn subject(bytes: usize) -> Subject {
    let text = "All quiet at the harbour, boat 7 came in late. ".repeat(bytes / 47 + 1);
    let text = text.get(..bytes).unwrap_or_default().to_owned();
    Subject {
        hook: Hook::Input,
        call: CallView {
            endpoint: "/v1/chat/completions".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            provider: Some("openai".to_owned()),
            messages: Vec::new(),
            params_json: None,
            metadata: Vec::new(),
            user: None,
            stream: false,
            extra: Vec::new(),
        },
        pieces: vec![Piece { kind: "text".to_owned(), role: "user".to_owned(), index: 0, text }],
        body_json: None,
        extra: Vec::new(),
    }
}

fn main() {
    let bench = Bench::new();
    let pass = (&bench.pass, "check", "{}");
    let mut table = Table::new();
    let regex = (&bench.default, "regexMatch", RULE);
    let pii = (&bench.pii, "redact", "{}");
    table.group("a call, new instance each time", 1, |group| {
        bench.check(group, "lets all pass, 16 bytes", pass, 16, false);
        bench.check(group, "lets all pass, 1 KB", pass, 1 << 10, false);
        bench.check(group, "lets all pass, 32 KB", pass, 32 << 10, false);
        bench.check(group, "regex, 1 KB", regex, 1 << 10, false);
        bench.check(group, "regex, 32 KB", regex, 32 << 10, false);
        bench.check(group, "pii, 1 KB", pii, 1 << 10, false);
        bench.check(group, "pii, 32 KB", pii, 32 << 10, false);
    });
    // The difference to the same calls above is what an instance costs from start to drop.
    table.group("a call, instance used again", 1, |group| {
        bench.check(group, "lets all pass, 16 bytes", pass, 16, true);
        bench.check(group, "lets all pass, 1 KB", pass, 1 << 10, true);
        bench.check(group, "lets all pass, 32 KB", pass, 32 << 10, true);
        bench.check(group, "regex, 1 KB", regex, 1 << 10, true);
        bench.check(group, "regex, 32 KB", regex, 32 << 10, true);
        bench.check(group, "pii, 1 KB", pii, 1 << 10, true);
        bench.check(group, "pii, 32 KB", pii, 32 << 10, true);
    });
    table.group("a window of a stream, 256 bytes", 1, |group| {
        for (name, plugin, check) in [("lets all pass", &bench.pass, "check"), ("pii", &bench.pii, "redact")]
        {
            let window = Arc::new(StreamWindow {
                text: "All quiet at the harbour. ".repeat(10).get(..256).unwrap_or_default().to_owned(),
                overlap: 64,
                last: false,
                kind: "text".to_owned(),
                index: 0,
                state: Vec::new(),
            });
            group.bench(name, |b| {
                b.iter(|| {
                    let asked = plugin.window("tenant", check, "{}", black_box(window.clone()), None);
                    bench.runtime.block_on(asked).expect("a verdict")
                });
            });
        }
    });
    table.print();
}
