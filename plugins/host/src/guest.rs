//! What a running guest holds on the host's side: its limits, and what it may reach.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use crate::clock::Clock;
use crate::limits::{Meter, Stop};
use crate::stats::Counters;
use crate::{BoxFuture, Grants, HttpRequest, HttpResponse, Level, Limits, Powers, http};

/// Bytes of a log line. Longer ones are cut.
const LOG_LINE: usize = 4 << 10;
/// Bytes that `random` gives at most, as its contract says.
const RANDOM: u32 = 1024;
/// Bytes of a key of the plugin's store.
const KEY: usize = 512;

/// What all instances of a plugin share: read-only, apart from counters.
pub(crate) struct Lent {
    /// The plugin's id, or the start of its digest while it is asked for it.
    pub(crate) plugin: String,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) powers: Arc<dyn Powers>,
    /// Narrowed to what the manifest wants.
    pub(crate) grants: Grants,
    pub(crate) counters: Counters,
}

/// The data of a store.
pub(crate) struct Guest {
    pub(crate) lent: Arc<Lent>,
    pub(crate) tenant: Arc<str>,
    pub(crate) meter: Meter,
    pub(crate) clock: Arc<Clock>,
    http_body: usize,
    output: usize,
}

impl Guest {
    pub(crate) fn new(lent: Arc<Lent>, tenant: Arc<str>, clock: Arc<Clock>, limits: &Limits) -> Self {
        let (http_body, output) = (limits.http_body, limits.output);
        Self { lent, tenant, meter: Meter::new(limits), clock, http_body, output }
    }

    /// Prepares for another call of the same tenant.
    pub(crate) fn renew(&mut self, clock: Arc<Clock>, limits: &Limits) {
        self.meter.renew(limits);
        self.clock = clock;
        self.http_body = limits.http_body;
        self.output = limits.output;
    }

    pub(crate) fn log(&mut self, level: Level, message: &str) -> Result<(), Stop> {
        self.meter.host_call()?;
        if !self.meter.log_line() {
            return Ok(());
        }
        let end = message.floor_char_boundary(LOG_LINE);
        let line = message.get(..end).unwrap_or_default();
        self.lent.powers.log(&self.lent.plugin, level, line);
        Ok(())
    }

    pub(crate) fn config(&mut self, name: &str) -> Result<Option<String>, Stop> {
        self.meter.host_call()?;
        Ok(self.lent.config.get(name).cloned())
    }

    pub(crate) fn count(&mut self, counter: String, by: u64) -> Result<(), Stop> {
        self.meter.host_call()?;
        self.lent.counters.add(counter, by);
        Ok(())
    }

    pub(crate) fn now_ms(&mut self) -> Result<u64, Stop> {
        self.meter.host_call()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn random(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.meter.host_call()?;
        let mut bytes = vec![0; usize::try_from(length.min(RANDOM))?];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| wasmtime::Error::msg("the system has no random bytes"))?;
        Ok(bytes)
    }

    pub(crate) async fn http(&mut self, request: HttpRequest) -> Result<Result<HttpResponse, String>, Stop> {
        self.meter.host_call()?;
        let left = self.clock.until.saturating_duration_since(Instant::now());
        let request = match http::admit(request, &self.lent.grants.http, self.http_body, left) {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let response =
            self.ask(|guest| guest.lent.powers.http(&guest.lent.plugin, &guest.tenant, request)).await;
        Ok(response.and_then(|response| http::accept(response, self.http_body)))
    }

    pub(crate) async fn kv_get(&mut self, key: String) -> Result<Result<Option<Vec<u8>>, String>, Stop> {
        self.meter.host_call()?;
        if let Err(refusal) = self.may_use_key(&key) {
            return Ok(Err(refusal));
        }
        Ok(self.ask(|guest| guest.lent.powers.kv_get(&guest.lent.plugin, &guest.tenant, &key)).await)
    }

    pub(crate) async fn kv_set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> Result<Result<(), String>, Stop> {
        self.meter.host_call()?;
        if let Err(refusal) = self.may_use_key(&key) {
            return Ok(Err(refusal));
        }
        Ok(self
            .ask(|guest| guest.lent.powers.kv_set(&guest.lent.plugin, &guest.tenant, &key, value, ttl_ms))
            .await)
    }

    pub(crate) async fn kv_delete(&mut self, key: String) -> Result<Result<(), String>, Stop> {
        self.meter.host_call()?;
        if let Err(refusal) = self.may_use_key(&key) {
            return Ok(Err(refusal));
        }
        Ok(self.ask(|guest| guest.lent.powers.kv_delete(&guest.lent.plugin, &guest.tenant, &key)).await)
    }

    pub(crate) async fn complete(&mut self, request_json: String) -> Result<Result<String, String>, Stop> {
        self.meter.host_call()?;
        if !self.lent.grants.models {
            return Ok(Err("models is not granted".to_owned()));
        }
        Ok(self
            .ask(|guest| guest.lent.powers.complete(&guest.lent.plugin, &guest.tenant, request_json))
            .await)
    }

    pub(crate) async fn embed(
        &mut self,
        model: String,
        texts: Vec<String>,
    ) -> Result<Result<Vec<Vec<f32>>, String>, Stop> {
        self.meter.host_call()?;
        if !self.lent.grants.models {
            return Ok(Err("models is not granted".to_owned()));
        }
        Ok(self.ask(|guest| guest.lent.powers.embed(&guest.lent.plugin, &guest.tenant, model, texts)).await)
    }

    fn may_use_key(&self, key: &str) -> Result<(), String> {
        if !self.lent.grants.kv {
            return Err("kv is not granted".to_owned());
        }
        if key.is_empty() || key.len() > KEY {
            return Err(format!("a key has 1 to {KEY} bytes"));
        }
        Ok(())
    }

    /// Asks a power, and makes sure that it happens on a background thread: its future may need timers and sockets,
    /// and must not be tied to the thread of a caller that goes away.
    async fn ask<T>(&self, power: impl FnOnce(&Self) -> BoxFuture<'static, T>) -> T {
        if self.clock.is_on_caller() {
            LeaveThread(false).await;
        }
        power(self).await
    }
}

/// Not ready at the first poll: whoever polls on the caller's thread takes that as the sign to move.
struct LeaveThread(bool);

impl Future for LeaveThread {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
