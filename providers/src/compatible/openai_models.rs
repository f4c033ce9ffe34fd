//! Rules of OpenAI's own models, wherever they are served.
//!
//! Clients set sampling parameters for all models alike; OpenAI's reasoning models answer 400 to most of them.
//! What such a model can't do is dropped, as the user could not do anything else about it.

use crate::fields::Fields;

/// Refused by reasoning models whatever the value (OpenAI's and Azure's guides to reasoning models).
const REFUSED: &[&str] = &["presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"];

/// Members of other dialects that OpenAI refuses as unknown, and that user interfaces send to every model.
pub(crate) const NOT_AT_OPENAI: &[&str] =
    &["top_k", "min_p", "top_a", "repetition_penalty", "thinking", "reasoning"];

/// Edits a chat body. `translated` tells that the members are ours, not the client's.
pub(crate) fn adapt_chat(model: &str, translated: bool, body: &mut Fields<'_>) {
    let model = bare(model);
    if !is_current(model) {
        // Asked for by a client that thinks it talks to another model; `gpt-4o` would answer 400.
        if translated {
            body.remove("reasoning_effort");
        }
        return;
    }
    if body.has("max_completion_tokens") {
        body.remove("max_tokens");
    } else {
        body.remove("max_completion_tokens");
        body.rename("max_tokens", "max_completion_tokens");
    }
    if model.contains("-chat") {
        // They sample as the older ones do, and don't reason.
        if translated {
            body.remove("reasoning_effort");
        }
        return;
    }
    // With effort `none` the newer models sample as others do.
    if body.raw("reasoning_effort") != Some("\"none\"") {
        drop_sampling(body);
    }
    for name in REFUSED {
        body.remove(name);
    }
    if refuses_stop(model) {
        body.remove("stop");
    }
}

/// Edits a body of the responses API, whose other members are the client's own choice.
pub(crate) fn adapt_responses(model: &str, body: &mut Fields<'_>) {
    let model = bare(model);
    let effort_none = body.raw("reasoning").is_some_and(|raw| raw.contains("\"none\""));
    if is_current(model) && !model.contains("-chat") && !effort_none {
        drop_sampling(body);
    }
}

/// Edits an image body: `gpt-image` always answers in base64 and refuses to be asked for it.
pub(crate) fn adapt_image(model: &str, body: &mut Fields<'_>) {
    let model = bare(model);
    if model.starts_with("gpt-image") || model.starts_with("chatgpt-image") {
        body.remove("response_format");
    }
}

/// Only the default, 1, is accepted, and there is no need to send it.
fn drop_sampling(body: &mut Fields<'_>) {
    for name in ["temperature", "top_p"] {
        if body.get::<f64>(name).ok().flatten() != Some(1.0) {
            body.remove(name);
        }
    }
}

/// OpenRouter and GitHub write the maker before the model.
fn bare(model: &str) -> &str {
    model.strip_prefix("openai/").unwrap_or(model)
}

/// Returns whether a model is of a generation that wants `max_completion_tokens`: `o1`, `o3-mini`, `gpt-5` and on.
fn is_current(model: &str) -> bool {
    let number = |rest: &str| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse::<u32>().ok()
    };
    match (model.strip_prefix("gpt-"), model.strip_prefix('o')) {
        (Some(version), _) => number(version).is_some_and(|version| version >= 5),
        (None, Some(version)) => number(version).is_some(),
        _ => false,
    }
}

/// The first reasoning models, `o1` and `o3-mini`, still take stop sequences.
fn refuses_stop(model: &str) -> bool {
    !(model.starts_with("o1") || model.starts_with("o3-mini"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(model: &str, body: &str) -> String {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        adapt_chat(model, false, &mut fields);
        String::from_utf8(fields.to_vec()).unwrap()
    }

    #[test]
    fn generations_are_told_by_name() {
        for model in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.1-codex", "gpt-6", "gpt-10"] {
            assert!(is_current(model), "{model}");
        }
        for model in
            ["gpt-4o", "gpt-4.1", "gpt-3.5-turbo", "gpt-oss-120b", "omni-moderation", "llama", "gpt-"]
        {
            assert!(!is_current(model), "{model}");
        }
    }

    #[test]
    fn a_reasoning_model_gets_what_it_takes() {
        let body = r#"{"model":"gpt-5","max_tokens":9,"temperature":0.5,"top_p":1,"stop":["E"],"logit_bias":{"1":1}}"#;
        assert_eq!(adapted("gpt-5", body), r#"{"model":"gpt-5","top_p":1,"max_completion_tokens":9}"#);
        assert_eq!(
            adapted("openai/o3", r#"{"temperature":1.0,"user":"u"}"#),
            r#"{"temperature":1.0,"user":"u"}"#
        );
    }

    #[test]
    fn other_models_keep_everything() {
        let body = r#"{"max_tokens":9,"temperature":0.5,"reasoning_effort":"low"}"#;
        assert_eq!(adapted("gpt-4o", body), body);
    }

    #[test]
    fn chat_models_of_a_new_generation_do_not_reason() {
        let mut fields =
            Fields::parse(br#"{"max_tokens":9,"temperature":0.5,"reasoning_effort":"low"}"#).unwrap();
        adapt_chat("gpt-5-chat-latest", true, &mut fields);
        assert_eq!(fields.to_vec(), br#"{"temperature":0.5,"max_completion_tokens":9}"#);
        let own = r#"{"reasoning_effort":"low"}"#;
        assert_eq!(adapted("gpt-5-chat-latest", own), own, "the client's own choice");
    }

    #[test]
    fn without_effort_sampling_stays() {
        let body = r#"{"temperature":0.5,"reasoning_effort":"none"}"#;
        assert_eq!(adapted("gpt-5.1", body), body);
        assert_eq!(adapted("gpt-5-chat-latest", r#"{"temperature":0.5}"#), r#"{"temperature":0.5}"#);
    }

    #[test]
    fn gpt_image_is_not_asked_for_base64() {
        let mut fields = Fields::parse(br#"{"model":"gpt-image-1","response_format":"b64_json"}"#).unwrap();
        adapt_image("gpt-image-1", &mut fields);
        assert_eq!(fields.to_vec(), br#"{"model":"gpt-image-1"}"#);
    }
}
