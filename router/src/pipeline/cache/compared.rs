//! The one text of a request that may be alike rather than equal: the last thing the user said.
//!
//! Portkey joins all messages but the first. In a dialogue of several turns that makes questions alike which only share
//! their history, so here everything before the last message must be equal.

use serde_json::Value;
use tidegate_providers::{Endpoint, Fields};

/// Longest dialogue, as Portkey's.
const MOST_MESSAGES: usize = 4;
/// Longest text: models read 8,191 tokens, and no tokenizer makes more than one of a byte.
const LONGEST: usize = 24 << 10;

/// Takes the text out of a body. Returns it with the rest of the body, or `None` where nothing can be compared.
pub(super) fn take<'a>(endpoint: Endpoint, fields: &Fields<'a>) -> Option<(String, Fields<'a>)> {
    let (name, text, rest) = match endpoint {
        Endpoint::Chat => {
            let mut messages: Vec<Value> = fields.get("messages").ok()??;
            if messages.len() > MOST_MESSAGES {
                return None;
            }
            let last = messages.last_mut()?.as_object_mut()?;
            if last.get("role")?.as_str()? != "user" {
                return None;
            }
            let text = text_of(last.get_mut("content")?)?;
            ("messages", text, Value::Array(messages).to_string())
        }
        Endpoint::Completions => ("prompt", fields.get::<String>("prompt").ok()??, "null".to_owned()),
        _ => return None,
    };
    if text.trim().is_empty() || text.len() > LONGEST {
        return None;
    }
    let mut without = fields.clone();
    without.set_raw(name, rest);
    Some((text, without))
}

/// Takes the text of a message's content; pictures and the like stay.
fn text_of(content: &mut Value) -> Option<String> {
    match content {
        Value::String(text) => Some(std::mem::take(text)),
        Value::Array(parts) => {
            let mut texts = Vec::new();
            for part in parts {
                if let Some(Value::String(text)) = part.get_mut("text") {
                    texts.push(std::mem::take(text));
                }
            }
            (!texts.is_empty()).then(|| texts.join("\n"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(endpoint: Endpoint, json: &str) -> Option<(String, String)> {
        let (text, rest) = take(endpoint, &Fields::parse(json.as_bytes()).unwrap())?;
        Some((text, String::from_utf8(rest.to_vec()).unwrap()))
    }

    #[test]
    fn only_the_last_words_of_the_user_are_compared() {
        let (text, rest) = taken(
            Endpoint::Chat,
            r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]}"#,
        )
        .unwrap();
        assert_eq!(text, "hi");
        assert_eq!(
            rest,
            r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":""}]}"#
        );
        let (text, rest) = taken(
            Endpoint::Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]}]}"#,
        )
        .unwrap();
        assert_eq!(text, "a\nb");
        assert!(rest.contains("image_url") && !rest.contains("\"a\""), "{rest}");
        assert_eq!(
            taken(Endpoint::Completions, r#"{"prompt":"once"}"#).unwrap(),
            ("once".to_owned(), r#"{"prompt":null}"#.to_owned())
        );
    }

    #[test]
    fn what_is_no_question_is_not_compared() {
        let long = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(LONGEST + 1));
        let five = format!(r#"{{"messages":[{}]}}"#, [r#"{"role":"user","content":"x"}"#; 5].join(","));
        for json in [
            r#"{"messages":[]}"#,
            r#"{"messages":[{"role":"assistant","content":"x"}]}"#,
            r#"{"messages":[{"role":"user","content":" "}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
            &long,
            &five,
        ] {
            assert_eq!(taken(Endpoint::Chat, json), None, "{json}");
        }
        assert_eq!(taken(Endpoint::Completions, r#"{"prompt":["a","b"]}"#), None);
        assert_eq!(taken(Endpoint::Messages, r#"{"messages":[{"role":"user","content":"x"}]}"#), None);
    }
}
