//! What the gateway lends to plugins beyond their own memory.
//!
//! The host asks only after its own rules passed (wanted, granted, counted, bounded). The futures are always made and
//! polled on the host's background threads, which drive timers and sockets of their own, and are dropped when the
//! call that asked is over.

use std::future::Future;
use std::pin::Pin;

use crate::{HttpRequest, HttpResponse, Level};

/// A future in a box that may change threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Lends powers to plugins. Errors are sentences that the guest gets to see.
pub trait Powers: Send + Sync {
    /// Sends a request to a host that the operator granted. What the name resolves to is for the implementation to
    /// check; so is stopping to read after [`crate::Limits::http_body`] bytes.
    fn http(
        &self,
        plugin: &str,
        tenant: &str,
        request: HttpRequest,
    ) -> BoxFuture<'static, Result<HttpResponse, String>>;

    /// Reads a key of the plugin's store for a tenant.
    fn kv_get(
        &self,
        plugin: &str,
        tenant: &str,
        key: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, String>>;

    /// Writes a key of the plugin's store for a tenant; it lives for `ttl_ms`, or for ever if that is 0.
    fn kv_set(
        &self,
        plugin: &str,
        tenant: &str,
        key: &str,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> BoxFuture<'static, Result<(), String>>;

    /// Deletes a key of the plugin's store for a tenant.
    fn kv_delete(&self, plugin: &str, tenant: &str, key: &str) -> BoxFuture<'static, Result<(), String>>;

    /// Asks a model. Takes and returns OpenAI chat completions JSON.
    fn complete(
        &self,
        plugin: &str,
        tenant: &str,
        request_json: String,
    ) -> BoxFuture<'static, Result<String, String>>;

    /// Returns one vector for each text.
    fn embed(
        &self,
        plugin: &str,
        tenant: &str,
        model: String,
        texts: Vec<String>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f32>>, String>>;

    /// Writes a log line. Called on the thread that runs the guest, so it must not wait.
    fn log(&self, plugin: &str, level: Level, message: &str);
}

/// Refuses everything and logs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPowers;

fn refuse<T: Send + 'static>(power: &str) -> BoxFuture<'static, Result<T, String>> {
    let refusal = format!("{power} is not available here");
    Box::pin(std::future::ready(Err(refusal)))
}

impl Powers for NoPowers {
    fn http(&self, _: &str, _: &str, _: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, String>> {
        refuse("http")
    }

    fn kv_get(&self, _: &str, _: &str, _: &str) -> BoxFuture<'static, Result<Option<Vec<u8>>, String>> {
        refuse("kv")
    }

    fn kv_set(
        &self,
        _: &str,
        _: &str,
        _: &str,
        _: Vec<u8>,
        _: u64,
    ) -> BoxFuture<'static, Result<(), String>> {
        refuse("kv")
    }

    fn kv_delete(&self, _: &str, _: &str, _: &str) -> BoxFuture<'static, Result<(), String>> {
        refuse("kv")
    }

    fn complete(&self, _: &str, _: &str, _: String) -> BoxFuture<'static, Result<String, String>> {
        refuse("models")
    }

    fn embed(
        &self,
        _: &str,
        _: &str,
        _: String,
        _: Vec<String>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f32>>, String>> {
        refuse("models")
    }

    fn log(&self, _: &str, _: Level, _: &str) {}
}
