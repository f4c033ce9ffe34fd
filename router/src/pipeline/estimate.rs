//! How many tokens a request will read, before anybody reads it.
//!
//! Admission needs an upper bound that costs nothing: no token of a byte-level tokenizer is shorter than a byte, so
//! the bytes of the conversation bound it. The exact count is made only where the bound does not fit a budget.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use serde_json::Value;
use tidegate_prices::tokens;
use tidegate_providers::anthropic::MessagesCodec;
use tidegate_providers::{Fields, Inbound, Part, surrogates};

use crate::error::{ErrorKind, GatewayError};

/// A picture or other medium is counted as this many tokens plus one for each [`MEDIA_BYTES`]; vendors bill a large
/// picture 1,000 to 5,000 tokens, a page of a document about 2,000, a second of sound up to 100.
const MEDIA_TOKENS: u64 = 2_048;
const MEDIA_BYTES: u64 = 128;
/// Longest `data:type;base64,` before the bytes themselves.
const LONGEST_PREFIX: usize = 256;
/// Vendors add some tokens of their own to each message and tool.
const OVERHEAD: u64 = 64;
/// Members that the model reads and that may hold media.
const TALK: [&str; 5] = ["messages", "input", "prompt", "system", "instructions"];
/// Members that the model reads as text, whatever their names say.
const TEXT: [&str; 4] = ["tools", "functions", "suffix", "response_format"];

/// What stands before base64.
static HOLDERS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["\"url\":", "\"image_url\":", "\"file_data\":", "\"data\":"].map(Finder::new));
/// What stands before the name of a medium that is elsewhere.
static LINKS: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    let links =
        ["\"url\":\"http", "\"url\": \"http", "\"image_url\":\"http", "\"file_id\":\"", "\"file_id\": \""];
    links.map(Finder::new)
});

/// Estimates of a request's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// Never less than what the vendor will report.
    pub bound: u64,
    /// What it is likely to be: about four bytes a token.
    pub likely: u64,
}

/// Estimates the input of a JSON body.
#[must_use]
pub(super) fn input(fields: &Fields<'_>) -> Input {
    let mut text: u64 = TEXT.iter().filter_map(|name| fields.raw(name)).map(|raw| raw.len() as u64).sum();
    let mut media = 0;
    for name in TALK {
        let Some(raw) = fields.raw(name) else { continue };
        if name == "messages" && fields.is_plain_talk() {
            text += raw.len() as u64;
            continue;
        }
        let (pieces, tokens) = split(raw);
        text += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        media += tokens;
    }
    Input { bound: text + media + OVERHEAD, likely: text / 4 + media + 8 }
}

/// Counts the input exactly, with the vendor's margin; slow, about 30 MB/s.
#[must_use]
pub(super) fn exact(fields: &Fields<'_>, vendor: &str) -> u64 {
    let mut counted: u64 = TEXT.iter().filter_map(|name| fields.raw(name)).map(tokens::count).sum();
    let mut media = 0;
    for raw in TALK.iter().filter_map(|name| fields.raw(name)) {
        let (pieces, tokens) = split(raw);
        counted += pieces.into_iter().map(tokens::count).sum::<u64>();
        media += tokens;
    }
    tokens::scaled(vendor, counted) + media + OVERHEAD
}

/// Counts the input of a Messages body as a client wants to know it: the conversation's text and tools, with a few
/// tokens a message for what vendors put around it.
///
/// # Errors
/// 400 when the body is no Messages call.
pub(super) fn counted(fields: &Fields<'_>, vendor: &str) -> Result<u64, GatewayError> {
    let mut body: Value = surrogates::from_slice(&fields.to_vec())
        .map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
    if let Value::Object(members) = &mut body {
        // Counting needs no output limit; reading a call does.
        members.entry("max_tokens").or_insert_with(|| 1.into());
    }
    let call = MessagesCodec.read_call(&body)?;
    let mut total: u64 =
        call.messages.iter().map(|message| 3 + message.parts.iter().map(part).sum::<u64>()).sum();
    for raw in ["tools", "output_config"].iter().filter_map(|name| fields.raw(name)) {
        total += tokens::count(raw);
    }
    Ok(tokens::scaled(vendor, total))
}

fn part(part: &Part) -> u64 {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } | Part::Thinking { text, .. } => tokens::count(text),
        Part::RedactedThinking { data } => tokens::count(data),
        Part::ToolCall { name, arguments, .. } => 8 + tokens::count(name) + tokens::count(arguments),
        Part::ToolResult { content, .. } => 8 + content.iter().map(self::part).sum::<u64>(),
        Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => MEDIA_TOKENS,
    }
}

/// Returns the pieces of text in JSON text, and the tokens of the media between them.
fn split(raw: &str) -> (Vec<&str>, u64) {
    let bytes = raw.as_bytes();
    if !may_hold_media(bytes) {
        return (vec![raw], 0);
    }
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    let mut media = 0;
    // Base64 stands in members of these names, as a data URL or by itself. Their quotes can't be part of a text, where
    // they would be escaped. Each string is looked at once: the search goes on behind it.
    for finder in HOLDERS.iter() {
        let mut from = 0;
        while let Some(found) = finder.find(&bytes[from..]) {
            let after = from + found + finder.needle().len();
            let start = after + bytes[after..].iter().take_while(|b| matches!(b, b' ' | b'"')).count();
            let length = memchr::memchr(b'"', &bytes[start..]).unwrap_or(bytes.len() - start);
            from = start + length;
            let string = &bytes[start..from];
            let prefix =
                memmem::find(&string[..length.min(LONGEST_PREFIX)], b";base64,").map_or(0, |at| at + 8);
            if length >= 64 && string[prefix..].iter().all(is_base64) {
                cuts.push((start, from));
                media += MEDIA_TOKENS + length as u64 / MEDIA_BYTES;
            }
        }
    }
    for finder in LINKS.iter() {
        media += MEDIA_TOKENS * finder.find_iter(bytes).count() as u64;
    }
    cuts.sort_unstable();
    let (mut pieces, mut from) = (Vec::with_capacity(cuts.len() + 1), 0);
    for (start, end) in cuts {
        pieces.extend(raw.get(from..start));
        from = end;
    }
    pieces.extend(raw.get(from..));
    (pieces, media)
}

/// Looks for the end of a name that may hold media, or say where it is: cheaper than to look for each of them.
fn may_hold_media(json: &[u8]) -> bool {
    static COLON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\":"));
    const ENDS: [&[u8]; 3] = [b"url", b"data", b"file_id"];
    COLON.find_iter(json).any(|at| ENDS.iter().any(|end| json[..at].ends_with(end)))
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_by_its_bytes() {
        let body = br#"{"model":"x","messages":[{"role":"user","content":"hello"}]}"#;
        let fields = Fields::parse(body).unwrap();
        let input = input(&fields);
        assert!(input.bound >= 36 && input.bound < 120, "{input:?}");
        assert!(exact(&fields, "openai") <= input.bound);
    }

    #[test]
    fn tools_are_text_whatever_their_members_are_called() {
        let tool = r#"{"type":"function","function":{"name":"f","parameters":{"properties":{"file_id":{"type":"string"},"url":{"type":"string"}},"required":["file_id"]}}}"#;
        let body = format!(r#"{{"messages":[{{"role":"user","content":"hi"}}],"tools":[{tool}]}}"#);
        let fields = Fields::parse(body.as_bytes()).unwrap();
        assert!(input(&fields).bound < 400, "{:?}", input(&fields));
        assert!(exact(&fields, "openai") < 160);
    }

    #[test]
    fn text_that_mentions_base64_stays_text() {
        let text = format!(";base64,{}", "word ".repeat(10_000));
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        assert!(input(&Fields::parse(body.as_bytes()).unwrap()).bound > 50_000);
        let body = format!(r#"{{"messages":[{{"content":"\"data\":\"{}"}}]}}"#, "A".repeat(50_000));
        assert!(input(&Fields::parse(body.as_bytes()).unwrap()).bound > 50_000);
    }

    #[test]
    fn pictures_do_not_count_as_text() {
        let picture = "A".repeat(1 << 20);
        let body = format!(
            r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]}}]}}"#
        );
        let input = input(&Fields::parse(body.as_bytes()).unwrap());
        assert!(input.bound < 20_000, "{input:?}");
    }
}
