//! The host against guests that misbehave in one way each. Whatever they do, it ends in the right error within its
//! limit, and the next call works.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test reports by panicking")]

mod answers;
mod cache;
mod guest;
mod hostile;
mod loading;
mod neighbours;
mod pool;
mod powers;

use std::future::Future;
use std::sync::{Arc, LazyLock};

use tidegate_plugin_host::{
    CallError, CallView, Hook, Host, HostOptions, Judgement, Limits, LoadError, Piece, Plugin, Setup, Subject,
};

use guest::Guest;

/// One host for tests that need no pool of their own.
static HOST: LazyLock<Arc<Host>> = LazyLock::new(|| host(64));

fn host(instances: u32) -> Arc<Host> {
    Host::start(HostOptions { instances, ..HostOptions::default() }).unwrap()
}

/// Runs a future as a worker of the gateway does: on one thread, and without timers or sockets of ours.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn load(guest: Guest) -> Arc<Plugin> {
    load_with(guest, Setup::default())
}

fn load_with(guest: Guest, setup: Setup) -> Arc<Plugin> {
    HOST.load(&guest.build(), setup).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(guest: Guest, setup: Setup) -> LoadError {
    HOST.load(&guest.build(), setup).expect_err("the plugin must be refused")
}

fn limits(change: impl FnOnce(&mut Limits)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.limits);
    setup
}

fn subject(texts: &[&str]) -> Subject {
    let piece = |text: &&str| Piece {
        kind: "text".to_owned(),
        role: "user".to_owned(),
        index: 0,
        text: (*text).to_owned(),
    };
    Subject {
        hook: Hook::Input,
        call: call_view(),
        pieces: texts.iter().map(piece).collect(),
        body_json: None,
        extra: Vec::new(),
    }
}

fn call_view() -> CallView {
    CallView {
        endpoint: "/v1/chat/completions".to_owned(),
        model: "mock".to_owned(),
        provider: Some("openai".to_owned()),
        messages: Vec::new(),
        params_json: None,
        metadata: Vec::new(),
        user: None,
        stream: false,
        extra: Vec::new(),
    }
}

async fn check_as(plugin: &Arc<Plugin>, tenant: &str, text: &str) -> Result<Judgement, CallError> {
    plugin.check(tenant, "check", "{}", subject(&[text]), None).await
}

async fn check(plugin: &Arc<Plugin>, text: &str) -> Result<Judgement, CallError> {
    check_as(plugin, "tenant", text).await
}
