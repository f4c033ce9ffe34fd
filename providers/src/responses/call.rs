//! Body of `POST /v1/responses` → [`ChatCall`]: everything but the input items and the tools.

use serde_json::Value;

use crate::call::{ChatCall, Message, Part, ReasoningRequest, ResponseFormat, Role};
use crate::error::InvalidCall;

use super::input::messages_from_input;
use super::members::Members;
use super::tools::read_tools;

/// Members that name something kept at OpenAI. Another vendor can't have it.
const STORED: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Reads a whole call.
pub(super) fn call_from_body(body: &Value) -> Result<ChatCall, InvalidCall> {
    let body = Members::of(body, "")?;
    refuse_stored(&body)?;

    let mut messages = Vec::new();
    if let Some(text) = body.text("instructions")? {
        messages.push(Message { role: Role::System, name: None, parts: vec![Part::text(text)] });
    }
    match body.get("input") {
        Some(input) => messages_from_input(input, &mut messages)?,
        None => return Err(body.fault("input", "is required: a string or an array of items")),
    }

    let (tools, tool_choice) = read_tools(&body)?;
    // `user` is the older member; a client that sends both means the same person twice.
    let user = match body.text("user")? {
        Some(user) => Some(user),
        None => body.text("safety_identifier")?,
    };
    Ok(ChatCall {
        model: body.text("model")?.unwrap_or_default().to_owned(),
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: body.flag("parallel_tool_calls")?,
        max_tokens: body.count("max_output_tokens")?,
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        response_format: read_format(&body)?,
        reasoning: read_reasoning(&body)?,
        user: user.map(str::to_owned),
        stream: body.flag("stream")?.unwrap_or_default(),
        metadata: body.object("metadata")?.cloned(),
        service_tier: body.text("service_tier")?.map(str::to_owned),
        ..ChatCall::default()
    })
}

fn refuse_stored(body: &Members<'_, '_>) -> Result<(), InvalidCall> {
    for name in STORED {
        if body.get(name).is_some() {
            return Err(needs_native(name));
        }
    }
    if body.flag("background")? == Some(true) {
        return Err(InvalidCall::at(
            "background",
            "background responses need a vendor with a native Responses API; leave `background` out",
        ));
    }
    Ok(())
}

/// Makes the error about something stored at the vendor.
pub(super) fn needs_native(path: impl Into<String>) -> InvalidCall {
    let path = path.into();
    let message = format!(
        "{path} is not supported here: stored responses need a vendor with a native Responses API; \
         send the whole conversation in `input`"
    );
    InvalidCall::at(path, message)
}

fn read_format(body: &Members<'_, '_>) -> Result<Option<ResponseFormat>, InvalidCall> {
    let Some(text) = body.get("text") else { return Ok(None) };
    let text = Members::of(text, "text")?;
    let Some(format) = text.get("format") else { return Ok(None) };
    let format = Members::of(format, "text.format")?;
    match format.required_text("type")? {
        "text" => Ok(Some(ResponseFormat::Text)),
        "json_object" => Ok(Some(ResponseFormat::JsonObject)),
        "json_schema" => {
            let Some(schema) = format.get("schema") else {
                return Err(format.fault("schema", "is required with type json_schema"));
            };
            Ok(Some(ResponseFormat::JsonSchema {
                name: format.required_text("name")?.to_owned(),
                description: format.text("description")?.map(str::to_owned),
                schema: schema.clone(),
                strict: format.flag("strict")?,
            }))
        }
        other => {
            let what = format!("must be text, json_object or json_schema, not {other}");
            Err(format.fault("type", &what))
        }
    }
}

fn read_reasoning(body: &Members<'_, '_>) -> Result<Option<ReasoningRequest>, InvalidCall> {
    let Some(reasoning) = body.get("reasoning") else { return Ok(None) };
    let reasoning = Members::of(reasoning, "reasoning")?;
    let effort = reasoning.text("effort")?.map(str::to_owned);
    // `generate_summary` is the older name of `summary`.
    let wants_summary = reasoning.text("summary")?.is_some() || reasoning.text("generate_summary")?.is_some();
    if effort.is_none() && !wants_summary {
        return Ok(None);
    }
    Ok(Some(ReasoningRequest {
        effort,
        include_thoughts: wants_summary.then_some(true),
        ..ReasoningRequest::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: Value) -> InvalidCall {
        call_from_body(&body).unwrap_err()
    }

    #[test]
    fn plain_text_becomes_one_user_message_after_the_instructions() {
        let call =
            call_from_body(&json!({"model": "m", "instructions": "Be brief.", "input": "Hi"})).unwrap();
        assert_eq!(call.model, "m");
        assert_eq!(call.messages[0].role, Role::System);
        assert_eq!(call.messages[1].role, Role::User);
        assert_eq!(call.messages[1].parts, [Part::text("Hi")]);
        assert!(!call.stream);
    }

    #[test]
    fn tuning_members_find_their_places() {
        let call = call_from_body(&json!({
            "model": "m", "input": "x", "max_output_tokens": 9, "temperature": 0.5, "top_p": 1,
            "parallel_tool_calls": false, "safety_identifier": "u1", "metadata": {"k": "v"}, "stream": true,
            "store": true, "include": ["x"], "truncation": "auto", "shoe_size": 42,
            "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}},
            "reasoning": {"effort": "low", "summary": "auto"},
        }))
        .unwrap();
        assert_eq!(call.max_tokens, Some(9));
        assert_eq!((call.temperature, call.top_p), (Some(0.5), Some(1.0)));
        assert_eq!(call.parallel_tool_calls, Some(false));
        assert_eq!(call.user.as_deref(), Some("u1"));
        assert!(call.stream && call.metadata.is_some());
        let reasoning = call.reasoning.unwrap();
        assert_eq!(reasoning.effort.as_deref(), Some("low"));
        assert_eq!(reasoning.include_thoughts, Some(true));
        assert!(matches!(call.response_format, Some(ResponseFormat::JsonSchema { strict: Some(true), .. })));
        assert!(call.extra.is_empty());
    }

    #[test]
    fn what_is_stored_at_the_vendor_is_refused_by_name() {
        for name in STORED {
            let error = refused(json!({"model": "m", "input": "x", name: "id"}));
            assert_eq!(error.param.as_deref(), Some(name));
            assert!(error.message.contains("native Responses API"), "{}", error.message);
        }
        let null = json!({"model": "m", "input": "x", "previous_response_id": null, "background": false});
        assert!(call_from_body(&null).is_ok());
    }

    #[test]
    fn background_is_refused() {
        let error = refused(json!({"model": "m", "input": "x", "background": true}));
        assert_eq!(error.param.as_deref(), Some("background"));
    }

    #[test]
    fn missing_input_is_refused() {
        assert_eq!(refused(json!({"model": "m"})).param.as_deref(), Some("input"));
        assert_eq!(refused(json!([])).param, None);
    }
}
