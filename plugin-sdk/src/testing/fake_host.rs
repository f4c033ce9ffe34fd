//! A host for native tests. It belongs to the thread of its test, so that tests don't see each other's.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;

use crate::host::Level;
use crate::http::{HttpRequest, HttpResponse};

type OnHttp = Box<dyn Fn(&HttpRequest) -> Result<HttpResponse, String>>;
type OnComplete = Box<dyn Fn(&Value) -> Result<Value, String>>;
type OnEmbed = Box<dyn Fn(&str, &[String]) -> Result<Vec<Vec<f32>>, String>>;

#[derive(Default)]
struct State {
    logs: Vec<(Level, String)>,
    config: HashMap<String, String>,
    counters: HashMap<String, u64>,
    now_ms: u64,
    store: HashMap<String, (Vec<u8>, u64)>,
    on_http: Option<OnHttp>,
    on_complete: Option<OnComplete>,
    on_embed: Option<OnEmbed>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The host that plugins meet on this thread until it is dropped. Powers that a test does not set answer "not granted".
#[derive(Debug)]
pub struct FakeHost {
    _private: (),
}

impl FakeHost {
    /// Starts with an empty host.
    #[must_use]
    pub fn install() -> Self {
        STATE.set(State::default());
        Self { _private: () }
    }

    /// Sets what the plugin reads with [`crate::host::config`].
    pub fn set_config(&self, name: &str, value: &str) {
        STATE.with_borrow_mut(|state| state.config.insert(name.to_owned(), value.to_owned()));
    }

    /// Sets the clock.
    pub fn set_now_ms(&self, now_ms: u64) {
        STATE.with_borrow_mut(|state| state.now_ms = now_ms);
    }

    /// Returns the lines that were logged.
    #[must_use]
    pub fn logs(&self) -> Vec<(Level, String)> {
        STATE.with_borrow(|state| state.logs.clone())
    }

    /// Returns the value of a counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        STATE.with_borrow(|state| state.counters.get(name).copied().unwrap_or_default())
    }

    /// Answers HTTP requests. The function must not use the host itself.
    pub fn on_http(&self, answer: impl Fn(&HttpRequest) -> Result<HttpResponse, String> + 'static) {
        STATE.with_borrow_mut(|state| state.on_http = Some(Box::new(answer)));
    }

    /// Answers chat completions.
    pub fn on_complete(&self, answer: impl Fn(&Value) -> Result<Value, String> + 'static) {
        STATE.with_borrow_mut(|state| state.on_complete = Some(Box::new(answer)));
    }

    /// Answers embeddings.
    pub fn on_embed(&self, answer: impl Fn(&str, &[String]) -> Result<Vec<Vec<f32>>, String> + 'static) {
        STATE.with_borrow_mut(|state| state.on_embed = Some(Box::new(answer)));
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        STATE.set(State::default());
    }
}

fn not_granted<T>() -> Result<T, String> {
    Err("not granted: the test set no answer".to_owned())
}

pub(crate) mod host {
    //! The native side of [`crate::host`].

    use super::STATE;
    use crate::host::Level;

    pub(crate) fn log(level: Level, message: &str) {
        STATE.with_borrow_mut(|state| state.logs.push((level, message.to_owned())));
    }

    pub(crate) fn config(name: &str) -> Option<String> {
        STATE.with_borrow(|state| state.config.get(name).cloned())
    }

    pub(crate) fn count(counter: &str, by: u64) {
        STATE.with_borrow_mut(|state| *state.counters.entry(counter.to_owned()).or_default() += by);
    }

    pub(crate) fn now_ms() -> u64 {
        STATE.with_borrow(|state| state.now_ms)
    }

    pub(crate) fn random(length: u32) -> Vec<u8> {
        (0..length.min(1024)).map(|at| (at.wrapping_mul(167) % 256) as u8).collect()
    }
}

pub(crate) mod http {
    //! The native side of [`crate::http`].

    use super::{HttpRequest, HttpResponse, STATE, not_granted};

    pub(crate) fn send(request: &HttpRequest) -> Result<HttpResponse, String> {
        STATE.with_borrow(|state| state.on_http.as_ref().map_or_else(not_granted, |answer| answer(request)))
    }
}

pub(crate) mod kv {
    //! The native side of [`crate::kv`]. Values expire by the clock that the test sets.

    use super::STATE;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, String> {
        let fresh = |state: &super::State| {
            state.store.get(key).filter(|(_, until)| *until > state.now_ms).map(|(value, _)| value.clone())
        };
        Ok(STATE.with_borrow(fresh))
    }

    pub(crate) fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), String> {
        STATE.with_borrow_mut(|state| {
            let until = state.now_ms.saturating_add(ttl_ms);
            state.store.insert(key.to_owned(), (value.to_vec(), until));
        });
        Ok(())
    }

    pub(crate) fn delete(key: &str) -> Result<(), String> {
        STATE.with_borrow_mut(|state| state.store.remove(key));
        Ok(())
    }
}

pub(crate) mod models {
    //! The native side of [`crate::models`].

    use super::{STATE, not_granted};

    pub(crate) fn complete(request_json: &str) -> Result<String, String> {
        let request = serde_json::from_str(request_json).map_err(|error| error.to_string())?;
        STATE
            .with_borrow(|state| {
                state.on_complete.as_ref().map_or_else(not_granted, |answer| answer(&request))
            })
            .map(|answer| answer.to_string())
    }

    pub(crate) fn embed(model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, String> {
        STATE.with_borrow(|state| {
            state.on_embed.as_ref().map_or_else(not_granted, |answer| answer(model, texts))
        })
    }
}
