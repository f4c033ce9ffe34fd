//! `inlineImageUrls`: links to images become the images, for vendors that may not fetch them. Which hosts are asked is
//! the operator's grant.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_plugin_sdk::http::{self, HttpRequest, HttpResponse};
use tidegate_plugin_sdk::{CheckError, Hook, Judgement, Params, Subject, Verdict};

use crate::judged::Judged;
use crate::request::kind;

pub(crate) const SCHEMA: &str = r#"{"type": "object", "properties": {
    "maxSizeBytes": {"type": "integer", "default": 20971520},
    "timeoutMs": {"type": "integer", "default": 30000},
    "providers": {"type": "array", "items": {"type": "string"}, "description": "All by default"},
    "failOnError": {"type": "boolean", "default": false}
}}"#;

const LARGEST: u64 = 20 * 1024 * 1024;
const TIMEOUT_MS: u64 = 30_000;

fn skipped(reason: &str) -> Judged {
    Ok(Judgement::pass().with_data(&json!({ "skipped": true, "reason": reason })))
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let kind = kind::of(&subject.call.endpoint);
    if subject.hook != Hook::Input || !["chatComplete", "messages"].contains(&kind) {
        return skipped("Not applicable for this request type");
    }
    let providers = params.get("providers").and_then(Value::as_array).filter(|names| !names.is_empty());
    let provider = subject.call.provider.as_deref();
    if let (Some(names), Some(provider)) = (providers, provider)
        && !names.iter().any(|name| name == provider)
    {
        return skipped(&format!("Provider '{provider}' not in target providers list"));
    }
    let body = subject.body_json.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok());
    let Some(mut body) = body.filter(|body| body.get("messages").is_some_and(Value::is_array)) else {
        return skipped("No messages found in request");
    };
    let number = |name: &str, default: u64| {
        params.get(name).and_then(Value::as_u64).filter(|given| *given > 0).unwrap_or(default)
    };
    let (largest, timeout_ms) = (number("maxSizeBytes", LARGEST), number("timeoutMs", TIMEOUT_MS));
    let (mut converted, mut errors) = (0, Vec::new());
    let messages = body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
    let parts =
        messages.filter_map(|message| message.get_mut("content").and_then(Value::as_array_mut)).flatten();
    for image in parts
        .filter(|part| part.get("type") == Some(&json!("image_url")))
        .filter_map(|part| part.get_mut("image_url"))
    {
        let url = image.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            continue;
        }
        match fetched(&url, largest, timeout_ms) {
            Ok((data_url, mime)) => {
                converted += 1;
                if let Some(image) = image.as_object_mut() {
                    image.insert("url".to_owned(), data_url.into());
                    image.entry("mime_type").or_insert_with(|| mime.into());
                }
            }
            Err(error) if params.flag("failOnError") => {
                let explanation = format!("Error converting image URLs: {}", error.message);
                return Err(error.with_data(&json!({ "explanation": explanation })));
            }
            Err(error) => errors.push(json!({ "url": url, "error": error.message })),
        }
    }
    let data = json!({ "imagesConverted": converted, "errors": errors, "provider": provider });
    let verdict = if converted > 0 { Verdict::Rewrite(body.to_string()) } else { Verdict::Pass };
    Ok(Judgement::from(verdict).with_data(&data))
}

/// Returns an image as a data URL, and its type.
fn fetched(url: &str, largest: u64, timeout_ms: u64) -> Result<(String, String), CheckError> {
    let failed = |message: String| CheckError::new("Error", message);
    let timeout_ms = u32::try_from(timeout_ms).unwrap_or(u32::MAX);
    let answer = http::send(&HttpRequest::new("GET", url).timeout_ms(timeout_ms))?;
    if !answer.is_success() {
        return Err(failed(format!("Failed to fetch image: {}", answer.status)));
    }
    let size = answer.body.len() as u64;
    if size > largest {
        return Err(failed(format!(
            "Image size ({size} bytes) exceeds maximum allowed size ({largest} bytes)"
        )));
    }
    let mime = mime_of(url, &answer);
    Ok((format!("data:{mime};base64,{}", STANDARD.encode(&answer.body)), mime))
}

fn mime_of(url: &str, answer: &HttpResponse) -> String {
    let said = answer.header("content-type").and_then(|kind| kind.split(';').next()).map(str::trim);
    if let Some(mime) = said.filter(|mime| mime.starts_with("image/")) {
        return mime.to_owned();
    }
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let subtype = match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "png" => "png",
        "gif" => "gif",
        "webp" => "webp",
        "bmp" => "bmp",
        "svg" => "svg+xml",
        "ico" => "x-icon",
        "tif" | "tiff" => "tiff",
        _ => "jpeg",
    };
    format!("image/{subtype}")
}
