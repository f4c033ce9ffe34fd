//! Reads usage out of whole native answers in passing, and tells which bodies are no answers; see [`look`](crate::look).

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::UpstreamError;
use crate::provider::{Endpoint, Wire};
use crate::scan::Scan;
use crate::usage::Usage;
use crate::{anthropic, openai, registry, surrogates};

/// The bytes are no JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

/// Why the body of a 2xx answer is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum NoAnswer {
    /// It is no JSON document.
    NotJson,
    /// It has not what answers of its endpoint have: an error, or something else altogether.
    Fault(Box<UpstreamError>),
}

/// Reads the tokens of a whole native answer of an endpoint, if it is one.
///
/// # Errors
/// [`NoAnswer`]
pub fn answer_of(endpoint: Endpoint, body: &[u8]) -> Result<Option<Usage>, NoAnswer> {
    let sought = sought(endpoint);
    let (usage, is_answer) = read(body, sought).map_err(|NotJson| NoAnswer::NotJson)?;
    if !is_answer
        && !sought.is_empty()
        && let Some(fault) = fault(endpoint, sought, body)
    {
        return Err(NoAnswer::Fault(Box::new(fault)));
    }
    Ok(usage)
}

/// Returns the member by which answers of an endpoint are known; empty where they may be anything.
fn sought(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Chat | Endpoint::Completions => "choices",
        Endpoint::Responses => "output",
        Endpoint::Messages => "content",
        Endpoint::Embeddings => "data",
        _ => "",
    }
}

/// Returns what is wrong with a document that lacks the member it should have, or has an empty one.
fn fault(endpoint: Endpoint, sought: &str, body: &[u8]) -> Option<UpstreamError> {
    let value: Value = surrogates::from_slice(body).unwrap_or_default();
    let calls_itself = |name: &str, kind: &str| value.get(name).is_some_and(|own| own == kind);
    match endpoint.wire() {
        Some(Wire::Responses) if calls_itself("object", "response") => None,
        Some(Wire::Messages) if calls_itself("type", "message") => None,
        Some(wire) => registry::outbound(wire).read_answer(&surrogates::mended(body)).err(),
        None if value.get("error").is_some_and(|error| !error.is_null()) => {
            Some(openai::error_inside_answer(&value))
        }
        None if value.get(sought).is_some_and(|member| !member.is_null()) => None,
        None => {
            let text = openai::shorten(&value.to_string());
            Some(openai::bad_gateway(format!("the answer has no {sought}: {text}")))
        }
    }
}

/// Reads the tokens of a whole native answer: OpenAI's and Anthropic's shapes, embeddings, images, transcriptions.
///
/// # Errors
/// [`NotJson`]
pub fn usage_of(body: &[u8]) -> Result<Option<Usage>, NotJson> {
    read(body, "").map(|(usage, _)| usage)
}

/// Reads the tokens of a document, and whether the sought member says something.
fn read(body: &[u8], sought: &str) -> Result<(Option<Usage>, bool), NotJson> {
    if let Some(read) = plain(body, sought) {
        return Ok(read);
    }
    let (usage, is_answer) = any(body, sought)?;
    let usage = usage.and_then(|usage| {
        if is_anthropics(usage) { anthropic::usage_from(usage) } else { openai::usage_from_text(usage) }
    });
    Ok((usage, is_answer))
}

/// Returns whether a member says something. A list may be empty beside an error.
fn says_something(value: &str) -> bool {
    !matches!(value, "null" | "[]")
}

/// Anthropic's `input_tokens` exclude the cache, OpenAI's include it; only Anthropic names its own members.
fn is_anthropics(usage: &str) -> bool {
    static OWN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"cache_read_input_tokens\""));
    OWN.find(usage.as_bytes()).is_some() && !usage.contains("\"prompt_tokens\"")
}

/// Reads the usage of a document that is plain, if it has one, and whether the sought member says something; of any other
/// document nothing is said.
fn plain(body: &[u8], sought: &str) -> Option<(Option<Usage>, bool)> {
    let mut scan = Scan::new(std::str::from_utf8(body).ok()?);
    let (mut usage, mut is_answer) = (None, false);
    // All of it, also what comes before: a broken answer is tried again elsewhere, not handed on.
    scan.object(|name, scan| {
        if name == sought {
            is_answer = says_something(scan.value()?);
            return Some(());
        }
        usage_member(name, scan, &mut usage)
    })?;
    scan.end()?;
    Some((usage.flatten(), is_answer))
}

/// Takes a member of an answer; the usage is `Some(None)` if there is one without a figure.
fn usage_member(name: &str, scan: &mut Scan<'_>, usage: &mut Option<Option<Usage>>) -> Option<()> {
    if name != "usage" {
        return scan.value().map(drop);
    }
    let mut ahead = scan.clone();
    let read = match scan.peek()? {
        b'{' => match openai::scan_usage(&mut ahead) {
            Some(read) => {
                *scan = ahead;
                read
            }
            None => {
                let text = scan.value()?;
                is_anthropics(text).then(|| anthropic::usage_from(text))?
            }
        },
        b'n' => scan.value().map(|_| None)?,
        _ => return None,
    };
    // Said twice, it is serde's business.
    usage.replace(read).is_none().then_some(())
}

/// Returns the usage of any document, if it has one, and whether the sought member says something.
fn any<'a>(body: &'a [u8], sought: &str) -> Result<(Option<&'a str>, bool), NotJson> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
        #[serde(borrow, default)]
        choices: Option<&'a RawValue>,
        #[serde(borrow, default)]
        output: Option<&'a RawValue>,
        #[serde(borrow, default)]
        content: Option<&'a RawValue>,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    // serde takes a list for an object.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else {
        // Another document than an object, or one that says a member twice.
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
        return read.map(|_| (None, false)).map_err(|_| NotJson);
    };
    let member = match sought {
        "choices" => body.choices,
        "output" => body.output,
        "content" => body.content,
        "data" => body.data,
        _ => None,
    };
    let is_answer = is_object && member.is_some_and(|member| says_something(member.get()));
    Ok((body.usage.map(RawValue::get), is_answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(endpoint: Endpoint, body: &str) -> Option<(u16, String)> {
        match answer_of(endpoint, body.as_bytes()) {
            Err(NoAnswer::Fault(error)) => Some((error.status, error.message)),
            Err(NoAnswer::NotJson) => Some((0, String::new())),
            Ok(_) => None,
        }
    }

    #[test]
    fn what_lacks_the_member_of_an_answer_is_none() {
        let error = r#"{"error":{"message":"bad thing","type":"invalid_request_error"}}"#;
        for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings] {
            assert_eq!(fault_of(endpoint, error), Some((400, "bad thing".to_owned())), "{endpoint:?}");
        }
        for endpoint in [Endpoint::Responses, Endpoint::Messages] {
            let (status, message) = fault_of(endpoint, error).unwrap();
            assert_eq!((status >= 400, message.as_str()), (true, "bad thing"), "{endpoint:?}");
        }
        for other in [
            r#"{"detail":"nope"}"#,
            r#"{"status":"pending"}"#,
            r#"{"choices":null,"output":null,"content":null,"data":null}"#,
            "[]",
            "null",
            r#""text""#,
            r#"{"object":"error","message":"m"}"#,
            r#"{"d\u0065tail":1}"#,
        ] {
            for endpoint in [
                Endpoint::Chat,
                Endpoint::Completions,
                Endpoint::Embeddings,
                Endpoint::Responses,
                Endpoint::Messages,
            ] {
                let status = fault_of(endpoint, other).map(|(status, _)| status);
                assert!(status.is_some_and(|status| status >= 400), "{endpoint:?} {other}: {status:?}");
            }
            assert_eq!(fault_of(Endpoint::ImageGenerations, other), None, "{other}");
        }
    }

    #[test]
    fn odd_answers_are_answers() {
        for (endpoint, body) in [
            (Endpoint::Chat, r#"{"choices":[{"message":{"content":"a"}}],"error":null}"#),
            (Endpoint::Chat, r#"{"choices":[],"prompt_filter_results":[{}]}"#),
            (Endpoint::Chat, r#"{"ch\u006fices":[{"text":"a"}]}"#),
            (Endpoint::Completions, r#"{"choices":[{"text":"a\ud83d"}]}"#),
            (Endpoint::Responses, r#"{"output":[{"type":"message"}]}"#),
            (Endpoint::Responses, r#"{"object":"response","status":"queued","output":[]}"#),
            (Endpoint::Messages, r#"{"content":[]}"#),
            (Endpoint::Messages, r#"{"type":"message","content":null}"#),
            (Endpoint::Embeddings, r#"{"data":[]}"#),
        ] {
            assert_eq!(fault_of(endpoint, body), None, "{body}");
        }
        let beside = r#"{"choices":[],"error":{"message":"m","code":429}}"#;
        assert_eq!(fault_of(Endpoint::Chat, beside), Some((429, "m".to_owned())));
        assert_eq!(fault_of(Endpoint::Chat, "<html>"), Some((0, String::new())));
    }
}
