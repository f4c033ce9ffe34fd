//! `validUrls`: the links of a text lead somewhere.

use serde_json::{Value, json};
use tidegate_plugin_sdk::http::{self, HttpRequest};
use tidegate_plugin_sdk::{Params, Subject, host};

use crate::judged::{Judged, array, error, judged};
use crate::text::seen::{Seen, excerpt, excerpt_or_none};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "properties": {
    "onlyDNS": {"type": "boolean", "default": false},
    "not": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

const TIMEOUT_MS: u32 = 3_000;
/// Redirects are answers here, but a link that moved is valid.
const MOST_REDIRECTS: usize = 5;

/// Returns the links of a text, each one once.
fn links(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("http") {
        rest = rest.get(at..).unwrap_or_default();
        let ends = |letter: char| letter.is_whitespace() || ",\"'{}[]".contains(letter);
        let link = rest.split(ends).next().unwrap_or_default();
        let host = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
        if host.is_some_and(|host| !host.is_empty()) {
            if !found.contains(&link) {
                found.push(link);
            }
            rest = rest.get(link.len()..).unwrap_or_default();
        } else {
            rest = rest.get(4..).unwrap_or_default();
        }
    }
    found
}

/// Returns a link without its path.
fn origin(link: &str) -> &str {
    let from = link.find("://").map_or(0, |at| at + 3);
    let to = link.get(from..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(link.len(), |at| from + at);
    link.get(..to).unwrap_or(link)
}

/// Returns whether a link leads somewhere.
///
/// # Errors
/// The host's sentence when asking is not allowed: that says nothing of the link.
fn answers(link: &str) -> Result<bool, String> {
    let mut link = link.to_owned();
    for _ in 0..=MOST_REDIRECTS {
        let request =
            HttpRequest::new("HEAD", &link).header("user-agent", "URLValidator/1.0").timeout_ms(TIMEOUT_MS);
        let answer = match http::send(&request) {
            Ok(answer) => answer,
            Err(refusal) => return unless_forbidden(refusal.to_string()),
        };
        if answer.is_success() {
            return Ok(true);
        }
        let Some(next) = answer.header("location").filter(|_| (300..400).contains(&answer.status)) else {
            return Ok(false);
        };
        link = if next.starts_with('/') { format!("{}{next}", origin(&link)) } else { next.to_owned() };
    }
    Ok(false)
}

/// A link that can't be reached is invalid; one that must not be asked is not known.
fn unless_forbidden(refusal: String) -> Result<bool, String> {
    if ["granted", "private", "address"].iter().any(|word| refusal.contains(word)) {
        Err(refusal)
    } else {
        Ok(false)
    }
}

/// Asks a resolver over HTTPS: plugins have no other way to names. The operator may set another one.
fn resolves(link: &str) -> Result<bool, String> {
    let resolver = host::config("dns_over_https").unwrap_or_else(|| "https://1.1.1.1/dns-query".to_owned());
    let authority = origin(link).rsplit_once("://").map_or("", |(_, authority)| authority);
    let name = authority.rsplit_once('@').map_or(authority, |(_, name)| name);
    let name = name.split(':').next().unwrap_or_default();
    let is_name = !name.is_empty() && name.chars().all(|l| l.is_ascii_alphanumeric() || l == '.' || l == '-');
    let request = HttpRequest::new("GET", &format!("{resolver}?name={name}"))
        .header("accept", "application/dns-json")
        .timeout_ms(TIMEOUT_MS);
    if !is_name {
        return Ok(false);
    }
    let answer = match http::send(&request) {
        Ok(answer) => answer,
        Err(refusal) => return unless_forbidden(refusal.to_string()),
    };
    Ok(answer.json().is_ok_and(|answer| {
        let addresses = answer.get("Answer").and_then(Value::as_array);
        answer.get("Status") == Some(&json!(0)) && addresses.is_some_and(|addresses| !addresses.is_empty())
    }))
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let (not, only_dns) = (params.flag("not"), params.flag("onlyDNS"));
    let method = if only_dns { "DNS lookup" } else { "HTTP request" };
    if text.is_empty() {
        let message = "Missing text to analyze";
        let data = json!({
            "explanation": format!("An error occurred while validating URLs: {message}"), "validationMethod": method,
            "not": not, "textExcerpt": excerpt_or_none(&text),
        });
        return Err(error(message, &data));
    }
    let links = links(&text);
    if links.is_empty() {
        let data = json!({
            "explanation": "No URLs found in the text.", "urls": [], "validationMethod": method, "not": not,
            "textExcerpt": excerpt(&text),
        });
        return Ok(judged("validUrls", false, &data));
    }
    let total = links.len();
    let (mut valid, mut invalid): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for link in links {
        match if only_dns { resolves(link) } else { answers(link) } {
            Ok(true) => valid.push(link),
            Ok(false) => invalid.push(link),
            Err(refusal) => {
                let data = json!({
                    "explanation": format!("An error occurred while validating URLs: {refusal}"),
                    "validationMethod": method, "not": not, "textExcerpt": excerpt(&text),
                });
                return Err(error(&refusal, &data));
            }
        }
    }
    let verdict = invalid.is_empty() != not;
    let explanation = match (verdict, not) {
        (true, true) => format!("All URLs are invalid as expected ({} of {total}).", invalid.len()),
        (true, false) => format!("All URLs are valid ({} found).", valid.len()),
        (false, true) => {
            format!("Some URLs are valid when they should all be invalid ({} of {total}).", valid.len())
        }
        (false, false) => format!("Some URLs are invalid ({} of {total} failed).", invalid.len()),
    };
    let data = json!({
        "verdict": verdict, "not": not, "explanation": explanation, "validUrls": array(&valid),
        "invalidUrls": array(&invalid), "validationMethod": method, "textExcerpt": excerpt(&text),
    });
    Ok(judged("validUrls", verdict, &data))
}
