//! Prints what a call of a plugin costs: `cargo run --release -p tidegate-plugin-host --example latency`.
//!
//! The guest is a guard that lets everything pass, so all of it is the host's: a new instance, the arguments lowered
//! into it, the call, the answer, and the instance's end.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement reports by panicking")]
#![expect(clippy::print_stdout, reason = "prints what it measured")]

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/suite/guest.rs"]
mod guest;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_plugin_host::{
    CallView, Hook, Host, HostOptions, Instances, Piece, Plugin, Setup, StreamWindow, Subject,
};

const CALLS: usize = 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let host = Host::start(HostOptions::default()).unwrap();
    let bytes = guest::Guest::passes().with_window("(i32.const 0)").build();

    let start = Instant::now();
    let fresh = host.load(&bytes, Setup::default()).unwrap();
    println!("load (compile, describe): {:?}", start.elapsed());
    let instances = Instances::Reuse { calls: 1_000, idle: 4 };
    let reused = host.load(&bytes, Setup { instances, ..Setup::default() }).unwrap();

    for (name, plugin) in [("fresh", &fresh), ("reused", &reused)] {
        for bytes in [0, 1 << 10, 32 << 10] {
            let subject = subject(bytes);
            let durations = runtime.block_on(async {
                let mut durations = Vec::with_capacity(CALLS);
                for _ in 0..CALLS {
                    let start = Instant::now();
                    plugin.check("tenant", "check", "{}", &subject, None).await.unwrap();
                    durations.push(start.elapsed());
                }
                durations
            });
            print(&format!("{name} instance, check of {bytes} bytes"), durations);
        }
        print(&format!("{name} instance, window of 256 bytes"), runtime.block_on(windows(plugin)));
    }
}

async fn windows(plugin: &Arc<Plugin>) -> Vec<Duration> {
    let window = StreamWindow {
        text: "a".repeat(256),
        overlap: 64,
        last: false,
        kind: "text".to_owned(),
        index: 0,
        state: Vec::new(),
    };
    let mut durations = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let start = Instant::now();
        plugin.window("tenant", "check", "{}", &window, None).await.unwrap();
        durations.push(start.elapsed());
    }
    durations
}

fn print(what: &str, mut durations: Vec<Duration>) {
    durations.sort_unstable();
    let at = |percent: usize| durations.get(CALLS * percent / 100).copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
}

fn subject(bytes: usize) -> Subject {
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
        pieces: vec![Piece {
            kind: "text".to_owned(),
            role: "user".to_owned(),
            index: 0,
            text: "a".repeat(bytes),
        }],
        body_json: None,
        extra: Vec::new(),
    }
}
