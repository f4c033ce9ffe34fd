//! Names of members that only some readers take for another: `Content`, or `content` said twice.
//!
//! Servers written in Go read names without regard to case, and the last one counts; this gateway reads them as written.
//! What would be judged here would then not be what is answered there, so such names are refused.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::fields::Fields;

/// Members of a body that limits, prices and guardrails look at.
const OF_BODIES: &[&str] = &[
    "model",
    "messages",
    "input",
    "prompt",
    "system",
    "instructions",
    "tools",
    "functions",
    "suffix",
    "prediction",
    "stream",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
];
/// Members of messages and their parts that guardrails look at.
const OF_MESSAGES: &[&str] = &[
    "role",
    "type",
    "content",
    "content_blocks",
    "text",
    "refusal",
    "thinking",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "tool_calls",
    "function_call",
    "function",
    "custom",
    "arguments",
    "output",
    "summary",
    "source",
];
/// Where else messages and parts stand. What a tool is given is the client's own and may have any names.
const NESTED: &[&str] = &[
    "content",
    "content_blocks",
    "reasoning_details",
    "tool_calls",
    "function_call",
    "function",
    "custom",
    "output",
    "summary",
    "source",
];
/// Members of a body that hold messages.
const TALK: [&str; 6] = ["messages", "input", "system", "prompt", "instructions", "prediction"];
/// Deeper is no conversation.
const DEEPEST: u8 = 16;

/// Returns what is wrong with a name of a body: it differs in nothing but case from one that the gateway reads.
#[must_use]
pub fn odd_name(fields: &Fields<'_>) -> Option<String> {
    fields.names().find_map(|name| {
        let known = variant_of(name, OF_BODIES)?;
        Some(format!("{name:?} is no member of a body; {known:?} is expected"))
    })
}

/// Returns what is wrong with a name in the messages of a body: the same, or it is said twice.
#[must_use]
pub fn odd_name_in_messages(fields: &Fields<'_>) -> Option<String> {
    TALK.iter().find_map(|name| {
        if *name == "messages" && fields.is_plain_talk() {
            return None;
        }
        odd_inside(name, fields.raw(name)?, DEEPEST)
    })
}

fn odd_inside(place: &str, raw: &str, deepest: u8) -> Option<String> {
    let deepest = deepest.checked_sub(1)?;
    if raw.starts_with('[') {
        let entries: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
        return entries.iter().find_map(|entry| odd_inside(place, entry.get(), deepest));
    }
    if !raw.starts_with('{') {
        return None;
    }
    let Members(members) = serde_json::from_str(raw).ok()?;
    members.iter().enumerate().find_map(|(at, (name, value))| {
        if let Some(known) = variant_of(name, OF_MESSAGES) {
            return Some(format!("{name:?} in {place:?} is not read; {known:?} is expected"));
        }
        let is_known = OF_MESSAGES.contains(&name.as_ref());
        if is_known && members[..at].iter().any(|(before, _)| before == name) {
            return Some(format!("{name:?} stands twice in one object of {place:?}; once is expected"));
        }
        if NESTED.contains(&name.as_ref()) { odd_inside(name, value.get(), deepest) } else { None }
    })
}

/// Returns the known name from which a name differs in nothing but case.
fn variant_of<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Most names are written as they should be, and need no look at the list.
    if name.bytes().fold(true, |so_far, byte| so_far & matches!(byte, b'a'..=b'z' | b'_')) {
        return None;
    }
    known.iter().copied().find(|known| name.chars().map(folded).eq(known.chars()))
}

/// Folds a letter as Go does: two letters beyond ASCII count as ones of it.
fn folded(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// All members of an object, also those that are said twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<crate::text::Text<'de>>()? {
                    members.push((name.0, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_body_that_differ_in_case_are_odd() {
        for (body, found) in [
            (r#"{"model":"a","Model":"b"}"#, Some("\"Model\"")),
            (r#"{"MESSAGES":[]}"#, Some("\"MESSAGES\"")),
            (r#"{"me\u017fsages":[]}"#, Some("\"messages\" is expected")),
            (r#"{"\u0049nput":"a"}"#, Some("\"Input\"")),
            (r#"{"model":"a","messages":[],"X":1,"modelId":2,"topP":3}"#, None),
        ] {
            let told = odd_name(&Fields::parse(body.as_bytes()).unwrap());
            assert_eq!(told.is_some(), found.is_some(), "{body}: {told:?}");
            assert!(told.unwrap_or_default().contains(found.unwrap_or_default()), "{body}");
        }
    }

    #[test]
    fn names_in_messages_are_odd_in_another_case_and_twice() {
        for (messages, found) in [
            (r#"[{"role":"user","content":"ok","Content":"hi"}]"#, Some("\"Content\"")),
            (r#"[{"role":"user","content":"ok","content":"hi"}]"#, Some("\"content\" stands twice")),
            (r#"[{"role":"user","\u0063ontent":"ok","content":"hi"}]"#, Some("\"content\" stands twice")),
            (r#"[{"role":"user","content":[{"type":"text","Text":"hi"}]}]"#, Some("\"Text\" in \"content\"")),
            (r#"[{"role":"assistant","tool_calls":[{"function":{"Arguments":"{}"}}]}]"#, Some("Arguments")),
            (r#"[{"role":"user","content":[{"type":"tool_use","input":{"Text":1,"text":2}}]}]"#, None),
            (r#"[{"role":"user","content":"ok","name":"a","name":"b"}]"#, None),
            (r#"["text", 1, null, {"content":[]}]"#, None),
        ] {
            let body = format!(r#"{{"messages":{messages}}}"#);
            let told = odd_name_in_messages(&Fields::parse(body.as_bytes()).unwrap());
            assert_eq!(told.is_some(), found.is_some(), "{messages}: {told:?}");
            assert!(told.clone().unwrap_or_default().contains(found.unwrap_or_default()), "{told:?}");
        }
        let system = r#"{"messages":[],"system":[{"type":"text","text":"a","TEXT":"b"}]}"#;
        assert!(odd_name_in_messages(&Fields::parse(system.as_bytes()).unwrap()).is_some());
    }
}
