//! Models for plugins, through the gateway itself: the same line as any request, paid by the plugin's own key.
//!
//! Such requests carry [`PLUGIN_CALL`], so that no guard judges the call of a guard. A plugin that calls all the same
//! from within a call that it paid for itself is refused, and so is one that asks for too much at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tidegate_plugin_host::BoxFuture;
use tidegate_providers::Endpoint;
use tidegate_store::{KeyHash, KeyRecord, KeyStatus, Store};
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::actors::key::KeyHandle;
use crate::clock;
use crate::gateway::Gateway;
use crate::pipeline::{self, AnswerBody, Body, Caller, Dialect, PlainHeaders, Request};
use crate::plugins::PLUGIN_CALL;
use crate::upstream::Client;

/// Calls of one plugin at the same time. Also the end of a recursion that no guard stage stopped.
const CALLS_AT_ONCE: usize = 32;
/// Orders that wait for the thread.
const WAITING: usize = 1_024;
/// Keys that are looked through for a name.
const KEYS_AT_MOST: usize = 100_000;

struct Order {
    gateway: Arc<Gateway>,
    caller: Caller,
    request: Request,
    answer: oneshot::Sender<Result<Bytes, String>>,
}

/// Asks models for plugins. Its thread starts with the first request.
#[derive(Default)]
pub(super) struct Models {
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    calls: DashMap<String, Arc<Semaphore>>,
}

impl Models {
    pub(super) fn complete(
        &self,
        gateway: Arc<Gateway>,
        plugin: &str,
        tenant: &str,
        request_json: &str,
    ) -> BoxFuture<'static, Result<String, String>> {
        let body = whole(request_json);
        let asked = body.map(|body| self.ask(gateway, plugin, tenant, Endpoint::Chat, body));
        Box::pin(async move {
            let answer = asked?.await?;
            String::from_utf8(answer.to_vec()).map_err(|_| "the answer is no text".to_owned())
        })
    }

    pub(super) fn embed(
        &self,
        gateway: Arc<Gateway>,
        plugin: &str,
        tenant: &str,
        model: &str,
        texts: &[String],
    ) -> BoxFuture<'static, Result<Vec<Vec<f32>>, String>> {
        let body = serde_json::json!({ "model": model, "input": texts, "encoding_format": "float" });
        let count = texts.len();
        let body = Bytes::from(body.to_string());
        let asked = self.ask(gateway, plugin, tenant, Endpoint::Embeddings, body);
        Box::pin(async move { vectors(&asked.await?, count) })
    }

    fn ask(
        &self,
        gateway: Arc<Gateway>,
        plugin: &str,
        tenant: &str,
        endpoint: Endpoint,
        body: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        let calls = self.calls.entry(plugin.to_owned());
        let calls = calls.or_insert_with(|| Arc::new(Semaphore::new(CALLS_AT_ONCE))).clone();
        let orders = self.orders();
        let (plugin, tenant) = (plugin.to_owned(), tenant.to_owned());
        Box::pin(async move {
            let _place = calls
                .try_acquire_owned()
                .map_err(|_| format!("{CALLS_AT_ONCE} model calls of this plugin run already"))?;
            let key = paying_key(&gateway, &plugin).await?;
            if key.record().id == tenant {
                return Err("a model call of a plugin is not judged by plugins that ask models".to_owned());
            }
            let (answer, answered) = oneshot::channel();
            let order = Order {
                gateway,
                caller: caller(key, &plugin),
                request: request(endpoint, &plugin, body),
                answer,
            };
            orders?.send(order).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    }

    /// Returns where orders go. The pipeline is made for single-threaded runtimes, and a plugin's thread is none.
    fn orders(&self) -> Result<mpsc::Sender<Order>, String> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = orders.as_ref().filter(|orders| !orders.is_closed()) {
            return Ok(orders.clone());
        }
        let (sender, inbox) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("models can't be asked: {error}"))?;
        thread::Builder::new()
            .name("plugin-models".into())
            .spawn(move || tokio::task::LocalSet::new().block_on(&runtime, serve(inbox)))
            .map_err(|error| format!("models can't be asked: {error}"))?;
        Ok(orders.insert(sender).clone())
    }
}

fn gone() -> String {
    "models can't be asked: the gateway ends".to_owned()
}

/// Serves orders until nobody can give any.
async fn serve(mut inbox: mpsc::Receiver<Order>) {
    let mut client = None;
    while let Some(mut order) = inbox.recv().await {
        let connect = Duration::from_millis(order.gateway.settings().timeouts.connect_ms);
        let client = client.get_or_insert_with(|| Client::new(connect)).clone();
        tokio::task::spawn_local(async move {
            let answering = answer(&order.gateway, &client, &order.caller, order.request);
            tokio::select! {
                answer = answering => {
                    let _asker_gone = order.answer.send(answer);
                }
                // The plugin's call is over: so is what it asked.
                () = order.answer.closed() => {}
            }
        });
    }
}

async fn answer(
    gateway: &Arc<Gateway>,
    client: &Client,
    caller: &Caller,
    request: Request,
) -> Result<Bytes, String> {
    let answer =
        pipeline::serve(gateway, client, caller, request).await.map_err(|error| error.to_string())?;
    match answer.body {
        AnswerBody::Whole(body) if (200..300).contains(&answer.status) => Ok(body),
        AnswerBody::Whole(_) => Err(format!("the model answered status {}", answer.status)),
        AnswerBody::Stream(_) | AnswerBody::Kept(_) => Err("the model answered a stream".to_owned()),
    }
}

fn caller(key: Arc<KeyHandle>, plugin: &str) -> Caller {
    let mut metadata = BTreeMap::from([("_plugin".to_owned(), plugin.to_owned())]);
    metadata.extend(key.record().metadata.clone());
    Caller::new(key, metadata)
}

fn request(endpoint: Endpoint, plugin: &str, body: Bytes) -> Request {
    let id = Uuid::now_v7().to_string();
    let mut headers = HeaderMap::new();
    if let Ok(plugin) = HeaderValue::from_str(plugin) {
        headers.insert(PLUGIN_CALL, plugin);
    }
    Request {
        endpoint,
        dialect: Dialect::OpenAi,
        trace_id: id.clone(),
        id,
        started: Instant::now(),
        started_at_ms: clock::unix_ms(),
        headers,
        plain_headers: PlainHeaders::default(),
        vendor_key: None,
        body: Body::Json(body),
        proxy: None,
    }
}

/// Returns a request that asks for a whole answer.
fn whole(request_json: &str) -> Result<Bytes, String> {
    let parsed: Value =
        serde_json::from_str(request_json).map_err(|error| format!("the request is not JSON: {error}"))?;
    let Value::Object(mut members) = parsed else {
        return Err("the request is not a JSON object".to_owned());
    };
    members.remove("stream_options");
    match members.remove("stream") {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Value::Object(members).to_string().into()),
        Some(_) => Err("a plugin can't read streams: leave `stream` out".to_owned()),
    }
}

/// Reads OpenAI's embeddings, in the order of the texts.
fn vectors(answer: &[u8], count: usize) -> Result<Vec<Vec<f32>>, String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        data: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(default)]
        index: usize,
        embedding: Vec<f32>,
    }
    let mut answer: Answer =
        serde_json::from_slice(answer).map_err(|error| format!("the answer holds no vectors: {error}"))?;
    if answer.data.len() != count {
        return Err(format!("{count} texts were sent and {} vectors came back", answer.data.len()));
    }
    answer.data.sort_by_key(|item| item.index);
    Ok(answer.data.into_iter().map(|item| item.embedding).collect())
}

/// Finds the key that pays for a plugin.
async fn paying_key(gateway: &Gateway, plugin: &str) -> Result<Arc<KeyHandle>, String> {
    let settings = gateway.settings();
    let declared = settings.declared_plugins.get(plugin).and_then(|declared| declared.key.clone());
    let Some(name) = declared else {
        return Err(format!(
            "no API key pays for it: add `key = \"NAME\"` to the [[plugin]] \"{plugin}\" in the settings"
        ));
    };
    let wanted = name.clone();
    let found = gateway.book.read(move |store| find_key(store, &wanted)).await;
    let hash = found.map_err(|error| format!("the key {name} could not be read: {error}"))?;
    let unknown = || format!("there is no API key \"{name}\", which the settings name for plugin {plugin}");
    let hash = hash.ok_or_else(unknown)?;
    gateway.book.key(&hash).await.map_err(|error| error.to_string())?.ok_or_else(unknown)
}

/// Finds a key by the name in the settings, by id, or by the name in the store.
fn find_key(store: &dyn Store, name: &str) -> Result<Option<KeyHash>, tidegate_store::StoreError> {
    let active = |found: Option<(KeyHash, KeyRecord)>| {
        found.filter(|(_, record)| record.status == KeyStatus::Active).map(|(hash, _)| hash)
    };
    for id in [format!("key:{name}"), name.to_owned()] {
        if let Some(hash) = active(store.key_by_id(&id)?) {
            return Ok(Some(hash));
        }
    }
    let keys = store.keys(KEYS_AT_MOST)?;
    let named = keys.into_iter().find(|key| key.name == name && key.status == KeyStatus::Active);
    match named {
        Some(key) => Ok(active(store.key_by_id(&key.id)?)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_answers_are_asked_for() {
        assert_eq!(whole("{\"model\":\"m\",\"stream\":false}").unwrap(), "{\"model\":\"m\"}");
        assert!(whole("{\"stream\":true}").unwrap_err().contains("leave `stream` out"));
        assert!(whole("[]").is_err());
        assert!(whole("{").is_err());
    }

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let answer =
            br#"{"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0, 0.5]}]}"#;
        assert_eq!(vectors(answer, 2).unwrap(), [vec![1.0, 0.5], vec![2.0]]);
        assert!(vectors(answer, 3).unwrap_err().contains("3 texts were sent and 2 vectors"));
        assert!(vectors(b"{}", 0).is_err());
    }
}
