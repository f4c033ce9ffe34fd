//! The same question in every dialect, and what of an answer can be seen in it.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};
use tidegate_tests::{Answer, Client, Gateway, Mock, Request, Settings, sse};

use crate::support::{KEY, World, providers, world_with};

/// Compiled plugins of earlier gateways: compiling them anew for each test would be most of its time.
const COMPILED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled-plugins");
/// A debug build on a busy machine compiles for long.
const COMPILING: Duration = Duration::from_secs(240);

/// A gateway whose bundled plugins are loaded.
pub(super) async fn world() -> World {
    world_like(|settings| settings).await
}

/// The same with other settings.
pub(super) async fn world_like(more: impl FnOnce(Settings) -> Settings) -> World {
    let mock = Mock::start();
    let settings = providers(&mock).seed(Path::new(COMPILED), "data/plugins/compiled");
    let settings = more(settings.key("tests", KEY, ""));
    let world = world_with(mock, settings).await;
    warm(&world).await;
    keep_compiled(&world.gateway);
    world.mock.reset();
    world
}

async fn warm(world: &World) {
    let World { client, mock, .. } = world;
    let guards = json!([{ "pii.redact": {}, "secrets.redact": {}, "default.wordCount": {} }]);
    let ask = Ask { client, mock, pair: CHAT, guards };
    let deadline = Instant::now() + COMPILING;
    loop {
        let plan = mock.plan(Plan::new().say(Kind::Text, "a@example.com"));
        let mut answer = match ask.request(&plan, 1, false).try_send().await {
            Ok(answer) => answer,
            Err(error) => panic!("the gateway is gone: {error}"),
        };
        let body = answer.json().await;
        if body["choices"][0]["message"]["content"] == "[EMAIL]" {
            return;
        }
        assert!(Instant::now() < deadline, "plugins are not loaded: {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn keep_compiled(gateway: &Gateway) {
    let Some(folder) = gateway.settings_path().parent().map(|folder| folder.join("data/plugins/compiled"))
    else {
        return;
    };
    fs::create_dir_all(COMPILED).expect("a folder");
    // Other tests read at the same time: a file appears whole or not at all.
    let beside = tempfile::tempdir_in(Path::new(COMPILED).parent().expect("a folder")).expect("a folder");
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let kept = Path::new(COMPILED).join(file.file_name());
        if !kept.exists() && !file.file_name().to_string_lossy().starts_with('.') {
            let copy = beside.path().join(file.file_name());
            fs::copy(file.path(), &copy).expect("a copy");
            fs::rename(copy, kept).expect("a kept file");
        }
    }
}

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    Chat,
    Completions,
    Messages,
    Responses,
}

/// What the client speaks and who answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) front: Front,
    pub(super) provider: &'static str,
}

const fn pair(front: Front, provider: &'static str) -> Pair {
    Pair { front, provider }
}

pub(super) const CHAT: Pair = pair(Front::Chat, "openai-prod");
pub(super) const COMPLETIONS: Pair = pair(Front::Completions, "openai-prod");
pub(super) const MESSAGES: Pair = pair(Front::Messages, "anthropic-prod");
pub(super) const RESPONSES: Pair = pair(Front::Responses, "openai-prod");
pub(super) const MESSAGES_OVER_OPENAI: Pair = pair(Front::Messages, "openai-prod");
pub(super) const CHAT_OVER_ANTHROPIC: Pair = pair(Front::Chat, "anthropic-prod");
pub(super) const CHAT_OVER_GEMINI: Pair = pair(Front::Chat, "google-prod");
pub(super) const RESPONSES_OVER_ANTHROPIC: Pair = pair(Front::Responses, "anthropic-prod");

/// Every pair that carries text.
pub(super) const PAIRS: [Pair; 8] = [
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    MESSAGES_OVER_OPENAI,
    CHAT_OVER_ANTHROPIC,
    CHAT_OVER_GEMINI,
    RESPONSES_OVER_ANTHROPIC,
];

/// Asks for a planned answer under guards. `more`: further directives, like `&delay_ms=20`.
pub(super) struct Ask<'a> {
    pub(super) client: &'a Client,
    pub(super) mock: &'a Mock,
    pub(super) pair: Pair,
    pub(super) guards: Value,
}

impl Ask<'_> {
    pub(super) fn request(&self, directives: &str, choices: u32, stream: bool) -> Request {
        let model = format!("@{}/mock", self.pair.provider);
        let text = format!("[[{directives}]] tell me");
        let messages = json!([{ "role": "user", "content": text }]);
        let (target, mut body) = match self.pair.front {
            Front::Chat => ("/v1/chat/completions", json!({ "messages": messages })),
            Front::Completions => ("/v1/completions", json!({ "prompt": text })),
            Front::Messages => ("/v1/messages", json!({ "messages": messages, "max_tokens": 10_000 })),
            Front::Responses => ("/v1/responses", json!({ "input": text })),
        };
        body["model"] = model.into();
        if stream {
            body["stream"] = true.into();
        }
        if choices > 1 {
            body["n"] = choices.into();
        }
        let mut request = self.client.post(target, &body);
        if self.pair.front == Front::Messages {
            request = request.header("anthropic-version", "2023-06-01");
        }
        request
            .header("x-portkey-config", json!({ "output_guardrails": self.guards }).to_string())
            .header("x-portkey-strict-open-ai-compliance", "false")
    }

    /// Streams a plan and reads all of it.
    pub(super) async fn stream(&self, plan: Plan) -> Heard {
        self.stream_with(plan, "").await
    }

    pub(super) async fn stream_with(&self, plan: Plan, more: &str) -> Heard {
        let choices = choices(&plan);
        let directives = self.mock.plan(plan) + more;
        let answer = self.request(&directives, choices, true).send().await;
        Heard::read(self.pair.front, answer, true).await
    }

    /// Asks for the same answer whole.
    pub(super) async fn whole(&self, plan: Plan) -> Heard {
        let choices = choices(&plan);
        let answer = self.request(&self.mock.plan(plan), choices, false).send().await;
        Heard::read(self.pair.front, answer, false).await
    }
}

fn choices(plan: &Plan) -> u32 {
    plan.pieces.iter().map(|piece| piece.choice + 1).max().unwrap_or(1)
}

/// Runs many at a time.
pub(super) async fn all<T>(tasks: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::stream::iter(tasks).buffer_unordered(96).collect().await
}

/// What a client saw.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) status: u16,
    /// The body as it came.
    pub(super) raw: String,
    pub(super) events: Vec<sse::Event>,
    pub(super) texts: BTreeMap<(u32, Kind), String>,
    pub(super) finishes: Vec<String>,
    pub(super) error: Option<Value>,
    /// The results of the hooks after the request.
    pub(super) hooks: Value,
    /// It ended as its dialect ends.
    pub(super) ended: bool,
    /// The connection was cut.
    pub(super) cut: bool,
    /// Which item of a response is which text.
    items: BTreeMap<u64, Kind>,
    /// What the pieces of an item of a response add up to.
    item_texts: BTreeMap<u64, String>,
}

impl Heard {
    pub(super) async fn read(front: Front, mut answer: Answer, stream: bool) -> Heard {
        let bytes = answer.bytes().await;
        let raw = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        if stream && answer.status == 200 {
            return Heard { cut: answer.was_cut(), ..Heard::of(front, 200, raw) };
        }
        let mut heard = Heard { status: answer.status, raw, cut: answer.was_cut(), ..Heard::default() };
        let body: Value = serde_json::from_str(&heard.raw)
            .unwrap_or_else(|error| panic!("{} {error}: {}", heard.status, heard.raw));
        heard.whole(front, &body);
        heard
    }

    /// Reads a stream's whole text.
    pub(super) fn of(front: Front, status: u16, raw: String) -> Heard {
        let events = sse::parse(&raw);
        let mut heard = Heard { status, raw, ..Heard::default() };
        for event in &events {
            heard.event(front, event);
        }
        Heard { events, ..heard }
    }

    pub(super) fn text(&self, kind: Kind) -> &str {
        self.texts.get(&(0, kind)).map(String::as_str).unwrap_or_default()
    }

    fn add(&mut self, choice: u64, kind: Kind, text: &Value) {
        if let Some(text) = text.as_str().filter(|text| !text.is_empty()) {
            self.texts.entry((choice as u32, kind)).or_default().push_str(text);
        }
    }

    fn event(&mut self, front: Front, event: &sse::Event) {
        if event.is_done() {
            self.ended = true;
            return;
        }
        let data = event.json();
        assert!(data.is_object(), "no JSON object in {event:?}");
        if data["hook_results"].is_object() {
            self.hooks = data["hook_results"]["after_request_hooks"].clone();
            return;
        }
        if data["error"].is_object() {
            self.error = Some(data["error"].clone());
        } else if data["type"] == "error" || data["type"] == "response.failed" {
            self.error = Some(data.clone());
        }
        match front {
            Front::Chat | Front::Completions => self.chat_event(&data),
            Front::Messages => self.message_event(&data),
            Front::Responses => self.response_event(&data),
        }
    }

    fn chat_event(&mut self, data: &Value) {
        for choice in data["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().expect("an index");
            let delta = &choice["delta"];
            self.add(index, Kind::Text, &choice["text"]);
            self.add(index, Kind::Text, &delta["content"]);
            self.add(index, Kind::Reasoning, &delta["reasoning_content"]);
            self.add(index, Kind::Refusal, &delta["refusal"]);
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let tool = call["index"].as_u64().expect("an index") as u32;
                self.add(index, Kind::Arguments(tool), &call["function"]["arguments"]);
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                self.finishes.push(reason.to_owned());
            }
        }
    }

    fn message_event(&mut self, data: &Value) {
        let index = data["index"].as_u64().unwrap_or_default();
        match data["type"].as_str().unwrap_or_default() {
            "content_block_start" => {
                let tools = self.items.values().filter(|kind| matches!(kind, Kind::Arguments(_))).count();
                let kind = match data["content_block"]["type"].as_str().unwrap_or_default() {
                    "thinking" => Kind::Reasoning,
                    "tool_use" => Kind::Arguments(tools as u32),
                    _ => Kind::Text,
                };
                self.items.insert(index, kind);
                self.add(0, kind, &data["content_block"]["text"]);
            }
            "content_block_delta" => {
                let kind = self.items[&index];
                for member in ["text", "thinking", "partial_json"] {
                    self.add(0, kind, &data["delta"][member]);
                }
            }
            "message_delta" => {
                let reason = data["delta"]["stop_reason"].as_str();
                self.finishes.extend(reason.map(str::to_owned));
            }
            "message_stop" => self.ended = true,
            _ => {}
        }
    }

    fn response_event(&mut self, data: &Value) {
        let index = data["output_index"].as_u64().unwrap_or_default();
        let kind = data["type"].as_str().unwrap_or_default();
        let told = match kind {
            "response.output_item.added" => {
                let tools = self.items.values().filter(|kind| matches!(kind, Kind::Arguments(_))).count();
                match data["item"]["type"].as_str().unwrap_or_default() {
                    "reasoning" => drop(self.items.insert(index, Kind::Reasoning)),
                    "function_call" => drop(self.items.insert(index, Kind::Arguments(tools as u32))),
                    _ => {}
                }
                return;
            }
            "response.completed" => {
                self.ended = true;
                return;
            }
            _ if kind.starts_with("response.output_text.") => Kind::Text,
            _ if kind.starts_with("response.refusal.") => Kind::Refusal,
            _ if kind.starts_with("response.reasoning_") => Kind::Reasoning,
            _ if kind.starts_with("response.function_call_arguments.") => self.items[&index],
            _ => return,
        };
        let item = self.item_texts.entry(index).or_default();
        if kind.ends_with(".delta") {
            item.push_str(data["delta"].as_str().unwrap_or_default());
            self.add(0, told, &data["delta"]);
        } else if kind.ends_with(".done") {
            let members = [&data["text"], &data["refusal"], &data["arguments"]];
            if let Some(whole) = members.into_iter().find_map(Value::as_str) {
                assert_eq!(whole, item, "the end of a text repeats it: {data}");
            }
        }
    }

    fn whole(&mut self, front: Front, body: &Value) {
        self.error = body.get("error").filter(|error| error.is_object()).cloned();
        self.hooks = body["hook_results"]["after_request_hooks"].clone();
        self.ended = self.error.is_none();
        match front {
            Front::Chat | Front::Completions => {
                for choice in body["choices"].as_array().into_iter().flatten() {
                    let index = choice["index"].as_u64().expect("an index");
                    let message = &choice["message"];
                    self.add(index, Kind::Text, &choice["text"]);
                    self.add(index, Kind::Text, &message["content"]);
                    self.add(index, Kind::Reasoning, &message["reasoning_content"]);
                    self.add(index, Kind::Refusal, &message["refusal"]);
                    for (tool, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
                        self.add(index, Kind::Arguments(tool as u32), &call["function"]["arguments"]);
                    }
                }
            }
            Front::Messages => {
                let mut tools = 0;
                for block in body["content"].as_array().into_iter().flatten() {
                    self.add(0, Kind::Text, &block["text"]);
                    self.add(0, Kind::Reasoning, &block["thinking"]);
                    if block["type"] == "tool_use" {
                        self.add(0, Kind::Arguments(tools), &block["input"].to_string().into());
                        tools += 1;
                    }
                }
            }
            Front::Responses => {
                let mut tools = 0;
                for item in body["output"].as_array().into_iter().flatten() {
                    for part in item["content"].as_array().into_iter().flatten() {
                        self.add(0, Kind::Text, &part["text"]);
                        self.add(0, Kind::Refusal, &part["refusal"]);
                    }
                    for part in item["summary"].as_array().into_iter().flatten() {
                        self.add(0, Kind::Reasoning, &part["text"]);
                    }
                    if item["type"] == "function_call" {
                        self.add(0, Kind::Arguments(tools), &item["arguments"]);
                        tools += 1;
                    }
                }
            }
        }
    }

    /// Verdicts without times.
    pub(super) fn verdicts(&self) -> Value {
        let hooks = self.hooks.as_array().into_iter().flatten().map(|hook| {
            let checks = hook["checks"].as_array().into_iter().flatten().map(|check| {
                json!({
                    "id": check["id"], "verdict": check["verdict"], "transformed": check["transformed"],
                    "data": check["data"], "error": check.get("error"),
                })
            });
            let checks: Vec<Value> = checks.collect();
            json!({
                "id": hook["id"], "verdict": hook["verdict"], "deny": hook["deny"],
                "transformed": hook["transformed"], "checks": checks,
            })
        });
        hooks.collect()
    }

    /// Every string that the client can read, results of hooks included.
    pub(super) fn strings(&self) -> Vec<String> {
        fn collect(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::String(text) => into.push(text.clone()),
                Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
                Value::Object(members) => {
                    for (name, value) in members {
                        into.push(name.clone());
                        collect(value, into);
                    }
                }
                _ => {}
            }
        }
        let mut strings: Vec<String> = self.texts.values().cloned().collect();
        strings.push(self.raw.clone());
        for event in &self.events {
            collect(&event.json(), &mut strings);
        }
        strings
    }
}
