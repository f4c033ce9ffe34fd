//! What is sent: a full call on every wire, edited for every vendor.

use serde_json::{Map, Value, json};

use super::corpus::{self, wire_of};
use super::vendors::destinations;
use crate::call::{ChatCall, Media, Message, Part, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice};
use crate::fields::Fields;
use crate::provider::{Destination, Endpoint, Lane, Provider, Wire};
use crate::registry;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

/// Adds one feature to a call.
type Feature = (&'static str, fn(&mut ChatCall));

/// Each feature, with a mark that must be found in what is sent.
const FEATURES: [Feature; 12] = [
    ("SystemMark", |call| call.messages.insert(0, message(Role::System, vec![Part::text("SystemMark")]))),
    ("DeveloperMark", |call| {
        call.messages.insert(0, message(Role::Developer, vec![Part::text("DeveloperMark")]))
    }),
    ("tool_mark", |call| call.tools.push(function("tool_mark"))),
    ("choice_mark", |call| {
        call.tools.push(function("choice_mark"));
        call.tool_choice = Some(ToolChoice::Named("choice_mark".into()));
        call.parallel_tool_calls = Some(false);
    }),
    ("ResultMark", |call| {
        call.tools.push(function("look"));
        let (id, name) = ("call_1".to_owned(), "look".to_owned());
        let arguments = r#"{"at":"tide"}"#.to_owned();
        let called = Part::ToolCall { id: id.clone(), name: name.clone(), arguments, signature: None };
        let content = vec![Part::text("ResultMark")];
        let result = Part::ToolResult { id, name: Some(name), content, is_error: false, cache_control: None };
        call.messages.push(message(Role::Assistant, vec![Part::text("I look."), called]));
        call.messages.push(message(Role::Tool, vec![result]));
    }),
    ("aW1hZ2VtYXJr", |call| {
        let source = Media::Base64 { media_type: "image/png".into(), data: "aW1hZ2VtYXJr".into() };
        let image = Part::Image { source, detail: Some("low".into()), cache_control: None };
        call.messages.push(message(Role::User, vec![Part::text("What is it?"), image]));
    }),
    ("StopMark", |call| call.stop = vec!["StopMark".into(), "END".into()]),
    ("4321", |call| call.max_tokens = Some(4321)),
    ("schema_mark", |call| {
        let schema = json!({
            "type": "object", "properties": {"schema_mark": {"type": "string"}}, "required": ["schema_mark"],
            "additionalProperties": false,
        });
        let (name, description, strict) = ("answer".into(), Some("The answer".into()), Some(true));
        call.response_format = Some(ResponseFormat::JsonSchema { name, description, schema, strict });
    }),
    ("", |call| {
        call.reasoning = Some(ReasoningRequest { effort: Some("high".into()), ..Default::default() })
    }),
    ("", |call| call.reasoning = Some(ReasoningRequest { budget_tokens: Some(2048), ..Default::default() })),
    ("", |call| {
        call.stream = true;
        (call.temperature, call.top_p, call.top_k, call.n) = (Some(2.0), Some(1.0), Some(5), Some(1));
        (call.seed, call.user, call.service_tier) = (Some(-7), Some("u".into()), Some("auto".into()));
        (call.frequency_penalty, call.presence_penalty) = (Some(0.5), Some(-0.5));
        (call.logprobs, call.top_logprobs) = (Some(true), Some(2));
        call.metadata = Some(Map::from_iter([("user_id".to_owned(), json!("u"))]));
        call.extra = Map::from_iter([("my_own".to_owned(), json!({"a": [1, null]}))]);
    }),
];

fn function(name: &str) -> Tool {
    let parameters = json!({"type": "object", "properties": {"at": {"type": "string"}}});
    let (name, description) = (name.to_owned(), Some("Looks".to_owned()));
    Tool::Function {
        name,
        description,
        parameters: Some(parameters),
        strict: Some(true),
        cache_control: None,
    }
}

fn greeting(model: &str) -> ChatCall {
    let hello = message(Role::User, vec![Part::text("Hello é漢字🦀")]);
    ChatCall { model: model.to_owned(), messages: vec![hello], ..ChatCall::default() }
}

/// Returns the vendors that have conversations.
fn talkers() -> impl Iterator<Item = &'static dyn Provider> {
    registry::all().filter(|provider| provider.lane(Endpoint::Chat, "model-x").is_some())
}

/// Writes and edits a call as the pipeline does, and returns the body.
fn sent(provider: &dyn Provider, call: &ChatCall) -> Option<String> {
    let what = || format!("{}: {call:#?}", provider.slug());
    let wire = wire_of(provider);
    let body = match registry::outbound(wire).write_call(call) {
        Ok(body) => body.to_string(),
        Err(error) => {
            assert!(error.param.is_some() && !error.message.is_empty(), "{error:?} {}", what());
            return None;
        }
    };
    let mut fields = Fields::parse(body.as_bytes()).unwrap();
    let lane = provider.lane(Endpoint::Chat, &call.model).unwrap();
    let to = Destination { endpoint: Endpoint::Chat, lane, model: &call.model, stream: call.stream };
    provider.adapt(&to, &mut fields);
    let adapted = String::from_utf8(fields.to_vec()).unwrap();
    assert!(serde_json::from_str::<Map<String, Value>>(&adapted).is_ok(), "{adapted} {}", what());
    Some(adapted)
}

#[test]
fn every_feature_reaches_every_vendor() {
    for provider in talkers() {
        for model in [
            "model-x",
            "gpt-5",
            "o3-mini",
            "gpt-4o",
            "claude-sonnet-4-5",
            "claude-opus-4-6",
            "gemini-2.5-pro",
            "gemini-3-pro-preview",
        ] {
            for (mark, feature) in FEATURES {
                let mut call = greeting(model);
                feature(&mut call);
                // A vendor may refuse what it can't do, but none of these is beyond any of them.
                let body = sent(provider, &call)
                    .unwrap_or_else(|| panic!("{} {model} refuses {mark}", provider.slug()));
                // Reasoning models of OpenAI take no stop sequences.
                let dropped = mark == "StopMark" && (model.starts_with("gpt-5") || model.starts_with("o3"));
                assert!(body.contains(mark) || dropped, "{} {model} lost {mark}: {body}", provider.slug());
                assert!(body.contains("é漢字🦀"), "{} {model} {mark}: {body}", provider.slug());
            }
            let mut call = greeting(model);
            FEATURES.iter().for_each(|(_, feature)| feature(&mut call));
            sent(provider, &call)
                .unwrap_or_else(|| panic!("{} {model} refuses all at once", provider.slug()));
        }
    }
}

#[test]
fn a_streamed_call_asks_for_a_stream_with_usage() {
    for provider in talkers() {
        let call = ChatCall { stream: true, ..greeting("model-x") };
        let body: Value = serde_json::from_str(&sent(provider, &call).unwrap()).unwrap();
        match wire_of(provider) {
            // Gemini says it in the URL.
            Wire::Gemini => assert_eq!(body.get("stream"), None),
            wire => {
                assert_eq!(body["stream"], true, "{}: {body}", provider.slug());
                let options = body.get("stream_options");
                let asked = options.is_none_or(|options| options["include_usage"] == true);
                assert!(asked && (wire == Wire::Chat || options.is_none()), "{}: {body}", provider.slug());
            }
        }
    }
}

/// Bodies of clients, good ones and such that only the vendor can judge.
fn bodies() -> Vec<String> {
    let good = json!({
        "model": "model-x", "messages": [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": "é"}],
        "max_tokens": 5, "max_completion_tokens": 6, "seed": 7, "stream": true, "stream_options": {"include_usage": false},
        "reasoning_effort": "high", "temperature": 0.5, "stop": ["END"], "metadata": {"a": "b"}, "store": true,
        "input": "é", "prompt": "é", "size": "1024x1024", "response_format": "b64_json", "encoding_format": "float",
    });
    let names: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    let mut bodies =
        vec![good.to_string(), "{}".to_owned(), r#"{"model":"model-x","model":"model-y"}"#.to_owned()];
    for odd in [
        Value::Null,
        json!(7),
        json!(-0.5),
        json!("x\"\u{0}"),
        json!([]),
        json!([null, 1, {}]),
        json!({"role": 7}),
    ] {
        let all = names.iter().map(|name| (name.clone(), odd.clone()));
        bodies.push(Value::Object(all.collect()).to_string());
        // One at a time with the values that readers stumble over.
        for name in names.iter().filter(|_| odd.is_null() || odd.is_number() || odd.is_array()) {
            let mut body = good.clone();
            body[name.as_str()] = odd.clone();
            bodies.push(body.to_string());
        }
    }
    bodies
}

#[test]
fn an_adapted_body_is_json_and_keeps_what_is_not_the_vendors_matter() {
    let bodies = bodies();
    for provider in registry::all() {
        for to in ["gpt-5", "llama-3"].iter().flat_map(|model| destinations(provider, model)) {
            for body in &bodies {
                let mut fields = Fields::parse(body.as_bytes()).unwrap();
                fields.set_raw("my_own", r#"{ "kept" : "as sent" }"#);
                let model = fields.raw("model").map(str::to_owned);
                provider.adapt(&to, &mut fields);
                let written = String::from_utf8(fields.to_vec()).unwrap();
                let what = || format!("{} {to:?}: {body} became {written}", provider.slug());
                assert!(serde_json::from_str::<Map<String, Value>>(&written).is_ok(), "{}", what());
                assert!(written.contains(r#"{ "kept" : "as sent" }"#), "{}", what());
                assert_eq!(fields.raw("model").map(str::to_owned), model, "{}", what());
                let mut names: Vec<&str> = fields.names().collect();
                names.sort_unstable();
                assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}", what());
            }
        }
    }
}

#[test]
fn request_fixtures_are_bodies_of_their_wire() {
    for file in corpus::all().iter().filter(|file| file.name == "request.json") {
        let body: Value = serde_json::from_slice(&file.bytes).unwrap();
        let Some(inbound) = registry::inbound(file.wire()) else {
            assert!(body["contents"].is_array(), "{}", file.path());
            continue;
        };
        let call = inbound.read_call(&body).unwrap_or_else(|error| panic!("{}: {error:?}", file.path()));
        assert_eq!(Some(call.model.as_str()), body["model"].as_str(), "{}", file.path());
        assert_eq!(
            Some(call.stream),
            body.get("stream").map_or(Some(false), Value::as_bool),
            "{}",
            file.path()
        );
        // Whatever the client's wire, every vendor can be asked the same, or says which member stands in the way.
        for provider in talkers() {
            sent(provider, &call);
        }
    }
}

#[test]
fn exchanges_write_json_or_name_the_member() {
    for provider in registry::all() {
        for model in ["model-x", "imagen-4.0-generate-001"] {
            for to in destinations(provider, model) {
                let Lane::Exchange(exchange) = to.lane else { continue };
                for body in bodies() {
                    let fields = Fields::parse(body.as_bytes()).unwrap();
                    match exchange.request(to.model, &fields) {
                        Ok(written) => assert!(serde_json::from_slice::<Value>(&written).is_ok(), "{body}"),
                        Err(error) => assert!(error.param.is_some(), "{} {body}: {error:?}", provider.slug()),
                    }
                    for answer in [&b""[..], b"{}", b"null", b"\xff", b"[]"] {
                        if let Err(error) = exchange.answer(to.model, &fields, answer) {
                            assert!((400..600).contains(&error.status), "{error:?}");
                        }
                    }
                }
            }
        }
    }
}
