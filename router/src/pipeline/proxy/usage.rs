//! Finds the tokens that an answer tells of, in whatever format it is.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_providers::{Usage, Wire, look, registry};

/// Reads the usage of a JSON answer or of one event.
#[must_use]
pub(super) fn of_json(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        /// Anthropic's `message_start`.
        #[serde(borrow, default)]
        message: Option<&'a RawValue>,
        /// OpenAI's `response.completed`.
        #[serde(borrow, default)]
        response: Option<&'a RawValue>,
    }
    memmem::find(body, b"\"usage")?;
    if memmem::find(body, b"\"usageMetadata\"").is_some() {
        return registry::outbound(Wire::Gemini).read_answer(body).ok()?.usage;
    }
    let found = look::usage_of(body).unwrap_or_default().or_else(|| {
        let outer = serde_json::from_slice::<Outer<'_>>(body).ok()?;
        look::usage_of(outer.message.or(outer.response)?.get().as_bytes()).unwrap_or_default()
    });
    found.filter(|usage| usage.total() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_usage_is_found() {
        for body in [
            r#"{"id":"x","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#,
            r#"{"type":"message","usage":{"input_tokens":3,"output_tokens":4}}"#,
            r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":4}}}"#,
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}"#,
        ] {
            let usage = of_json(body.as_bytes()).unwrap_or_else(|| panic!("nothing in {body}"));
            assert_eq!((usage.input, usage.output), (3, 4), "{body}");
        }
        for body in ["", "{}", "[1]", r#"{"usage":null}"#, r#"{"usage":{"bytes":9}}"#, "\"usage"] {
            assert_eq!(of_json(body.as_bytes()), None, "{body}");
        }
    }
}
