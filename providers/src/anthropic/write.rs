//! Writes a canonical call as a request of the Messages wire.

use serde_json::{Map, Value, json};

use super::content_write::Conversation;
use super::model::Model;
use super::{thinking, tools};
use crate::call::{ChatCall, ResponseFormat};
use crate::error::InvalidCall;

/// Members of Anthropic's own that have no canonical place and are copied when a client sent them. Everything else
/// in `extra` may be OpenAI's, and the vendor refuses members it doesn't know.
const PASSED_ON: [&str; 7] = [
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "speed",
];

/// Writes a whole body.
pub(super) fn call(call: &ChatCall) -> Result<Value, InvalidCall> {
    let model = Model::parse(&call.model);
    let max_tokens = call.max_tokens.unwrap_or_else(|| model.default_max_tokens());
    let plan = thinking::plan(call, model, max_tokens)?;
    let mut conversation = Conversation::from_messages(&call.messages)?;
    let mut output_config = Map::new();
    if let Some(effort) = plan.effort {
        output_config.insert("effort".to_owned(), effort.into());
    }
    response_format(call, model, &mut conversation.system, &mut output_config);

    let mut body = Map::new();
    body.insert("model".to_owned(), call.model.as_str().into());
    body.insert("max_tokens".to_owned(), max_tokens.into());
    if !conversation.system.is_empty() {
        body.insert("system".to_owned(), Value::Array(std::mem::take(&mut conversation.system)));
    }
    body.insert("messages".to_owned(), Value::Array(conversation.into_messages()));
    tools::write(call, model, &mut body)?;
    sampling(call, model, plan.thinks(), &mut body);
    let stop = stop_sequences(&call.stop);
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), Value::Array(stop));
    }
    if let Some(thinking) = plan.thinking {
        body.insert("thinking".to_owned(), thinking);
    }
    if !output_config.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(output_config));
    }
    if let Some(user) = &call.user {
        body.insert("metadata".to_owned(), json!({"user_id": user}));
    }
    // `auto` is the default here, and OpenAI's other tiers don't exist.
    if call.service_tier.as_deref() == Some("standard_only") {
        body.insert("service_tier".to_owned(), "standard_only".into());
    }
    if call.stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    for name in PASSED_ON {
        if let Some(value) = call.extra.get(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(body))
}

fn sampling(call: &ChatCall, model: Model, thinks: bool, body: &mut Map<String, Value>) {
    // Dropping beats refusing: callers send OpenAI's habitual temperature without minding it, and the vendor
    // answers 400.
    if model.samples_its_own_way() {
        return;
    }
    let mut temperature = call.temperature.map(|temperature| temperature.clamp(0.0, 1.0));
    let mut top_p = call.top_p.map(|top_p| top_p.clamp(0.0, 1.0));
    if thinks {
        // A thinking model takes temperature 1, `top_p` from 0.95 up, and no `top_k`.
        temperature = temperature.filter(|temperature| *temperature >= 1.0);
        top_p = top_p.filter(|top_p| *top_p >= 0.95);
    }
    if temperature.is_some() && model.takes_one_sampler() {
        top_p = None;
    }
    if let Some(temperature) = temperature {
        body.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(top_p) = top_p {
        body.insert("top_p".to_owned(), top_p.into());
    }
    if let (Some(top_k), false) = (call.top_k, thinks) {
        body.insert("top_k".to_owned(), top_k.into());
    }
}

/// The vendor refuses stop sequences of white space only.
fn stop_sequences(stop: &[String]) -> Vec<Value> {
    stop.iter().filter(|text| !text.trim().is_empty()).map(|text| text.as_str().into()).collect()
}

/// Asks for JSON: by schema where the model can enforce one, otherwise in words at the end of `system`, behind
/// whatever the caller caches. The wire has no "any JSON" mode; OpenAI's clients rely on it all the same.
fn response_format(call: &ChatCall, model: Model, system: &mut Vec<Value>, config: &mut Map<String, Value>) {
    const ONLY_JSON: &str =
        "Answer with a single JSON object and nothing else: no code fence, no words around it.";
    let instruction = match &call.response_format {
        None | Some(ResponseFormat::Text) => return,
        Some(ResponseFormat::JsonObject) => ONLY_JSON.to_owned(),
        Some(ResponseFormat::JsonSchema { schema, .. }) if model.has_structured_outputs() => {
            config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
            return;
        }
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            format!("{ONLY_JSON} The object must be valid under this JSON Schema: {schema}")
        }
    };
    system.push(json!({"type": "text", "text": instruction}));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Message, Part, ReasoningRequest, Role};

    fn hello(model: &str) -> ChatCall {
        let message = Message { role: Role::User, name: None, parts: vec![Part::text("Hi")] };
        ChatCall { model: model.into(), messages: vec![message], ..ChatCall::default() }
    }

    #[test]
    fn sampling_is_fitted_to_the_model() {
        let asked = |model: &str| {
            let call = ChatCall { temperature: Some(1.7), top_p: Some(0.5), top_k: Some(4), ..hello(model) };
            super::call(&call).unwrap()
        };
        let old = asked("claude-3-haiku");
        assert_eq!(
            (&old["temperature"], &old["top_p"], &old["top_k"]),
            (&json!(1.0), &json!(0.5), &json!(4))
        );
        let one = asked("claude-sonnet-4-5");
        assert_eq!((&one["temperature"], &one["top_p"]), (&json!(1.0), &Value::Null));
        let none = asked("claude-opus-5");
        assert_eq!(
            (&none["temperature"], &none["top_p"], &none["top_k"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }

    #[test]
    fn thinking_restricts_sampling() {
        let raw = Some(json!({"type": "enabled", "budget_tokens": 2048}));
        let reasoning = Some(ReasoningRequest { raw, ..ReasoningRequest::default() });
        let call =
            ChatCall { temperature: Some(0.5), top_k: Some(4), reasoning, ..hello("claude-sonnet-4-5") };
        let body = super::call(&call).unwrap();
        assert_eq!(body["thinking"]["budget_tokens"], 2048);
        assert_eq!((&body["temperature"], &body["top_k"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn json_is_asked_for_by_schema_or_in_words() {
        let schema = ResponseFormat::JsonSchema {
            name: "n".into(),
            description: None,
            schema: json!({"type": "object"}),
            strict: None,
        };
        let asked = |model: &str, format: &ResponseFormat| {
            super::call(&ChatCall { response_format: Some(format.clone()), ..hello(model) }).unwrap()
        };
        let body = asked("claude-opus-5", &schema);
        assert_eq!(
            body["output_config"]["format"],
            json!({"type": "json_schema", "schema": {"type": "object"}})
        );
        assert_eq!(body["system"], Value::Null);
        let body = asked("claude-3-haiku", &schema);
        assert!(body["system"][0]["text"].as_str().unwrap().ends_with(r#"{"type":"object"}"#));
        let body = asked("claude-opus-5", &ResponseFormat::JsonObject);
        assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON object"));
    }

    #[test]
    fn blank_stop_sequences_are_dropped() {
        let call = ChatCall { stop: vec!["\n".into(), "END".into()], ..hello("claude-opus-5") };
        assert_eq!(super::call(&call).unwrap()["stop_sequences"], json!(["END"]));
    }

    #[test]
    fn only_members_of_this_wire_are_passed_on() {
        let mut call = hello("claude-opus-5");
        call.extra.insert("logit_bias".into(), json!({}));
        call.extra.insert("container".into(), json!("c"));
        let body = super::call(&call).unwrap();
        assert_eq!(body["container"], "c");
        assert_eq!(body.get("logit_bias"), None);
    }

    #[test]
    fn a_call_without_conversation_is_refused() {
        let call = ChatCall { messages: Vec::new(), ..hello("claude-opus-5") };
        assert_eq!(super::call(&call).unwrap_err().param.as_deref(), Some("messages"));
    }
}
