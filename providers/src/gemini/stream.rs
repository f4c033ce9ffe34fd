//! Reads streamed answers. Each SSE event of `alt=sse` is a whole `GenerateContentResponse` with the next pieces.
//!
//! Gemini has no end marker: an answer is complete when each of its candidates gave a finish reason. Finish
//! reasons are therefore held back until the body ends; some models repeat one in every event, and whether `STOP`
//! means tool calls is only known then.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};

use serde_json::Value;

use super::decode::{finish_kind, usage_of};
use super::errors;
use crate::codec::Decoder;
use crate::event::{Event, FinishKind, FinishReason};
use crate::usage::Usage;

/// Longest piece of the vendor's answer id in ids of calls: OpenAI takes no more than 40 characters.
const MAX_ID: usize = 28;
/// Highest number of a choice; OpenAI's `n` ends at 128 and Google's at 8.
const MAX_CHOICE: u32 = 127;

/// Decoder of one answer; whole answers are read as a stream of one event.
#[derive(Debug, Default)]
pub(super) struct GeminiDecoder {
    started: bool,
    failed: bool,
    /// Vendor's id of the answer.
    id: String,
    /// In the place of that id, where the vendor gives none.
    stem: Option<String>,
    /// Calls seen in all candidates, for ids.
    calls: u32,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    tools: u32,
    finish: Option<Finish>,
}

#[derive(Debug)]
enum Finish {
    /// `finishReason` of a candidate.
    Reason(String),
    /// `blockReason` of the prompt; its words overlap with finish reasons (`OTHER`).
    Blocked(String),
}

impl Decoder for GeminiDecoder {
    fn decode(&mut self, _event: &str, data: &str, out: &mut Vec<Event>) {
        if self.failed || data.trim().is_empty() {
            return;
        }
        match serde_json::from_str::<Value>(data) {
            Ok(value) => self.read(&value, out),
            Err(error) => self.fail(format!("unreadable event in the stream: {error}"), out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.failed {
            return;
        }
        let complete =
            !self.choices.is_empty() && self.choices.values().all(|choice| choice.finish.is_some());
        if !complete {
            return self.fail("the stream ended before the answer was complete", out);
        }
        self.write_finishes(out);
        out.push(Event::End);
    }
}

impl GeminiDecoder {
    /// Reads one parsed response; anything but an object, or an array around objects, is an error.
    pub(super) fn read(&mut self, value: &Value, out: &mut Vec<Event>) {
        if let Some(error) = errors::from_value(value, 502) {
            self.failed = true;
            out.push(Event::Error(error));
            return;
        }
        match value {
            Value::Object(_) => self.response(value, out),
            Value::Array(list) if list.iter().all(Value::is_object) => {
                for value in list {
                    if let (Some(error), false) = (errors::from_value(value, 502), self.failed) {
                        self.failed = true;
                        out.push(Event::Error(error));
                    }
                    if !self.failed {
                        self.response(value, out);
                    }
                }
            }
            _ => self.fail("an event of the stream is not a JSON object", out),
        }
    }

    /// Pushes the finish reasons that were seen.
    pub(super) fn write_finishes(&mut self, out: &mut Vec<Event>) {
        for (number, choice) in &mut self.choices {
            let (kind, raw) = match choice.finish.take() {
                Some(Finish::Reason(raw)) if raw == "STOP" && choice.tools > 0 => {
                    (FinishKind::ToolCalls, raw)
                }
                Some(Finish::Reason(raw)) => (finish_kind(&raw), raw),
                Some(Finish::Blocked(raw)) => (FinishKind::ContentFilter, raw),
                None => continue,
            };
            out.push(Event::Finish { choice: *number, reason: FinishReason::new(kind, raw) });
        }
    }

    fn fail(&mut self, message: impl Into<String>, out: &mut Vec<Event>) {
        self.failed = true;
        out.push(Event::Error(errors::unreadable(message)));
    }

    fn response(&mut self, value: &Value, out: &mut Vec<Event>) {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        if !self.started {
            self.started = true;
            self.id = text("responseId").to_owned();
            out.push(Event::Start {
                id: self.id.clone(),
                model: text("modelVersion").to_owned(),
                created: 0,
            });
        }
        let candidates = value.get("candidates").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (at, candidate) in candidates.iter().enumerate() {
            self.candidate(number_of(at, candidate), candidate, out);
        }
        let blocked = value.pointer("/promptFeedback/blockReason").and_then(Value::as_str);
        if let (Some(reason), true) = (blocked, candidates.is_empty()) {
            // A blocked prompt has no candidate; clients still get a choice that says why it is empty.
            self.choices.entry(0).or_default().finish = Some(Finish::Blocked(reason.to_owned()));
        }
        if let Some(usage) = value.get("usageMetadata").and_then(usage_of)
            && self.usage != Some(usage)
        {
            self.usage = Some(usage);
            out.push(Event::Usage(usage));
        }
    }

    fn candidate(&mut self, choice: u32, candidate: &Value, out: &mut Vec<Event>) {
        self.choices.entry(choice).or_default();
        for part in candidate.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten() {
            self.part(choice, part, out);
        }
        let reason = candidate.get("finishReason").and_then(Value::as_str);
        if let Some(reason) = reason.filter(|reason| !matches!(*reason, "" | "FINISH_REASON_UNSPECIFIED")) {
            self.choices.entry(choice).or_default().finish = Some(Finish::Reason(reason.to_owned()));
        }
    }

    fn part(&mut self, choice: u32, part: &Value, out: &mut Vec<Event>) {
        let string = |name: &str| part.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
        let signature = string("thoughtSignature").map(str::to_owned);
        if let Some(call) = part.get("functionCall").filter(|call| call.is_object()) {
            return self.call(choice, call, signature, out);
        }
        if let Some(text) = string("text") {
            let text = text.to_owned();
            out.push(if thought { Event::Reasoning { choice, text } } else { Event::Text { choice, text } });
        } else if let Some(text) = picture(part).filter(|_| !thought) {
            // Sketches among the thoughts are not part of the answer.
            out.push(Event::Text { choice, text });
        }
        if let Some(signature) = signature {
            out.push(Event::Signature { choice, signature });
        }
    }

    fn call(&mut self, choice: u32, call: &Value, signature: Option<String>, out: &mut Vec<Event>) {
        let string = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = match string("id") {
            "" => self.make_id(),
            id => id.to_owned(),
        };
        self.calls = self.calls.saturating_add(1);
        let state = self.choices.entry(choice).or_default();
        let tool = state.tools;
        state.tools = tool.saturating_add(1);
        let json = match call.get("args") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(args) => args.to_string(),
        };
        out.push(Event::ToolStart { choice, tool, id, name: string("name").to_owned(), signature });
        out.push(Event::ToolArguments { choice, tool, json });
    }

    /// Makes the same id for the same call of the same answer. Other vendors allow only these characters.
    fn make_id(&mut self) -> String {
        let allowed = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        let mut answer: String = self.id.chars().filter(allowed).take(MAX_ID).collect();
        if answer.is_empty() {
            // An answer without an id: its calls must not have the ids of those of an earlier turn.
            answer = self.stem.get_or_insert_with(random_stem).clone();
        }
        format!("call_{answer}_{}", self.calls)
    }
}

/// Makes a word that no other answer has. The standard library's hash maps have a random seed each.
fn random_stem() -> String {
    let seed = std::collections::hash_map::RandomState::new();
    format!("{:016x}", seed.build_hasher().finish())
}

/// Returns the number of a candidate; a nonsensical index doesn't make a list of that length.
pub(super) fn number_of(at: usize, candidate: &Value) -> u32 {
    let given = candidate.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok());
    given.or(u32::try_from(at).ok()).unwrap_or(MAX_CHOICE).min(MAX_CHOICE)
}

/// Returns a picture of the answer as markdown, the one form that every client's text can carry.
fn picture(part: &Value) -> Option<String> {
    let inline = part.get("inlineData")?;
    let mime = inline.get("mimeType")?.as_str().filter(|mime| mime.starts_with("image/"))?;
    let data = inline.get("data")?.as_str()?;
    Some(format!("![image](data:{mime};base64,{data})"))
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
