//! Edits of bodies that many vendors need.
//!
//! Runs over native bodies and over bodies that the chat codec wrote. What can't be parsed is left alone: the
//! vendor's own message about it is better than ours.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Map, Value};

use super::openai_models;
use super::quirks::Quirks;
use super::vendor::Compatible;
use crate::fields::Fields;
use crate::provider::{Destination, Endpoint, Lane, Wire};

/// Returns whether the upstream body is a chat body.
pub(crate) fn chat_body(to: &Destination<'_>) -> bool {
    match to.lane {
        Lane::Native => to.endpoint == Endpoint::Chat,
        Lane::Translate(wire) => wire == Wire::Chat,
        Lane::Exchange(_) => false,
    }
}

/// Adapts a body to a vendor of the table.
pub(super) fn adapt(vendor: &Compatible, to: &Destination<'_>, body: &mut Fields<'_>) {
    let quirks = vendor.quirks;
    let chat = chat_body(to);
    let openai = quirks.has(Quirks::OPENAI_MODELS);
    if chat || to.endpoint == Endpoint::Completions {
        for name in vendor.drops {
            body.remove(name);
        }
        if quirks.has(Quirks::NO_STREAM_OPTIONS) {
            body.remove("stream_options");
        } else if to.stream {
            ask_for_usage(body);
        }
        if quirks.has(Quirks::RANDOM_SEED) {
            body.rename("seed", "random_seed");
        }
    }
    if chat {
        adapt_chat(vendor, to, body);
    } else if openai {
        match to.endpoint {
            Endpoint::Responses => openai_models::adapt_responses(to.model, body),
            Endpoint::ImageGenerations | Endpoint::ImageEdits => openai_models::adapt_image(to.model, body),
            _ => {}
        }
    }
}

fn adapt_chat(vendor: &Compatible, to: &Destination<'_>, body: &mut Fields<'_>) {
    let quirks = vendor.quirks;
    if quirks.has(Quirks::OPENAI_MODELS) {
        let translated = matches!(to.lane, Lane::Translate(_)) && !serves_other_makers(to.model);
        openai_models::adapt_chat(to.model, translated, body);
    }
    if !quirks.has(Quirks::MAX_COMPLETION_TOKENS) {
        // The newer name counts when both are there.
        if body.has("max_completion_tokens") {
            body.remove("max_tokens");
        }
        body.rename("max_completion_tokens", "max_tokens");
    }
    edit_messages(body, !quirks.has(Quirks::DEVELOPER_ROLE), quirks.has(Quirks::NO_EXTRA_CONTENT));
}

/// On a vendor that serves many makers, `anthropic/claude…` reasons although it is no model of OpenAI's.
fn serves_other_makers(model: &str) -> bool {
    model.contains('/') && !model.starts_with("openai/")
}

/// Sets `stream_options.include_usage` and keeps the object's other members.
pub(crate) fn ask_for_usage(body: &mut Fields<'_>) {
    let Ok(options) = body.get::<Map<String, Value>>("stream_options") else { return };
    let mut options = options.unwrap_or_default();
    if options.get("include_usage") == Some(&Value::Bool(true)) {
        return;
    }
    options.insert("include_usage".to_owned(), true.into());
    body.set_raw("stream_options", Value::Object(options).to_string());
}

/// Renames the role `developer` and removes `extra_content` of tool calls. Messages are the largest part of a
/// body, so they are opened only when they hold the words.
pub(crate) fn edit_messages(body: &mut Fields<'_>, no_developer: bool, no_extra: bool) {
    if body.is_plain_talk() {
        return;
    }
    let Some(raw) = body.raw("messages") else { return };
    // Made once: to make one costs more than to look through a short conversation.
    static DEVELOPER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"developer\""));
    static EXTRA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"extra_content\""));
    let holds = |word: &Finder<'_>| word.find(raw.as_bytes()).is_some();
    let (rename, strip) = (no_developer && holds(&DEVELOPER), no_extra && holds(&EXTRA));
    if !rename && !strip {
        return;
    }
    let Ok(mut messages) = crate::surrogates::from_slice::<Vec<Value>>(raw.as_bytes()) else { return };
    let mut edited = false;
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        if rename && message.get("role").is_some_and(|role| role == "developer") {
            message.insert("role".to_owned(), "system".into());
            edited = true;
        }
        if !strip {
            continue;
        }
        let Some(Value::Array(calls)) = message.get_mut("tool_calls") else { continue };
        for call in calls.iter_mut().filter_map(Value::as_object_mut) {
            edited |= call.shift_remove("extra_content").is_some();
        }
    }
    if edited {
        body.set_raw("messages", Value::Array(messages).to_string());
    }
}
