//! `tidegate:plugin@0.1`: generated from the SDK's WIT folder, and how the host serves and calls it.
#![allow(missing_docs, unreachable_pub, reason = "the docs of generated items are in the WIT files")]

use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};

use self::exports::tidegate::plugin::{about, condition, guardrail, guardrail_stream};
use self::tidegate::plugin::{host, http, kv, models, types};
use super::{Answer, Ask, Exports};
use crate::guest::Guest;

wasmtime::component::bindgen!({
    path: "../../plugin-sdk/wit/since_v0_1",
    world: "full-plugin",
    imports: {
        "tidegate:plugin/http": async | trappable,
        "tidegate:plugin/kv": async | trappable,
        "tidegate:plugin/models": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    additional_derives: [PartialEq],
});

/// The versions that this module serves.
pub(crate) const MAJOR_MINOR: &str = "0.1.";

/// Everything a plugin of this version may import, as interface and function.
pub(crate) const FUNCTIONS: [(&str, &str); 11] = [
    ("host", "log"),
    ("host", "config"),
    ("host", "count"),
    ("host", "now-ms"),
    ("host", "random"),
    ("http", "send"),
    ("kv", "get"),
    ("kv", "set"),
    ("kv", "delete"),
    ("models", "complete"),
    ("models", "embed"),
];

/// Offers everything a plugin of this version may import. Whether it may use it is checked before.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    FullPlugin::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

/// Where a component's exports are.
#[derive(Clone)]
pub(crate) struct Indices {
    about: about::GuestIndices,
    guardrail: Option<guardrail::GuestIndices>,
    stream: Option<guardrail_stream::GuestIndices>,
    condition: Option<condition::GuestIndices>,
}

impl Indices {
    /// Looks the exports up.
    pub(crate) fn new(pre: &InstancePre<Guest>, exports: Exports) -> wasmtime::Result<Self> {
        Ok(Self {
            about: about::GuestIndices::new(pre)?,
            guardrail: exports.guardrail.then(|| guardrail::GuestIndices::new(pre)).transpose()?,
            stream: exports.stream.then(|| guardrail_stream::GuestIndices::new(pre)).transpose()?,
            condition: exports.condition.then(|| condition::GuestIndices::new(pre)).transpose()?,
        })
    }

    /// Takes an instance.
    pub(crate) fn bind(&self, instance: Instance) -> Bound {
        Bound { indices: self.clone(), instance, about: None, guardrail: None, stream: None, condition: None }
    }
}

/// An instance and those of its functions that were needed so far: binding one costs a comparison of all its types,
/// and most instances are asked one thing.
pub(crate) struct Bound {
    indices: Indices,
    instance: Instance,
    about: Option<about::Guest>,
    guardrail: Option<guardrail::Guest>,
    stream: Option<guardrail_stream::Guest>,
    condition: Option<condition::Guest>,
}

/// Binds an export at its first use and returns its functions.
macro_rules! bound {
    ($self:ident.$export:ident, $store:expr, $indices:expr) => {{
        if $self.$export.is_none() {
            let indices = $indices.ok_or_else(|| wasmtime::Error::msg("the export is missing"))?;
            $self.$export = Some(indices.load(&mut *$store, &$self.instance)?);
        }
        $self.$export.as_ref().ok_or_else(|| wasmtime::Error::msg("the export is missing"))?
    }};
}

impl Bound {
    /// Binds everything, to find out whether the types are right.
    pub(crate) fn bind_all(&mut self, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        let Self { indices, instance, .. } = self;
        indices.about.load(&mut *store, instance)?;
        indices.guardrail.as_ref().map(|export| export.load(&mut *store, instance)).transpose()?;
        indices.stream.as_ref().map(|export| export.load(&mut *store, instance)).transpose()?;
        indices.condition.as_ref().map(|export| export.load(&mut *store, instance)).transpose()?;
        Ok(())
    }

    /// Calls the instance. That the exports are there was checked against the manifest when the plugin was loaded.
    pub(crate) async fn call(&mut self, store: &mut Store<Guest>, ask: &Ask) -> wasmtime::Result<Answer> {
        match ask {
            Ask::Describe => {
                let guest = bound!(self.about, store, Some(&self.indices.about));
                Ok(Answer::Manifest(guest.call_describe(store).await?))
            }
            Ask::Check { check, params, subject } => {
                let guest = bound!(self.guardrail, store, self.indices.guardrail.as_ref());
                Ok(Answer::Judgement(guest.call_check(store, check, params, subject).await?))
            }
            Ask::Needs { check, params } => {
                let guest = bound!(self.stream, store, self.indices.stream.as_ref());
                Ok(Answer::Needs(guest.call_needs(store, check, params).await?))
            }
            Ask::Window { check, params, window } => {
                let guest = bound!(self.stream, store, self.indices.stream.as_ref());
                Ok(Answer::Window(guest.call_window(store, check, params, window).await?))
            }
            Ask::Matches { condition, params, call } => {
                let guest = bound!(self.condition, store, self.indices.condition.as_ref());
                Ok(Answer::Matches(guest.call_matches(store, condition, params, call).await?))
            }
        }
    }
}

impl types::Host for Guest {}

impl host::Host for Guest {
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        Ok(self.log(level, &message)?)
    }

    fn config(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.config(&name)?)
    }

    fn count(&mut self, counter: String, by: u64) -> wasmtime::Result<()> {
        Ok(self.count(counter, by)?)
    }

    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.now_ms()?)
    }

    fn random(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.random(length)
    }
}

impl http::Host for Guest {
    async fn send(
        &mut self,
        request: http::HttpRequest,
    ) -> wasmtime::Result<Result<http::HttpResponse, String>> {
        Ok(self.http(request).await?)
    }
}

impl kv::Host for Guest {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, String>> {
        Ok(self.kv_get(key).await?)
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> wasmtime::Result<Result<(), String>> {
        Ok(self.kv_set(key, value, ttl_ms).await?)
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), String>> {
        Ok(self.kv_delete(key).await?)
    }
}

impl models::Host for Guest {
    async fn complete(&mut self, request_json: String) -> wasmtime::Result<Result<String, String>> {
        Ok(Guest::complete(self, request_json).await?)
    }

    async fn embed(
        &mut self,
        model: String,
        texts: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Vec<f32>>, String>> {
        Ok(Guest::embed(self, model, texts).await?)
    }
}
