//! Keeps answers: whole ones at once, streams while they pass.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tidegate_providers::{Endpoint, Fields};

use super::kept::KeptStream;
use super::lookup::Watch;
use crate::cache::{Entry, Lead, Piece, Room, Stage};
use crate::clock;
use crate::pipeline::request::{Answer, AnswerBody};
use crate::pipeline::stream::{AnswerStream, Cut};
use crate::pipeline::tried::Failure;

/// A piece weighs so much besides its bytes.
const PIECE: usize = size_of::<Piece>();
/// Shows how guards judged a stream.
pub(super) const GUARDED: &str = "x-tidegate-guardrail-stream";

impl Watch {
    /// Keeps an answer that is worth it; the client gets it unchanged.
    pub(in crate::pipeline) async fn keep(
        mut self,
        result: Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let lead = self.lead.take();
        let mut answer = match result {
            Ok(answer) => answer,
            Err(failure) => {
                end(lead, Stage::Failed);
                return Err(failure);
            }
        };
        answer.about.cache = Some(self.status.word());
        if answer.status != 200 {
            end(lead, Stage::Failed);
            return Ok(answer);
        }
        match answer.body {
            // A cap of ours is not part of what was asked.
            AnswerBody::Whole(bytes) if answer.about.capped && ended_short(&bytes) => {
                end(lead, Stage::Failed);
                Ok(Answer { body: AnswerBody::Whole(bytes), ..answer })
            }
            AnswerBody::Whole(bytes) => {
                let stage = match self.whole(&answer.headers, &bytes, answer.about.cost).await {
                    true => Stage::Kept,
                    false => Stage::Failed,
                };
                end(lead, stage);
                Ok(Answer { body: AnswerBody::Whole(bytes), ..answer })
            }
            AnswerBody::Stream(mut stream) if is_events(&answer.headers) => {
                let prelude = stream.take_prelude();
                let room = self.gateway.cache.room();
                let guarded = header(&answer.headers, GUARDED).into();
                let content_type = header(&answer.headers, "content-type").into();
                let started = Instant::now();
                let tape = Tape {
                    watch: self,
                    capped: answer.about.capped,
                    lead,
                    room,
                    started,
                    content_type,
                    guarded,
                    bytes: Vec::new(),
                    pieces: Vec::new(),
                };
                let recording = Recording { stream, prelude, tape: Some(Box::new(tape)) };
                Ok(Answer { body: AnswerBody::Kept(Box::new(KeptStream::Recorded(recording))), ..answer })
            }
            body => {
                end(lead, Stage::Failed);
                Ok(Answer { body, ..answer })
            }
        }
    }

    async fn whole(&self, headers: &[(String, String)], bytes: &Bytes, cost: Option<i64>) -> bool {
        let content_type = header(headers, "content-type");
        let Some(mut fields) = content_type.contains("json").then(|| Fields::parse(bytes).ok()).flatten()
        else {
            return false;
        };
        if !is_answer(self.endpoint, &fields) {
            return false;
        }
        // What guards say of a request is said anew with every request.
        let body = match fields.remove("hook_results") {
            // What a guard let pass because it could not judge is judged again.
            Some(results) if self.guarded && has_erred(&results) => return false,
            Some(_) if self.guarded => fields.to_vec().into(),
            _ => bytes.clone(),
        };
        self.put(body, None, content_type.into(), "".into(), cost).await
    }

    async fn put(
        &self,
        body: Bytes,
        pieces: Option<Box<[Piece]>>,
        content_type: Box<str>,
        guarded: Box<str>,
        cost_nano_usd: Option<i64>,
    ) -> bool {
        let made_ms = clock::unix_ms();
        let age_ms = i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX);
        let until_ms = made_ms.saturating_add(age_ms);
        let entry = Entry { made_ms, until_ms, cost_nano_usd, content_type, guarded, pieces, body };
        let kept = self.gateway.cache.put(self.key, entry, self.epoch).await;
        if let (true, Some((partition, vector))) = (kept, &self.place) {
            self.gateway.cache.place(*partition, self.key, vector);
        }
        kept
    }
}

fn end(lead: Option<Lead>, stage: Stage) {
    if let Some(lead) = lead {
        lead.end(stage);
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

fn is_events(headers: &[(String, String)]) -> bool {
    header(headers, "content-type").starts_with("text/event-stream")
}

/// Returns whether a check after the request could not judge.
fn has_erred(results: &str) -> bool {
    let results: Value = serde_json::from_str(results).unwrap_or_default();
    let hooks = results.get("after_request_hooks").and_then(Value::as_array).into_iter().flatten();
    let mut checks = hooks.filter_map(|hook| hook.get("checks")?.as_array()).flatten();
    checks.any(|check| check.get("error").is_some_and(|error| !error.is_null()))
}

/// Returns whether a 200 is an answer indeed: vendors send errors and promises with it, and addresses of pictures that
/// are gone in an hour.
fn is_answer(endpoint: Endpoint, fields: &Fields<'_>) -> bool {
    if fields.has("error") {
        return false;
    }
    match endpoint {
        Endpoint::Responses => fields.raw("status").is_none_or(|status| status == "\"completed\""),
        Endpoint::ImageGenerations => !fields.raw("data").is_some_and(|data| data.contains("\"url\"")),
        _ => true,
    }
}

/// Returns whether an answer ended at its limit of tokens, in whatever dialect. Within texts, quotes are escaped.
fn ended_short(answer: &[u8]) -> bool {
    const ENDS: [&[u8]; 4] = [
        b"\"finish_reason\":\"length\"",
        b"\"finish_reason\": \"length\"",
        b"\"max_tokens\"",
        b"\"incomplete\"",
    ];
    ENDS.iter().any(|end| memchr::memmem::find(answer, end).is_some())
}

/// What was written down of a stream so far.
struct Tape {
    watch: Watch,
    /// Whether the vendor was told to write less than was asked for.
    capped: bool,
    lead: Option<Lead>,
    room: Room,
    started: Instant,
    content_type: Box<str>,
    guarded: Box<str>,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A stream that passes by and is written down. A client that leaves drops it, and what was written.
pub struct Recording {
    stream: Box<AnswerStream>,
    /// What guards before the request said; not part of the answer.
    prelude: Bytes,
    tape: Option<Box<Tape>>,
}

impl Recording {
    /// Returns the stream.
    pub(super) fn live(&mut self) -> &mut AnswerStream {
        &mut self.stream
    }

    /// Returns the next bytes for the client, or `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        if !self.prelude.is_empty() {
            return Some(Ok(std::mem::take(&mut self.prelude)));
        }
        let piece = self.stream.next().await;
        let fits = match (&piece, &mut self.tape) {
            (Some(Ok(bytes)), Some(tape)) => tape.write(bytes),
            (Some(Err(_)), _) => false,
            _ => true,
        };
        if !fits && let Some(tape) = self.tape.take() {
            end(tape.lead, Stage::Failed);
        }
        // Kept before the last piece leaves: clients hang up once they have it.
        if self.stream.is_over()
            && let Some(tape) = self.tape.take()
        {
            if self.stream.is_sound() {
                tape.finish(self.stream.paid()).await;
            } else {
                end(tape.lead, Stage::Failed);
            }
        }
        piece
    }
}

impl Tape {
    /// Writes a piece down. Returns false where it finds no room.
    fn write(&mut self, bytes: &Bytes) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let cache = &self.watch.gateway.cache;
        let weight = self.bytes.len() + bytes.len() + (self.pieces.len() + 1) * PIECE;
        if weight > cache.most_bytes() || !cache.extend(&mut self.room, bytes.len() + PIECE) {
            cache.too_large();
            return false;
        }
        let Ok(length) = u32::try_from(bytes.len()) else { return false };
        let after_ms = u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(bytes);
        self.pieces.push(Piece { after_ms, length });
        true
    }

    async fn finish(self, cost: Option<i64>) {
        // An answer that its limit cut is no "completed" one; whole ones are held to the same.
        let cut = self.watch.endpoint == Endpoint::Responses
            && memchr::memmem::find(&self.bytes, b"event: response.incomplete").is_some();
        if cut || (self.capped && ended_short(&self.bytes)) {
            end(self.lead, Stage::Failed);
            return;
        }
        let Tape { watch, lead, room: _room, content_type, guarded, bytes, pieces, .. } = self;
        let kept =
            watch.put(bytes.into(), Some(pieces.into_boxed_slice()), content_type, guarded, cost).await;
        end(lead, if kept { Stage::Kept } else { Stage::Failed });
    }
}

impl Watch {
    /// Returns the words of the answer's cache status.
    pub(in crate::pipeline) fn word(&self) -> &'static str {
        self.status.word()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_limit_cut_is_told_by_its_reason() {
        assert!(ended_short(br#"{"choices":[{"finish_reason":"length"}]}"#));
        assert!(ended_short(br#"{"choices":[{"finish_reason": "length"}]}"#));
        assert!(ended_short(br#"{"stop_reason":"max_tokens"}"#));
        assert!(!ended_short(
            br#"{"choices":[{"message":{"content":"\"finish_reason\":\"length\""},"finish_reason":"stop"}]}"#
        ));
    }

    #[test]
    fn errors_promises_and_addresses_are_no_answers() {
        let is = |endpoint, json: &str| is_answer(endpoint, &Fields::parse(json.as_bytes()).unwrap());
        assert!(is(Endpoint::Chat, r#"{"choices":[],"error":null}"#));
        assert!(!is(Endpoint::Chat, r#"{"error":{"message":"x"}}"#));
        assert!(is(Endpoint::Responses, r#"{"status":"completed"}"#));
        for status in ["failed", "in_progress", "incomplete", "queued"] {
            assert!(!is(Endpoint::Responses, &format!(r#"{{"status":"{status}"}}"#)));
        }
        assert!(is(Endpoint::ImageGenerations, r#"{"data":[{"b64_json":"aa"}]}"#));
        assert!(!is(Endpoint::ImageGenerations, r#"{"data":[{"url":"https://x"}]}"#));
    }
}
