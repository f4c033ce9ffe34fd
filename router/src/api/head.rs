//! Reads what a request's headers say: whose key, whose credentials, which route, which metadata.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_store::KeyRecord;

use super::open_webui;
use crate::pipeline::PlainHeaders;
use crate::server::Headers;
use crate::settings::Secret;
use crate::upstream::visible;

/// Longest metadata value, as Portkey keeps it.
const LONGEST_VALUE: usize = 128;
/// Most pairs of baggage that are read (W3C: at least 64 must be carried).
const MOST_BAGGAGE: usize = 64;
/// What Portkey's Python SDK sends as Authorization when it has nothing to say.
const NOT_A_KEY: &str = "OPENAI_API_KEY";
/// Headers that only the gateway itself may set.
const INTERNAL: [&str; 5] = [
    crate::plugins::PLUGIN_CALL,
    "x-portkey-default-input-guardrails",
    "x-portkey-default-output-guardrails",
    "x-portkey-organisation-details",
    "x-portkey-config-version",
];

/// Returns the text of a header by its name in lower case; unreadable ones count as absent.
pub(super) fn text<'a>(sent: &'a impl Headers, name: &str) -> Option<&'a str> {
    visible(sent.first(name)?).map(str::trim_ascii)
}

/// Takes the scheme off an Authorization.
pub(super) fn bearer(text: &str) -> &str {
    // As nearly all write it.
    if let Some(key) = text.strip_prefix("Bearer ") {
        return key.trim();
    }
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { text }
}

/// Whose key it is and what else was brought.
pub(super) struct Credentials<'a> {
    /// The gateway key.
    pub(super) key: Option<&'a str>,
    /// A vendor's key beside it.
    pub(super) vendor: Option<&'a str>,
}

/// Finds the gateway key: `x-portkey-api-key` first, then Authorization, `x-api-key`, `x-goog-api-key`. When the first
/// is there, the next of the others is the vendor's key.
pub(super) fn credentials(sent: &impl Headers) -> Credentials<'_> {
    let named = |name| text(sent, name).filter(|text| !text.is_empty());
    let own = named("x-portkey-api-key").or_else(|| named("x-tidegate-api-key"));
    let mut others = [named("authorization").map(bearer), named("x-api-key"), named("x-goog-api-key")]
        .into_iter()
        .flatten()
        .filter(|key| *key != NOT_A_KEY && !key.is_empty());
    match own {
        Some(own) => Credentials { key: Some(own), vendor: others.find(|other| *other != own) },
        None => Credentials { key: others.next(), vendor: None },
    }
}

/// Copies the headers that routing and vendors read; `x-tidegate-*` becomes `x-portkey-*`.
pub(super) fn routing(sent: &impl Headers) -> HeaderMap {
    routing_of(sent.all())
}

/// The same of any headers. What own ones say is UTF-8 afterwards.
pub(super) fn routing_of<'a>(sent: impl Iterator<Item = (&'a str, &'a [u8])>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        // `x-portkey-`, `anthropic-`, `openai-`: most others are seen by their first bytes.
        if !matches!(
            name.as_bytes(),
            [b'x' | b'X', b'-', ..] | [b'a' | b'A', b'n' | b'N', ..] | [b'o' | b'O', ..]
        ) {
            continue;
        }
        let lower = name.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| name.to_ascii_lowercase());
        let name = lower.as_deref().unwrap_or(name);
        let renamed = name.strip_prefix("x-tidegate-").map(|rest| format!("x-portkey-{rest}"));
        let name = renamed.as_deref().unwrap_or(name);
        let wanted =
            name.starts_with("x-portkey-") || name.starts_with("anthropic-") || name.starts_with("openai-");
        if !wanted || name == "x-portkey-api-key" || INTERNAL.contains(&name) {
            continue;
        }
        let value = if name.starts_with("x-portkey-") { in_utf8(value) } else { Cow::Borrowed(value) };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value))
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// Returns text of a header in UTF-8, which some clients write; browsers and Node write Latin-1 (WHATWG Fetch, 2.2.2), and
/// what is no UTF-8 is that.
fn in_utf8(value: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(value) {
        Ok(_) => Cow::Borrowed(value),
        Err(_) => Cow::Owned(value.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()),
    }
}

/// Copies the headers that are not routing: plugins may be granted some by name.
pub(super) fn plain(sent: &impl Headers) -> PlainHeaders {
    const SECRET: [&str; 5] =
        ["x-api-key", "x-goog-api-key", "x-portkey-api-key", "x-tidegate-api-key", "cookie"];
    let own = credentials(sent);
    let headers = sent.all().filter(|(name, _)| !SECRET.contains(name));
    let texts = headers.filter_map(|(name, value)| Some((name, visible(value)?)));
    // Beside a gateway key, Authorization may be a user's own token: who grants it to a plugin knows. The gateway's key it
    // is never. Most values are shorter than a key, and need no second look.
    let is_own =
        |value: &str| own.key.is_some_and(|key| value.len() >= key.len() && bearer(value.trim()) == key);
    texts.filter(|(_, value)| !is_own(value)).collect()
}

/// Returns whether anything may ask for the headers that are not routing: configs, and what is forwarded.
pub(super) fn shows_headers(key: &KeyRecord, headers: &HeaderMap) -> bool {
    let names = ["x-portkey-config", "x-portkey-forward-headers"];
    key.config.is_some() || (!headers.is_empty() && names.iter().any(|name| headers.contains_key(*name)))
}

/// Copies the headers that go on to a vendor on paths that the gateway doesn't model: all but credentials, the
/// gateway's own, and those of this connection.
pub(super) fn for_vendor(sent: &impl Headers) -> HeaderMap {
    const SECRET: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    let own = credentials(sent).key;
    let listed = text(sent, "connection").unwrap_or_default().to_ascii_lowercase();
    let hops: Vec<&str> = listed.split(',').map(str::trim).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in sent.all() {
        let about_body = matches!(name, "content-type" | "content-encoding");
        let goes_on = about_body || crate::pipeline::may_go_on(name);
        let key = visible(value).map(|text| bearer(text.trim()));
        let is_own_key = key.is_some() && key == own;
        if !goes_on || SECRET.contains(&name) || hops.contains(&name) || is_own_key {
            continue;
        }
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// Adds the pairs of W3C baggage; what is no pair is ignored.
fn add_baggage(baggage: &str, metadata: &mut BTreeMap<String, String>) {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text.trim())
            .decode_utf8_lossy()
            .chars()
            .take(LONGEST_VALUE)
            .collect()
    };
    for pair in baggage.split(',').take(MOST_BAGGAGE) {
        // Properties follow the value.
        let pair = pair.split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.trim().is_empty()) {
            metadata.insert(decoded(name), decoded(value));
        }
    }
}

/// Joins metadata: baggage, beaten by the request's own, beaten by the key's; Open WebUI's user headers fill `_user`,
/// where its secret is known only signed ones.
pub(super) fn metadata(
    sent: &impl Headers,
    headers: &HeaderMap,
    key: &KeyRecord,
    signed_with: Option<&Secret>,
) -> BTreeMap<String, String> {
    metadata_of(&|name| text(sent, name), headers, key, signed_with)
}

/// The same of any headers; `header` finds those that are not routing.
pub(super) fn metadata_of<'a>(
    header: &dyn Fn(&str) -> Option<&'a str>,
    headers: &HeaderMap,
    key: &KeyRecord,
    signed_with: Option<&Secret>,
) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    if let Some(baggage) = header("baggage") {
        add_baggage(baggage, &mut metadata);
    }
    let sent = if headers.is_empty() { None } else { headers.get("x-portkey-metadata") };
    let sent = sent.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    // Broken JSON is ignored, as Portkey does: metadata never fails a request.
    if let Some(serde_json::Value::Object(members)) = sent.and_then(|text| serde_json::from_str(text).ok()) {
        for (name, value) in members {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            metadata.insert(name, value.chars().take(LONGEST_VALUE).collect());
        }
    }
    if !metadata.contains_key("_user")
        && let Some(user) = open_webui::user(header, signed_with)
    {
        metadata.insert("_user".to_owned(), user.chars().take(LONGEST_VALUE).collect());
    }
    metadata.extend(key.metadata.iter().map(|(name, value)| (name.clone(), value.clone())));
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn found(headers: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let mut request = TestRequest::default();
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let request = request.to_http_request();
        let found = credentials(request.headers());
        (found.key.map(str::to_owned), found.vendor.map(str::to_owned))
    }

    #[test]
    fn keys_are_found_in_their_order() {
        let key = |text: &str| Some(text.to_owned());
        assert_eq!(found(&[("authorization", "Bearer a")]), (key("a"), None));
        assert_eq!(found(&[("authorization", "a")]), (key("a"), None));
        assert_eq!(found(&[("x-api-key", "b")]), (key("b"), None));
        assert_eq!(found(&[("x-goog-api-key", "c")]), (key("c"), None));
        assert_eq!(
            found(&[("x-portkey-api-key", "k"), ("authorization", "Bearer OPENAI_API_KEY")]),
            (key("k"), None)
        );
        assert_eq!(found(&[("x-portkey-api-key", "k"), ("authorization", "Bearer v")]), (key("k"), key("v")));
        assert_eq!(found(&[("authorization", "Bearer ")]), (None, None));
    }

    #[test]
    fn own_headers_are_portkeys_and_internal_ones_are_dropped() {
        let request = TestRequest::default()
            .insert_header(("x-tidegate-config", "{}"))
            .insert_header(("x-portkey-config-version", "1"))
            .insert_header(("x-tidegate-plugin-call", "pii"))
            .insert_header(("cookie", "a"))
            .to_http_request();
        let headers = routing(request.headers());
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-portkey-config"));
    }

    #[test]
    fn own_headers_may_say_what_is_not_ascii_in_either_encoding() {
        let key = KeyRecord::named("k", "k");
        for umlaut in [&b"\xc3\xbc"[..], b"\xfc"] {
            let value = [b"{\"_user\": \"J", umlaut, b"rgen\", \"n\": 5}"].concat();
            let headers = routing_of([("X-Tidegate-Metadata", &value[..])].into_iter());
            let text = std::str::from_utf8(headers["x-portkey-metadata"].as_bytes()).unwrap();
            assert_eq!(text, "{\"_user\": \"J\u{fc}rgen\", \"n\": 5}");
            let metadata = metadata_of(&|_| None, &headers, &key, None);
            assert_eq!(metadata["_user"], "J\u{fc}rgen");
        }
    }
}
