//! What was said so far, laid into the request for the next vendor.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tidegate_config::{Hooks, Target};
use tidegate_providers::{Endpoint, Fields};

use super::encode::Payload;
use super::joint::{Manner, Said};
use super::resolve::Route;
use super::route::Trip;
use super::shape::{self, Shape};
use crate::error::{ErrorKind, GatewayError};

/// What a vendor is asked that takes no beginning of its own answer.
const GO_ON: &str = "Your last message was cut off in the middle. Go on from exactly where it ends: begin with the very \
                     next character, repeat nothing of it, and say nothing about the interruption.";

/// The beginning of an answer that another vendor is to continue.
pub(super) struct Prefix {
    /// The text.
    pub text: String,
    /// Output tokens that it took.
    pub output: u64,
    /// Guardrails that watch the stream; a target with others would escape its own.
    pub hooks: Arc<Hooks>,
}

/// Returns whether an answer to this request could be continued by another vendor: plain text, one choice.
#[must_use]
fn continues(endpoint: Endpoint, shape: &Shape, fields: &Fields<'_>) -> bool {
    let kind = |name: &str| {
        let value: Value = serde_json::from_str(fields.raw(name)?).ok()?;
        value.get("type")?.as_str().map(str::to_owned)
    };
    let plain = kind("response_format").is_none_or(|kind| kind == "text")
        && kind("thinking").is_none_or(|kind| kind == "disabled")
        && !["output_format", "output_config", "audio"].iter().any(|name| fields.has(name))
        && fields.raw("logprobs") != Some("true");
    shape.stream && shape.n == 1 && plain && matches!(endpoint, Endpoint::Chat | Endpoint::Messages)
}

/// Returns what is kept of an answer, so that it continues another one (`prefix`) or may be continued itself.
pub(super) fn said(
    prefix: Option<&Prefix>,
    continuable: bool,
    (endpoint, vendor): (Endpoint, &str),
    route: &Route,
    (shape, payload): (&Shape, &Payload<'_>),
) -> Option<Said> {
    if let Some(prefix) = prefix {
        return Some(Said::after(&prefix.text, manner(endpoint, vendor, &route.model)));
    }
    let Payload::Json(fields) = payload else { return None };
    (continuable && continues(endpoint, shape, fields)).then(Said::default)
}

/// Returns how a vendor is brought to continue a text.
#[must_use]
fn manner(endpoint: Endpoint, vendor: &str, model: &str) -> Manner {
    let takes = match vendor {
        "anthropic" => takes_prefill(model),
        // Translation from another dialect knows no such flag.
        _ => endpoint == Endpoint::Chat && flag(vendor).is_some(),
    };
    if takes { Manner::Prefix } else { Manner::Asked }
}

/// The vendors' own words for "this message is the beginning of yours".
fn flag(vendor: &str) -> Option<&'static str> {
    match vendor {
        "mistral-ai" => Some("prefix"),
        "moonshot" | "dashscope" => Some("partial"),
        _ => None,
    }
}

/// Claude models from 4.6 on refuse a conversation that ends with their own words.
fn takes_prefill(model: &str) -> bool {
    let Some((_, rest)) = model.split_once("claude-") else { return true };
    let mut numbers = rest.split(['-', '.', '@', ':']).filter_map(|part| part.parse::<u32>().ok());
    // A date follows the version: claude-sonnet-4-20250514.
    let (major, minor) =
        (numbers.next().unwrap_or(0), numbers.next().filter(|minor| *minor < 100).unwrap_or(0));
    (major, minor) < (4, 6)
}

impl Prefix {
    /// Lays the text into a body in the client's dialect.
    ///
    /// # Errors
    /// What stands against it.
    pub(super) fn lay(
        &self,
        fields: &mut Fields<'_>,
        endpoint: Endpoint,
        (vendor, model): (&str, &str),
    ) -> Result<(), GatewayError> {
        let refused = |message: &str| GatewayError::new(ErrorKind::Invalid, message);
        for name in ["max_tokens", "max_completion_tokens"] {
            let Some(limit) = fields.raw(name).and_then(|raw| raw.parse::<u64>().ok()) else { continue };
            if limit <= self.output {
                return Err(refused("the answer had reached its output limit"));
            }
            fields.set_raw(name, (limit - self.output).to_string());
        }
        // No vendor takes white space at the end of its own words; what it repeats of it is dropped.
        let text = self.text.trim_end();
        if text.is_empty() {
            return Ok(());
        }
        let raw = fields.raw("messages").unwrap_or_default();
        let messages: Vec<&RawValue> =
            serde_json::from_str(raw).map_err(|_| refused("the request has no list of messages"))?;
        let role = |message: &RawValue| {
            let message: Value = serde_json::from_str(message.get()).ok()?;
            message.get("role")?.as_str().map(str::to_owned)
        };
        if messages.last().and_then(|last| role(last)).is_none_or(|role| role == "assistant") {
            return Err(refused("the request itself begins the answer"));
        }
        let mut own = json!({ "role": "assistant", "content": text });
        let mut more = String::new();
        match manner(endpoint, vendor, model) {
            Manner::Prefix => {
                if let Some(flag) = flag(vendor) {
                    own[flag] = true.into();
                }
            }
            Manner::Asked => more = format!(",{}", json!({ "role": "user", "content": GO_ON })),
        }
        let end = raw.rfind(']').unwrap_or(raw.len());
        let joined = format!("{},{own}{more}]", &raw[..end]);
        fields.set_raw("messages", joined);
        Ok(())
    }
}

impl Trip<'_> {
    /// Lays the beginning of an answer that is to be continued into a target's body.
    pub(super) fn lengthened<'b>(
        &self,
        target: &Target,
        route: &Route,
        prefix: &Prefix,
        fields: &Fields<'b>,
    ) -> Result<(Fields<'b>, Shape), GatewayError> {
        if *prefix.hooks != *target.hooks {
            let message = "the target has other guardrails than the stream that it is to continue";
            return Err(GatewayError::new(ErrorKind::Invalid, message));
        }
        let mut fields = fields.clone();
        let vendor = (route.provider.vendor().slug(), route.model.as_str());
        prefix.lay(&mut fields, self.request.endpoint, vendor)?;
        let shape = shape::of_json(self.request.endpoint, &fields)?;
        Ok((fields, shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(body: &str, vendor: &str, model: &str, text: &str) -> Result<Value, String> {
        let prefix = Prefix { text: text.into(), output: 7, hooks: Arc::default() };
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        prefix.lay(&mut fields, Endpoint::Chat, (vendor, model)).map_err(|error| error.message)?;
        Ok(serde_json::from_slice(&fields.to_vec()).unwrap())
    }

    const ASKED: &str = r#"{"messages": [{"role": "user", "content": "hi"} ], "max_tokens": 100}"#;

    #[test]
    fn each_vendor_is_told_in_its_own_way() {
        let anthropic = laid(ASKED, "anthropic", "claude-sonnet-4-5", "Hello \"you\" ").unwrap();
        assert_eq!(anthropic["messages"][1], json!({"role": "assistant", "content": "Hello \"you\""}));
        assert_eq!(anthropic["messages"].as_array().unwrap().len(), 2);
        assert_eq!(anthropic["max_tokens"], 93);
        let mistral = laid(ASKED, "mistral-ai", "m", "Hello").unwrap();
        assert_eq!(mistral["messages"][1], json!({"role": "assistant", "content": "Hello", "prefix": true}));
        let openai = laid(ASKED, "openai", "gpt-5", "Hello").unwrap();
        assert_eq!(openai["messages"][1], json!({"role": "assistant", "content": "Hello"}));
        assert_eq!(openai["messages"][2], json!({"role": "user", "content": GO_ON}));
    }

    #[test]
    fn claude_takes_prefills_up_to_4_5() {
        for model in ["mock", "claude-3-5-haiku-20241022", "claude-sonnet-4-20250514", "claude-opus-4-5@2025"]
        {
            assert_eq!(manner(Endpoint::Messages, "anthropic", model), Manner::Prefix, "{model}");
        }
        for model in ["claude-opus-4-6", "claude-sonnet-4-6-20260101", "claude-opus-5"] {
            assert_eq!(manner(Endpoint::Messages, "anthropic", model), Manner::Asked, "{model}");
        }
        assert_eq!(manner(Endpoint::Chat, "mistral-ai", "m"), Manner::Prefix);
        assert_eq!(manner(Endpoint::Messages, "mistral-ai", "m"), Manner::Asked);
    }

    #[test]
    fn what_cannot_be_continued_is_refused() {
        let own = r#"{"messages": [{"role": "assistant", "content": "The"}]}"#;
        assert!(laid(own, "anthropic", "m", "Hello").is_err());
        assert!(laid(r#"{"messages": []}"#, "openai", "m", "Hello").is_err());
        assert!(
            laid(r#"{"messages": [{"role": "user"}], "max_tokens": 7}"#, "openai", "m", "Hello").is_err()
        );
    }

    #[test]
    fn nothing_said_is_the_request_as_it_was() {
        let again = laid(ASKED, "openai", "m", " \n").unwrap();
        assert_eq!(again["messages"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn only_plain_text_of_one_choice_continues() {
        let fits = |body: &str| {
            let fields = Fields::parse(body.as_bytes()).unwrap();
            let shape = Shape { stream: true, n: 1, ..Shape::default() };
            continues(Endpoint::Chat, &shape, &fields)
        };
        assert!(fits(r#"{"response_format": {"type": "text"}, "tools": []}"#));
        for body in [
            r#"{"response_format": {"type": "json_schema"}}"#,
            r#"{"thinking": {"type": "enabled", "budget_tokens": 5}}"#,
            r#"{"logprobs": true}"#,
            r#"{"audio": {"voice": "a"}}"#,
        ] {
            assert!(!fits(body), "{body}");
        }
    }
}
