//! Reads whole answers, finish reasons and token counts.
//!
//! A whole answer has the form of one streamed event, so the stream's decoder reads it and the events are
//! gathered here; both ways can't drift apart.

use serde_json::{Value, json};

use super::errors;
use super::stream::{GeminiDecoder, number_of};
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::error::UpstreamError;
use crate::event::{Event, FinishKind};
use crate::usage::Usage;

/// Reads a 2xx body.
pub(super) fn answer(body: &[u8]) -> Result<Answer, UpstreamError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| errors::unreadable(format!("the answer is not JSON: {error}")))?;
    let mut decoder = GeminiDecoder::default();
    let mut events = Vec::new();
    decoder.read(&value, &mut events);
    decoder.write_finishes(&mut events);

    let mut answer = Answer::default();
    for event in events {
        gather(event, &mut answer)?;
    }
    if answer.choices.is_empty() {
        return Err(errors::unreadable("the answer has no candidates"));
    }
    for candidate in value.get("candidates").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let (at, candidate) = candidate;
        if let Some(choice) = answer.choices.get_mut(position(number_of(at, candidate))) {
            choice.logprobs = candidate.get("logprobsResult").and_then(logprobs);
        }
    }
    Ok(answer)
}

fn gather(event: Event, answer: &mut Answer) -> Result<(), UpstreamError> {
    match event {
        Event::Start { id, model, created } => {
            answer.id = id;
            answer.model = model;
            answer.created = created;
        }
        Event::Text { choice, text: piece } => {
            let parts = parts_of(answer, choice);
            match parts.last_mut() {
                Some(Part::Text { text, .. }) => text.push_str(&piece),
                _ => parts.push(Part::text(piece)),
            }
        }
        Event::Reasoning { choice, text: piece } => {
            let parts = parts_of(answer, choice);
            match parts.last_mut() {
                Some(Part::Thinking { text, signature: None }) => text.push_str(&piece),
                _ => parts.push(Part::Thinking { text: piece, signature: None }),
            }
        }
        Event::Signature { choice, signature: given } => {
            let parts = parts_of(answer, choice);
            match parts.last_mut() {
                Some(Part::Thinking { signature: signature @ None, .. }) => *signature = Some(given),
                _ => parts.push(Part::Thinking { text: String::new(), signature: Some(given) }),
            }
        }
        Event::ToolStart { choice, id, name, signature, .. } => {
            let call = Part::ToolCall { id, name, arguments: String::new(), signature };
            parts_of(answer, choice).push(call);
        }
        Event::ToolArguments { choice, json, .. } => {
            if let Some(Part::ToolCall { arguments, .. }) = parts_of(answer, choice).last_mut() {
                arguments.push_str(&json);
            }
        }
        Event::Finish { choice, reason } => {
            parts_of(answer, choice);
            if let Some(choice) = answer.choices.get_mut(position(choice)) {
                choice.finish = Some(reason);
            }
        }
        Event::Usage(usage) => answer.usage.get_or_insert_default().merge(&usage),
        Event::Error(error) => return Err(error),
        Event::Refusal { .. } | Event::RedactedReasoning { .. } | Event::End => {}
    }
    Ok(())
}

fn position(choice: u32) -> usize {
    usize::try_from(choice).unwrap_or(usize::MAX)
}

/// Returns the parts of a choice, made when it is new. The decoder bounds the numbers.
fn parts_of(answer: &mut Answer, choice: u32) -> &mut Vec<Part> {
    let at = position(choice);
    if answer.choices.len() <= at {
        answer.choices.resize(at + 1, Choice { parts: Vec::new(), finish: None, logprobs: None });
    }
    &mut answer.choices[at].parts
}

/// Returns the common meaning of a finish reason. Tool calls are the decoder's matter.
pub(super) fn finish_kind(raw: &str) -> FinishKind {
    match raw {
        "MAX_TOKENS" | "CONTINUATION" => FinishKind::Length,
        "SAFETY"
        | "PROHIBITED_CONTENT"
        | "BLOCKLIST"
        | "SPII"
        | "LANGUAGE"
        | "RECITATION"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "ESCALATION" => FinishKind::ContentFilter,
        _ => FinishKind::Stop,
    }
}

/// Reads `usageMetadata`; `None` when it counts nothing, as in the first events of some streams.
pub(super) fn usage_of(metadata: &Value) -> Option<Usage> {
    let metadata = metadata.as_object()?;
    let count = |name: &str| metadata.get(name).and_then(number);
    let modality = |list: &str, wanted: &str| {
        let entries = metadata.get(list).and_then(Value::as_array).into_iter().flatten();
        let matching = entries.filter(|entry| entry.get("modality").is_some_and(|name| name == wanted));
        matching.filter_map(|entry| entry.get("tokenCount").and_then(number)).fold(0, u64::saturating_add)
    };
    let names = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount"];
    names.iter().find_map(|name| count(name))?;
    let counted = |name: &str| count(name).unwrap_or(0);
    let thoughts = counted("thoughtsTokenCount");
    Some(Usage {
        // The prompt count holds cached tokens already, but not the results of tools that Google ran.
        input: counted("promptTokenCount").saturating_add(counted("toolUsePromptTokenCount")),
        cached_input: counted("cachedContentTokenCount"),
        audio_input: modality("promptTokensDetails", "AUDIO"),
        image_input: modality("promptTokensDetails", "IMAGE"),
        output: counted("candidatesTokenCount").saturating_add(thoughts),
        reasoning: thoughts,
        audio_output: modality("candidatesTokensDetails", "AUDIO"),
        image_output: modality("candidatesTokensDetails", "IMAGE"),
        ..Usage::default()
    })
}

/// Reads a count; Protobuf's JSON writes 64-bit integers as strings.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// Turns `logprobsResult` into OpenAI's `logprobs`.
fn logprobs(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let top = result.get("topCandidates").and_then(Value::as_array);
    let entry = |candidate: &Value| {
        let token = candidate.get("token").and_then(Value::as_str).unwrap_or_default();
        let logprob = candidate.get("logProbability").and_then(Value::as_f64).unwrap_or(0.0);
        json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()})
    };
    let content = chosen.iter().enumerate().map(|(at, candidate)| {
        let mut token = entry(candidate);
        let others =
            top.and_then(|top| top.get(at)).and_then(|top| top.get("candidates")).and_then(Value::as_array);
        token["top_logprobs"] = others.into_iter().flatten().map(entry).collect();
        token
    });
    Some(json!({"content": content.collect::<Vec<_>>(), "refusal": null}))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
