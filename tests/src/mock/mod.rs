//! A scripted upstream: an HTTP server that answers like the vendors do, deterministically, and fails on demand.
//!
//! The answer to a text is `echo: <last user text>`, its usage one token per piece of output and one per word of
//! input. [`script::Script`] lists the directives that change it and where they may stand.
//!
//! It is strict where vendors are strict (a model with a gateway prefix, `max_tokens` for a reasoning model, a missing
//! `max_tokens` for Anthropic, a tool result without its call), so that a wrong translation shows as a 400.
//!
//! `GET /__mock/requests` returns what was recorded, `POST /__mock/reset` forgets it.

mod anthropic;
mod body;
mod counted;
mod form;
mod gemini;
mod openai;
pub mod plan;
mod planned;
mod planned_responses;
pub mod record;
mod reply;
mod responses;
mod route;
pub mod script;
mod server;
mod strict;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use plan::{Plan, Plans};
use record::{Record, Recorder};

/// A scripted upstream on a thread of its own, so that a busy test does not disturb its clock.
pub struct Mock {
    addr: SocketAddr,
    recorder: Arc<Recorder>,
    plans: Arc<Plans>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Mock {
    /// Starts on a free port of the loopback interface.
    pub fn start() -> Mock {
        Mock::start_on(0)
    }

    /// Starts on a free port, with a script that holds for every request that brings none of its own.
    pub fn scripted(script: &str) -> Mock {
        Mock::start_with(0, script)
    }

    /// Starts on this port of the loopback interface; 0 takes any.
    pub fn start_on(port: u16) -> Mock {
        Mock::start_with(port, "")
    }

    fn start_with(port: u16, script: &str) -> Mock {
        let script: Arc<str> = script.into();
        crate::files::raise_limit();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the mock needs a port");
        listener.set_nonblocking(true).expect("non-blocking listener");
        let addr = listener.local_addr().expect("local address");
        let recorder = Arc::new(Recorder::new());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let seen = Arc::clone(&recorder);
        let plans = Arc::new(Plans::default());
        let known = Arc::clone(&plans);
        std::thread::Builder::new()
            .name("mock-upstream".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime for the mock");
                runtime.block_on(async {
                    tokio::select! {
                        () = server::serve(listener, seen, known, script) => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_timeout(Duration::from_millis(10));
            })
            .expect("a thread for the mock");
        Mock { addr, recorder, plans, stop: Some(stop) }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT` plus this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Keeps a plan and returns the directive that asks for it, like `plan=7`.
    pub fn plan(&self, plan: Plan) -> String {
        format!("plan={}", self.plans.add(plan))
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Arc<Record>> {
        self.recorder.all()
    }

    /// The one request whose body contains this text.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub fn request_with(&self, text: &str) -> Arc<Record> {
        let mut found = self.find(text);
        assert_eq!(
            found.len(),
            1,
            "upstream should have seen one request with {text:?}: {:#?}",
            self.requests()
        );
        found.remove(0)
    }

    /// The requests whose body contains this text.
    pub fn find(&self, text: &str) -> Vec<Arc<Record>> {
        self.requests().into_iter().filter(|record| record.body_text().contains(text)).collect()
    }

    /// Forgets what was recorded.
    pub fn reset(&self) {
        self.recorder.reset();
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has ended already.
            let _ = stop.send(());
        }
    }
}
