//! What guests can reach of the world, and what the host does before it lets them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_plugin_host::{
    BoxFuture, CallError, Grants, HttpRequest, HttpResponse, Level, Plugin, Powers, Setup, Verdict,
};

use crate::guest::Guest;
use crate::{HOST, check, check_as, host, limits, load_with, run, subject};

/// Writes down what it is asked for. HTTP answers after a moment, or never.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<String>>,
    threads: Mutex<Vec<Option<String>>>,
    never: bool,
    dropped: Arc<AtomicUsize>,
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder {
    fn note(&self, what: String) {
        self.seen.lock().unwrap().push(what);
        self.threads.lock().unwrap().push(std::thread::current().name().map(str::to_owned));
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Powers for Recorder {
    fn http(
        &self,
        plugin: &str,
        tenant: &str,
        request: HttpRequest,
    ) -> BoxFuture<'static, Result<HttpResponse, String>> {
        self.note(format!("http {plugin} {tenant} {} {}", request.url, request.timeout_ms));
        let (never, guard) = (self.never, CountDrop(Arc::clone(&self.dropped)));
        Box::pin(async move {
            // A timer of the host's own runtime: the caller's has none.
            tokio::time::sleep(Duration::from_millis(1)).await;
            if never {
                std::future::pending::<()>().await;
            }
            drop(guard);
            Ok(HttpResponse { status: 204, headers: Vec::new(), body: Vec::new() })
        })
    }

    fn kv_get(&self, p: &str, t: &str, key: &str) -> BoxFuture<'static, Result<Option<Vec<u8>>, String>> {
        self.note(format!("get {p} {t} {key}"));
        Box::pin(std::future::ready(Ok(Some(b"value".to_vec()))))
    }

    fn kv_set(
        &self,
        p: &str,
        t: &str,
        key: &str,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> BoxFuture<'static, Result<(), String>> {
        self.note(format!("set {p} {t} {key} {} {ttl_ms}", value.len()));
        Box::pin(std::future::ready(Ok(())))
    }

    fn kv_delete(&self, p: &str, t: &str, key: &str) -> BoxFuture<'static, Result<(), String>> {
        self.note(format!("delete {p} {t} {key}"));
        Box::pin(std::future::ready(Ok(())))
    }

    fn complete(&self, _: &str, _: &str, request: String) -> BoxFuture<'static, Result<String, String>> {
        self.note(format!("complete {request}"));
        Box::pin(std::future::ready(Ok("{}".to_owned())))
    }

    fn embed(
        &self,
        _: &str,
        _: &str,
        model: String,
        texts: Vec<String>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f32>>, String>> {
        self.note(format!("embed {model} {}", texts.len()));
        Box::pin(std::future::ready(Ok(vec![vec![0.5]; texts.len()])))
    }

    fn log(&self, plugin: &str, level: Level, message: &str) {
        self.note(format!("log {plugin} {level:?} {}", message.len()));
    }
}

/// Sends a GET to a URL and passes if the host answers ok.
fn sends(url: &str) -> Guest {
    let mut guest =
        Guest::checks("").importing("http", "send", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)");
    guest.manifest.wants = vec!["http".to_owned()];
    let method = guest.put(b"GET");
    let address = guest.put(url.as_bytes());
    let url_length = url.len();
    // The result's case is its first byte. An error becomes an answer that is no address.
    guest.check = Some(format!(
        "(call $send (i32.const {method}) (i32.const 3) (i32.const {address}) (i32.const {url_length}) \
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)) \
         (if (i32.load8_u (i32.const 512)) (then (unreachable))) (i32.const 0)"
    ));
    guest
}

fn granting_http(powers: &Arc<Recorder>) -> Setup {
    let grants = Grants { http: vec!["api.test".to_owned()], ..Grants::default() };
    Setup { grants, powers: Arc::clone(powers) as Arc<dyn Powers>, ..Setup::default() }
}

fn sender(url: &str, powers: &Arc<Recorder>, setup: impl FnOnce(&mut Setup)) -> Arc<Plugin> {
    let mut granted = granting_http(powers);
    setup(&mut granted);
    HOST.load(&sends(url).build(), granted).unwrap()
}

#[test]
fn http_reaches_granted_hosts_from_a_background_thread() {
    let powers = Arc::new(Recorder::default());
    let plugin = sender("https://api.test/v1", &powers, |_| {});
    assert!(run(check_as(&plugin, "acme", "text")).is_ok());
    assert_eq!(powers.seen(), ["http guest acme https://api.test/v1 2000"]);
    assert_eq!(*powers.threads.lock().unwrap(), [Some("plugin-guest".to_owned())]);
}

#[test]
fn http_to_other_hosts_is_refused_before_anybody_is_asked() {
    let powers = Arc::new(Recorder::default());
    let plugin = sender("https://other.test/", &powers, |_| {});
    assert!(run(check(&plugin, "text")).is_err());
    assert_eq!(powers.seen(), [""; 0]);
}

#[test]
fn waiting_for_the_world_ends_at_the_total_deadline_and_drops_the_request() {
    let powers = Arc::new(Recorder { never: true, ..Recorder::default() });
    let plugin = sender("https://api.test/", &powers, |setup| setup.limits.total_ms = 50);
    assert_eq!(run(check(&plugin, "text")), Err(CallError::Deadline));
    assert_eq!(powers.dropped.load(Ordering::SeqCst), 1);
    let timeout: u32 = powers.seen()[0].split(' ').next_back().unwrap().parse().unwrap();
    assert!((1..=50).contains(&timeout), "{timeout}");
}

#[test]
fn waiting_for_the_world_is_not_the_guests_own_time() {
    let powers = Arc::new(Recorder::default());
    let mut guest = sends("https://api.test/");
    // Twenty requests of a millisecond each, with five of its own.
    guest.check = guest.check.map(|check| {
        let again = check.strip_suffix("(i32.const 0)").unwrap().to_owned();
        format!("{} (i32.const 0)", again.repeat(20))
    });
    let mut setup = granting_http(&powers);
    setup.limits.deadline_ms = 15;
    let plugin = load_with(guest, setup);
    assert!(run(check(&plugin, "text")).is_ok());
    assert_eq!(powers.seen().len(), 20);
}

#[test]
fn stores_and_models_are_asked_with_plugin_and_tenant() {
    let powers = Arc::new(Recorder::default());
    let mut guest = Guest::checks("")
        .importing("kv", "get", "(param i32 i32 i32)")
        .importing("kv", "set", "(param i32 i32 i32 i32 i64 i32)")
        .importing("kv", "delete", "(param i32 i32 i32)")
        .importing("models", "complete", "(param i32 i32 i32)")
        .importing("models", "embed", "(param i32 i32 i32 i32 i32)")
        .importing("host", "log", "(param i32 i32 i32)");
    guest.manifest.wants = vec!["kv".to_owned(), "models".to_owned()];
    let key = guest.put(b"key");
    let key = format!("(i32.const {key}) (i32.const 3)");
    guest.check = Some(format!(
        "(call $get {key} (i32.const 512)) (call $set {key} {key} (i64.const 7) (i32.const 512)) \
         (call $delete {key} (i32.const 512)) (call $complete {key} (i32.const 512)) \
         (call $embed {key} (i32.const 0) (i32.const 0) (i32.const 512)) \
         (call $log (i32.const 2) (i32.const 65536) (i32.const 60000)) (i32.const 0)"
    ));
    let grants = Grants { kv: true, models: true, ..Grants::default() };
    let setup = Setup { grants, powers: Arc::clone(&powers) as Arc<dyn Powers>, ..Setup::default() };
    let plugin = load_with(guest, setup);
    assert!(run(check_as(&plugin, "acme", "text")).is_ok());
    assert_eq!(
        powers.seen(),
        [
            "get guest acme key",
            "set guest acme key 3 7",
            "delete guest acme key",
            "complete key",
            "embed key 0",
            "log guest Level::Warn 4096",
        ]
    );
}

#[test]
fn log_lines_beyond_some_are_left_out() {
    let powers = Arc::new(Recorder::default());
    let mut guest = Guest::checks("").importing("host", "log", "(param i32 i32 i32)");
    guest.check = Some(format!(
        "{} (i32.const 0)",
        "(call $log (i32.const 0) (i32.const 0) (i32.const 1))".repeat(100)
    ));
    let setup = Setup { powers: Arc::clone(&powers) as Arc<dyn Powers>, ..Setup::default() };
    let plugin = load_with(guest, setup);
    run(async {
        assert!(check(&plugin, "text").await.is_ok());
        assert_eq!(powers.seen().len(), 32);
        assert!(check(&plugin, "text").await.is_ok());
        assert_eq!(powers.seen().len(), 64);
    });
}

#[test]
fn nothing_is_lent_while_a_plugin_is_described() {
    let powers = Arc::new(Recorder::default());
    let mut guest = sends("https://api.test/");
    let check = guest.check.clone().unwrap();
    guest.describe = Some(check);
    let error = HOST.load(&guest.build(), granting_http(&powers)).unwrap_err();
    assert!(error.to_string().contains("describe"), "{error}");
    assert_eq!(powers.seen(), [""; 0]);
}

#[test]
fn a_guest_reads_its_config_and_counts() {
    let mut guest = Guest::checks("")
        .importing("host", "config", "(param i32 i32 i32)")
        .importing("host", "count", "(param i32 i32 i64)")
        .importing("host", "random", "(param i32 i32)");
    let name = guest.put(b"word");
    let reason = guest.text("");
    let answer = guest.judgement(3, &[reason.clone(), reason].concat(), None);
    // The option's text, at 516, becomes the code of a failure.
    guest.check = Some(format!(
        "(call $config (i32.const {name}) (i32.const 4) (i32.const 512)) \
         (call $count (i32.const {name}) (i32.const 4) (i64.const 3)) \
         (i64.store offset=8 (i32.const {answer}) (i64.load (i32.const 516))) \
         (call $random (i32.const 5000) (i32.const 512)) \
         (if (i32.ne (i32.load (i32.const 516)) (i32.const 1024)) (then (unreachable))) (i32.const {answer})"
    ));
    let config = [("word".to_owned(), "secret".to_owned())].into();
    let plugin = load_with(guest, Setup { config, ..Setup::default() });
    let verdict = run(check(&plugin, "text")).unwrap().verdict;
    assert!(matches!(&verdict, Verdict::Fail(reason) if reason.code == "secret"), "{verdict:?}");
    assert_eq!(plugin.statistics().counters.get("word"), Some(&3));
}

#[test]
fn what_is_not_wanted_is_not_seen() {
    // The guest traps if it gets messages.
    let body = "(if (i32.load offset=52 (local.get $args)) (then (unreachable))) (i32.const 0)";
    let mut subject = subject(&["text"]);
    subject.call.messages.push(tidegate_plugin_host::Message {
        role: "user".to_owned(),
        text: Some("text".to_owned()),
        tool_calls: Vec::new(),
        tool_call_id: None,
        parts_json: None,
        extra: Vec::new(),
    });
    let blind = load_with(Guest::checks(body), Setup::default());
    assert!(run(blind.check("t", "check", "{}", subject.clone(), None)).is_ok());
    let mut sees = Guest::checks(body);
    sees.manifest.wants = vec!["messages".to_owned()];
    let sees = load_with(sees, Setup::default());
    assert!(run(sees.check("t", "check", "{}", subject.clone(), None)).is_err());
    // A check may see less than its plugin.
    for (words, is_shown) in [("", false), ("metadata", false), ("metadata messages", true)] {
        let mut narrow = Guest::checks(body);
        narrow.manifest.wants = vec!["messages".to_owned(), "metadata".to_owned()];
        narrow.manifest.checks[0].extra.push(("sees".to_owned(), words.to_owned()));
        let narrow = load_with(narrow, Setup::default());
        assert_eq!(
            run(narrow.check("t", "check", "{}", subject.clone(), None)).is_err(),
            is_shown,
            "{words}"
        );
        assert_eq!(narrow.seen_by("check").map(|seen| seen.allows("messages")), Some(is_shown));
    }
}

#[test]
fn dropping_a_call_drops_what_it_asked_of_the_world() {
    use std::future::Future;

    let powers = Arc::new(Recorder { never: true, ..Recorder::default() });
    let mut setup = granting_http(&powers);
    setup.limits = limits(|limits| limits.total_ms = 600_000).limits;
    let plugin = host(2).load(&sends("https://api.test/").build(), setup).unwrap();
    let mut call = Box::pin(check(&plugin, "text"));
    assert!(call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    while powers.seen().is_empty() {
        std::thread::yield_now();
    }
    drop(call);
    let start = std::time::Instant::now();
    while powers.dropped.load(Ordering::SeqCst) == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the request still waits");
        std::thread::yield_now();
    }
}
