//! The powers as the host asks for them.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tidegate_plugin_host::{BoxFuture, HttpRequest, HttpResponse, Level, Powers};

use super::http::Http;
use super::kv::Kv;
use super::models::Models;
use crate::clock;
use crate::gateway::Gateway;

/// Bytes of a log line; the rest is cut off.
const LONGEST_LINE: usize = 4 << 10;

/// Lends. Made before the gateway, which it learns of once it runs.
pub(crate) struct Lender {
    gateway: OnceLock<Weak<Gateway>>,
    http: Http,
    kv: Kv,
    models: Models,
}

impl Lender {
    pub(crate) fn new(connect: Duration) -> Arc<Self> {
        Arc::new(Self {
            gateway: OnceLock::new(),
            http: Http::new(connect),
            kv: Kv::default(),
            models: Models::default(),
        })
    }

    /// Names the gateway that lends.
    pub(crate) fn serve(&self, gateway: &Arc<Gateway>) {
        let _named_once = self.gateway.set(Arc::downgrade(gateway));
    }

    fn gateway(&self) -> Result<Arc<Gateway>, String> {
        let gateway = self.gateway.get().and_then(Weak::upgrade);
        gateway.ok_or_else(|| "the gateway starts or ends".to_owned())
    }
}

fn ready<T: Send + 'static>(answer: Result<T, String>) -> BoxFuture<'static, Result<T, String>> {
    Box::pin(std::future::ready(answer))
}

impl Powers for Lender {
    fn http(
        &self,
        _plugin: &str,
        _tenant: &str,
        request: HttpRequest,
    ) -> BoxFuture<'static, Result<HttpResponse, String>> {
        match self.gateway() {
            Ok(gateway) => self.http.send(request, &gateway.settings().trusted_hosts),
            Err(error) => ready(Err(error)),
        }
    }

    fn kv_get(
        &self,
        plugin: &str,
        tenant: &str,
        key: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, String>> {
        ready(Ok(self.kv.get(plugin, tenant, key, clock::uptime())))
    }

    fn kv_set(
        &self,
        plugin: &str,
        tenant: &str,
        key: &str,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> BoxFuture<'static, Result<(), String>> {
        let ttl = (ttl_ms > 0).then(|| Duration::from_millis(ttl_ms));
        ready(self.kv.set(plugin, tenant, key, value, ttl, clock::uptime()))
    }

    fn kv_delete(&self, plugin: &str, tenant: &str, key: &str) -> BoxFuture<'static, Result<(), String>> {
        self.kv.delete(plugin, tenant, key);
        ready(Ok(()))
    }

    fn complete(
        &self,
        plugin: &str,
        tenant: &str,
        request_json: String,
    ) -> BoxFuture<'static, Result<String, String>> {
        match self.gateway() {
            Ok(gateway) => self.models.complete(gateway, plugin, tenant, &request_json),
            Err(error) => ready(Err(error)),
        }
    }

    fn embed(
        &self,
        plugin: &str,
        tenant: &str,
        model: String,
        texts: Vec<String>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f32>>, String>> {
        match self.gateway() {
            Ok(gateway) => self.models.embed(gateway, plugin, tenant, &model, &texts),
            Err(error) => ready(Err(error)),
        }
    }

    fn log(&self, plugin: &str, level: Level, message: &str) {
        let end = message.floor_char_boundary(LONGEST_LINE);
        // As a field it is quoted: what a plugin writes does not look like a line of the gateway's own.
        let said = &message[..end];
        match level {
            Level::Debug => tracing::debug!(plugin, said, "plugin"),
            Level::Info => tracing::info!(plugin, said, "plugin"),
            Level::Warn => tracing::warn!(plugin, said, "plugin"),
            Level::Error => tracing::error!(plugin, said, "plugin"),
        }
    }
}
