//! Texts of requests that are plain: messages of a role and a string. Found in the JSON text, without a tree.

use super::content::role_named;
use super::slot::TextKind;
use crate::fields::Fields;
use crate::provider::Endpoint;
use crate::scan::Scan;

/// What a plain request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainTexts {
    /// Its texts, as [`of_request`](super::of_request) finds them.
    pub texts: Vec<PlainText>,
    /// How many messages it has, as [`message_count`](super::message_count) counts them.
    pub messages: usize,
}

/// One text of a plain request; see [`Slot`](super::Slot).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainText {
    /// What it is.
    pub kind: TextKind,
    /// Who says it.
    pub role: &'static str,
    /// Index of its message.
    pub index: u32,
    /// The text. Never empty.
    pub text: String,
}

/// Finds the texts of a request body, as most are: messages that hold nothing but a `role`, a `content` that is a string,
/// and a `name`. `None` of any other; it may be one that [`of_request`](super::of_request) can read.
///
/// ```
/// use tidegate_providers::{Endpoint, texts};
///
/// let plain = texts::of_plain_request(Endpoint::Chat, r#"{"messages": [{"role": "user", "content": "I am Ada"}]}"#);
/// assert_eq!(plain.unwrap().texts[0].text, "I am Ada");
/// let parts = r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "I am Ada"}]}]}"#;
/// assert_eq!(texts::of_plain_request(Endpoint::Chat, parts), None);
/// ```
#[must_use]
pub fn of_plain_request(endpoint: Endpoint, body: &str) -> Option<PlainTexts> {
    let beside = beside(endpoint)?;
    let mut scan = Scan::new(body);
    let mut found = None;
    scan.object(|name, scan| {
        if name == "messages" {
            // Said twice, the last counts: that is for others to say.
            return found.replace(messages(scan)?).is_none().then_some(());
        }
        scan.value().filter(|_| name != beside).map(drop)
    })?;
    scan.end()?;
    found
}

/// Finds the same in a body whose members are known.
#[must_use]
pub fn of_plain_fields(endpoint: Endpoint, fields: &Fields<'_>) -> Option<PlainTexts> {
    if fields.raw(beside(endpoint)?).is_some() {
        return None;
    }
    let mut scan = Scan::new(fields.raw("messages")?);
    let found = messages(&mut scan)?;
    scan.end()?;
    Some(found)
}

/// Returns what else than messages a body of an endpoint may say texts with.
fn beside(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Chat => Some("prediction"),
        Endpoint::Messages | Endpoint::CountTokens => Some("system"),
        _ => None,
    }
}

fn messages(scan: &mut Scan<'_>) -> Option<PlainTexts> {
    let mut found = PlainTexts { texts: Vec::new(), messages: 0 };
    scan.array(|scan| {
        let (mut role, mut content): (Option<&str>, Option<&str>) = (None, None);
        scan.object(|name, scan| {
            let place = match name {
                "role" => &mut role,
                "content" => &mut content,
                "name" => return scan.value().map(drop),
                _ => return None,
            };
            let value = scan.value()?.strip_prefix('"')?.strip_suffix('"')?;
            place.replace(value).is_none().then_some(())
        })?;
        let (role, content): (&str, &str) = (role.unwrap_or_default(), content?);
        let is_escaped = |text: &str| memchr::memchr(b'\\', text.as_bytes()).is_some();
        if is_escaped(role) {
            return None;
        }
        let role = role_named(role);
        if !content.is_empty() {
            let text = match is_escaped(content) {
                true => serde_json::from_str(&format!("\"{content}\"")).ok()?,
                false => content.to_owned(),
            };
            let kind = if role == "tool" { TextKind::ToolResult } else { TextKind::Text };
            found.texts.push(PlainText { kind, role, index: u32::try_from(found.messages).ok()?, text });
        }
        found.messages += 1;
        Some(())
    })?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{message_count, of_request};
    use super::*;

    /// Returns what the walk over a tree finds.
    fn by_tree(endpoint: Endpoint, body: &str) -> PlainTexts {
        let value: Value = serde_json::from_str(body).unwrap();
        let slots = of_request(endpoint, &value).into_iter();
        let text = |slot: super::super::Slot| PlainText {
            kind: slot.kind,
            role: slot.role,
            index: slot.index,
            text: slot.text,
        };
        PlainTexts { texts: slots.map(text).collect(), messages: message_count(endpoint, &value) }
    }

    #[test]
    fn what_is_plain_reads_as_in_a_tree() {
        for body in [
            r#"{"messages":[]}"#,
            r#"{"model":"a","messages":[{"role":"user","content":"b"}],"stream":true}"#,
            r#" { "messages" : [ {"content" : "", "role":"system"}, {"role":"tool","content":"c","name":"d"} ] } "#,
            r#"{"messages":[{"content":"no role"},{"role":"pirate","content":"é \u00e9\n\"\\"}]}"#,
            r#"{"tools":[{"messages":[{"role":"user","content":"x"}]}],"messages":[{"role":"model","content":"y"}]}"#,
        ] {
            for endpoint in [Endpoint::Chat, Endpoint::Messages, Endpoint::CountTokens] {
                let found = Some(by_tree(endpoint, body));
                assert_eq!(of_plain_request(endpoint, body), found, "{body}");
                let fields = Fields::parse(body.as_bytes()).unwrap();
                assert_eq!(of_plain_fields(endpoint, &fields), found, "{body}");
            }
        }
    }

    #[test]
    fn of_what_is_not_plain_nothing_is_said() {
        for body in [
            "",
            "[]",
            r#"{"model":"a"}"#,
            r#"{"messages":[{"role":"user"}]}"#,
            r#"{"messages":[{"role":"user","content":null}]}"#,
            r#"{"messages":[{"role":1,"content":"a"}]}"#,
            r#"{"messages":[{"role":"t\u006fol","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":["a"]}]}"#,
            r#"{"messages":[{"role":"user","content":"a","refusal":"b"}]}"#,
            r#"{"messages":[{"role":"user","content":"a","content":"b"}]}"#,
            r#"{"messages":[{"role":"user","content":"\ud800"}]}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"messages":[]}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"m\u0065ssages":[]}"#,
            r#"{"messages":[{"role":"user","content":"a"}]}]"#,
            r#"{"messages":{"role":"user","content":"a"}}"#,
        ] {
            assert_eq!(of_plain_request(Endpoint::Chat, body), None, "{body}");
            // Of what is said twice the last counts, and is known by then.
            if let Ok(fields) = Fields::parse(body.as_bytes())
                && !body.ends_with("ssages\":[]}")
            {
                assert_eq!(of_plain_fields(Endpoint::Chat, &fields), None, "{body}");
            }
        }
        let user = r#"{"messages":[{"role":"user","content":"a"}],"#;
        for (endpoint, rest) in [
            (Endpoint::Chat, r#""prediction":{"content":"b"}}"#),
            (Endpoint::Messages, r#""system":"b"}"#),
            (Endpoint::Responses, r#""x":1}"#),
            (Endpoint::Other, r#""x":1}"#),
        ] {
            let body = format!("{user}{rest}");
            assert_eq!(of_plain_request(endpoint, &body), None, "{rest}");
            assert_eq!(of_plain_fields(endpoint, &Fields::parse(body.as_bytes()).unwrap()), None, "{rest}");
        }
    }
}
