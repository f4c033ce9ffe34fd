//! A Redis that two gateways share, that dies, hangs, and comes back.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_tests::{Client, Gateway, Mock, wait};

use super::{ask, ask_text, simple, status};
use crate::support::{KEY, chat, chat_stream, providers};

/// A Redis of its own.
struct Redis {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        // Nobody else gets the port between here and there: the system hands ports out in turn.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let folder = TempDir::new().expect("a folder");
        let child = serve(port, &folder);
        Self { port, folder, child }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/1", self.port)
    }

    fn kill(&mut self) {
        self.child.kill().expect("redis-server lives");
        self.child.wait().expect("an end");
    }

    fn restart(&mut self) {
        self.child = serve(self.port, &self.folder);
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "-n", "1"])
            .args(arguments)
            .output();
        String::from_utf8(output.expect("redis-cli runs").stdout).expect("text").trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(port: u16, folder: &TempDir) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is needed: tests/run installs it")
}

async fn gateway(redis: &Redis, mock: &Mock) -> (Gateway, Client) {
    let settings = providers(mock).top(&format!("shared = \"{}\"", redis.url())).key("tests", KEY, "");
    let gateway = Gateway::start(settings).await;
    until_up(&gateway, true).await;
    let client = gateway.with_key(KEY);
    (gateway, client)
}

async fn until_up(gateway: &Gateway, up: bool) {
    wait::until_async("the shared cache to be as it should", || async {
        (gateway.state().await["cache"]["shared"]["up"] == up).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_gateways_share_answers_and_streams() {
    let (redis, mock) = (Redis::start(), Mock::start());
    let (_one, first) = gateway(&redis, &mock).await;
    let (two, second) = gateway(&redis, &mock).await;
    let (found, made) = ask_text(&first, "shared whole").await;
    assert_eq!(found, "MISS");
    assert_eq!(ask_text(&second, "shared whole").await, ("HIT".to_owned(), made));
    let body = chat_stream("@openai-prod/mock", "[[chunks=20]] shared stream");
    let mut texts = Vec::new();
    for (client, wanted) in [(&first, "MISS"), (&second, "HIT"), (&first, "HIT")] {
        let mut answer = ask(client, &body).await;
        assert_eq!(status(&answer), wanted);
        texts.push(answer.text().await);
    }
    assert!(texts[0] == texts[1] && texts[1] == texts[2], "{texts:?}");
    // A refresh by one is seen by the other.
    let request = first.chat(&chat("@openai-prod/mock", "shared whole")).header("x-portkey-config", simple());
    let mut refreshed = request.header("x-portkey-cache-force-refresh", "true").send().await;
    assert_eq!(status(&refreshed), "REFRESH");
    assert_eq!(ask_text(&second, "shared whole").await, ("HIT".to_owned(), refreshed.text().await));
    // Entries end by themselves, and their names say whose they are.
    let keys: Vec<String> = redis.cli(&["--scan"]).lines().map(str::to_owned).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        let ttl: u64 = redis.cli(&["TTL", key]).parse().expect("seconds");
        assert!((604_700..=604_800).contains(&ttl), "{ttl}");
        assert!(key.starts_with("tidegate:cache:"), "{key}");
    }
    assert_eq!(two.state().await["cache"]["entries"], 0, "memory is not used beside it");
    let purged = two.admin().request("DELETE", "/v1/admin/cache").send().await.expect(200).await;
    assert_eq!(purged["purged"], 2, "{purged}");
    assert_eq!(ask_text(&first, "shared whole").await.0, "MISS");
}

#[tokio::test]
async fn two_keys_never_share_in_redis_either() {
    const OTHER: &str = "tg-another-key-of-the-tests-9876543210";
    let (redis, mock) = (Redis::start(), Mock::start());
    let settings = providers(&mock).top(&format!("shared = \"{}\"", redis.url()));
    let gateway = Gateway::start(settings.key("tests", KEY, "").key("others", OTHER, "")).await;
    until_up(&gateway, true).await;
    assert_eq!(ask_text(&gateway.with_key(KEY), "mine").await.0, "MISS");
    assert_eq!(ask_text(&gateway.with_key(OTHER), "mine").await.0, "MISS");
    assert_eq!(ask_text(&gateway.with_key(KEY), "mine").await.0, "HIT");
}

#[tokio::test]
async fn a_redis_that_dies_is_a_miss_and_is_found_again() {
    let (mut redis, mock) = (Redis::start(), Mock::start());
    let (gateway, client) = gateway(&redis, &mock).await;
    assert_eq!(ask_text(&client, "before").await.0, "MISS");
    assert_eq!(ask_text(&client, "before").await.0, "HIT");
    redis.kill();
    for number in 0..20 {
        let started = Instant::now();
        assert_eq!(ask_text(&client, &format!("meanwhile {number}")).await.0, "MISS");
        assert_eq!(ask_text(&client, "before").await.0, "MISS");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    until_up(&gateway, false).await;
    redis.restart();
    until_up(&gateway, true).await;
    assert_eq!(ask_text(&client, "before").await.0, "MISS", "it comes back empty");
    assert_eq!(ask_text(&client, "before").await.0, "HIT");
    let output = gateway.output();
    assert!(output.contains("the shared cache is lost"), "{output}");
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let (redis, mock) = (Redis::start(), Mock::start());
    let (gateway, client) = gateway(&redis, &mock).await;
    assert_eq!(ask_text(&client, "kept").await.0, "MISS");
    redis.signal("-STOP");
    let started = Instant::now();
    assert_eq!(ask_text(&client, "kept").await.0, "MISS");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    until_up(&gateway, false).await;
    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(ask_text(&client, "kept").await.0, "MISS");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "nobody waits any more: {:?}", started.elapsed());
    redis.signal("-CONT");
    until_up(&gateway, true).await;
    assert_eq!(ask_text(&client, "kept").await.0, "HIT");
}

#[tokio::test]
async fn a_value_that_is_no_entry_is_a_miss() {
    let (redis, mock) = (Redis::start(), Mock::start());
    let (_gateway, client) = gateway(&redis, &mock).await;
    assert_eq!(ask_text(&client, "one").await.0, "MISS");
    assert_eq!(ask_text(&client, "two").await.0, "MISS");
    let keys: Vec<String> = redis.cli(&["--scan"]).lines().map(str::to_owned).collect();
    let [one, two] = &keys[..] else { panic!("{keys:?}") };
    // Somebody mixes two entries up: each says whose it is.
    redis.cli(&["RENAME", one, two]);
    redis.cli(&["SET", one, "TGC1 nonsense"]);
    for text in ["one", "two"] {
        assert_eq!(ask_text(&client, text).await.0, "MISS", "{text}");
        assert_eq!(ask_text(&client, text).await.0, "HIT", "{text}");
    }
}

#[tokio::test]
async fn a_gateway_starts_without_its_redis_and_keys_keep_their_limits() {
    let mock = Mock::start();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let settings =
        providers(&mock).top(&format!("shared = \"redis://127.0.0.1:{free}\"")).key("tests", KEY, "");
    let gateway = Gateway::start(settings).await;
    let client = gateway.with_key(KEY);
    for _ in 0..2 {
        assert_eq!(ask_text(&client, "alone").await.0, "MISS");
    }
    let cache: Value = gateway.state().await["cache"].clone();
    assert_eq!((&cache["shared"]["up"], &cache["hits"]), (&json!(false), &json!(0)), "{cache}");
}
