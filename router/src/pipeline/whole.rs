//! A whole answer: read, understood as far as needed, handed on.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::{Buf, Bytes};
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use tidegate_prices::tokens;
use tidegate_providers::look::{self, NoAnswer};
use tidegate_providers::{
    Answer, EncodeOptions, Endpoint, Fields, Inbound, Lane, Part, Usage, Wire, registry, surrogates,
};

use super::attempt::{read_whole, unreachable};
use super::guard::{Guards, HookResults, Outcome, summary};
use super::patience::Patience;
use super::settle::{Ending, Settlement};
use crate::error::{ErrorKind, GatewayError, UpstreamFailure};
use crate::upstream::Reply;

/// Reads a 2xx answer and turns it into the client's dialect. The request is settled when this returns.
///
/// # Errors
/// 502 when the answer is cut or no answer, 408 when it stalls.
pub(super) async fn whole(
    reply: Reply,
    to: &Exchanged<'_>,
    (limit, patience): (usize, &Patience),
    settlement: &mut Settlement,
    guards: Option<&Guards>,
    mut results: HookResults,
) -> Result<Whole, GatewayError> {
    let Reply { status, headers, mut body } = reply;
    let status = status.as_u16();
    let content_type = headers.text("content-type").unwrap_or("application/json").to_owned();
    let read = read_whole(&mut body, limit, patience).await;
    settlement.first_byte();
    let bytes = match read {
        Ok(bytes) => unmarked(bytes),
        Err(error) => {
            settlement.finish(Ending {
                outcome: error.outcome(),
                status: error.status(),
                error: Some(error.message.clone()),
                unfinished: true,
                fault: true,
                ..Ending::default()
            });
            return Err(error);
        }
    };
    match to.read(bytes, content_type, settlement) {
        Ok(read) => {
            let Read { usage, counted_output, .. } = read;
            let unpaid = to.endpoint == Endpoint::CountTokens;
            // Guards judge a 200 only, as Portkey's do.
            let guards = guards.filter(|guards| status == 200 && guards.judge_answers());
            let judged = match guards {
                // Boxed: most answers are not judged, and should not carry the state of it.
                Some(guards) => Box::pin(to.judge(read, guards, &mut results)).await,
                None => Ok((read.content_type, read.bytes)),
            };
            let judged = judged.and_then(|(kind, bytes)| shown(kind, bytes, &results));
            settlement.judged(summary::of(&results, false));
            let (outcome, code, error) = match &judged {
                Ok(_) => ("ok", if results.failed() { 246 } else { status }, None),
                Err(error) => (error.outcome(), error.status(), Some(error.message.clone())),
            };
            settlement.finish(Ending {
                outcome,
                status: code,
                error,
                usage,
                counted_output,
                unpaid,
                ..Ending::default()
            });
            judged.map(|(content_type, bytes)| Whole { status: code, content_type, bytes })
        }
        Err(error) => {
            settlement.finish(Ending {
                outcome: error.outcome(),
                status: error.status(),
                error: Some(error.message.clone()),
                unpaid: true,
                fault: true,
                ..Ending::default()
            });
            Err(error)
        }
    }
}

const JSON: &str = "application/json";

/// Drops the byte order mark that some servers write before JSON, and JSON's readers refuse.
fn unmarked(mut bytes: Bytes) -> Bytes {
    if bytes.starts_with(b"\xef\xbb\xbf{") {
        bytes.advance(3);
    }
    bytes
}

/// An answer for the client.
pub(super) struct Whole {
    /// The vendor's status, or 246 when a hook failed.
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
}

/// A whole answer, understood as far as needed.
struct Read {
    content_type: String,
    bytes: Bytes,
    usage: Option<Usage>,
    /// Output tokens counted here, where the vendor reports none.
    counted_output: u64,
    /// The answer, where it had to be understood.
    answer: Option<Answer>,
}

/// Counts an answer's output with the vendor's margin.
fn output_of(answer: &Answer, vendor: &str) -> u64 {
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    let counted = parts.map(|part| match part {
        Part::Text { text, .. } | Part::Thinking { text, .. } | Part::Refusal { text } => tokens::count(text),
        Part::ToolCall { name, arguments, .. } => tokens::count(name) + tokens::count(arguments),
        _ => 0,
    });
    tokens::scaled(vendor, counted.sum())
}

/// Adds to an answer that is JSON what hooks found, if there were any.
fn shown(content_type: String, bytes: Bytes, results: &HookResults) -> Result<(String, Bytes), GatewayError> {
    let shows = !results.is_empty() && content_type.contains("json");
    let bytes = if shows { with_results(&bytes, results.text())? } else { bytes };
    Ok((content_type, bytes))
}

/// Puts what hooks found into an answer that is JSON.
///
/// # Errors
/// 502 when it is no object.
pub(super) fn with_results(json: &Bytes, results: String) -> Result<Bytes, GatewayError> {
    const NAME: &str = "hook_results";
    /// Made once: it takes longer than to look through a short answer.
    static LOOKED_FOR: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(NAME));
    let is_absent = LOOKED_FOR.find(json).is_none();
    let object = json.trim_ascii().strip_prefix(b"{").and_then(|object| object.strip_suffix(b"}"));
    if let Some(members) = object.filter(|members| is_absent && !members.trim_ascii().is_empty()) {
        // Behind the last member; the others need no look.
        let mut whole = Vec::with_capacity(members.len() + NAME.len() + results.len() + 6);
        for part in [b"{", members, b",\"", NAME.as_bytes(), b"\":", results.as_bytes(), b"}"] {
            whole.extend_from_slice(part);
        }
        return Ok(whole.into());
    }
    let mut fields =
        Fields::parse(json).map_err(|_| unreachable("The provider's answer is not a JSON object".into()))?;
    fields.set_raw(NAME, results);
    Ok(fields.to_vec().into())
}

/// What is known of the request whose answer comes.
pub(super) struct Exchanged<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) lane: Lane,
    pub(super) model: &'a str,
    pub(super) vendor: &'static str,
    /// Makes what an answer that is written anew needs; most go as they came.
    pub(super) options: &'a dyn Fn() -> EncodeOptions,
    /// The client's body.
    pub(super) asked: &'a Fields<'a>,
}

impl Exchanged<'_> {
    fn read(
        &self,
        bytes: Bytes,
        content_type: String,
        settlement: &mut Settlement,
    ) -> Result<Read, GatewayError> {
        match self.lane {
            Lane::Native => {
                // Whole calls of every wire, embeddings, counts and pictures are JSON; a transcript may be plain text.
                let is_json = self.endpoint.wire().is_some() || content_type.contains("json");
                let usage = match look::answer_of(self.endpoint, &bytes) {
                    Ok(usage) => usage,
                    Err(NoAnswer::NotJson) if is_json => {
                        return Err(unreachable("The provider's answer is not JSON".into()));
                    }
                    Err(NoAnswer::NotJson) => None,
                    Err(NoAnswer::Fault(error)) => return Err(self.failure(*error)),
                };
                self.quantities(&bytes, settlement);
                let counted_output = if usage.is_none() { self.count(&bytes) } else { 0 };
                Ok(Read { content_type, bytes, usage, counted_output, answer: None })
            }
            Lane::Translate(wire) => self.translate(wire, &surrogates::mended(&bytes)),
            Lane::Exchange(exchange) => {
                let answer =
                    exchange.answer(self.model, self.asked, &bytes).map_err(|error| self.failure(error))?;
                self.quantities(&answer, settlement);
                let usage = look::usage_of(&answer).unwrap_or_default().filter(|usage| usage.total() > 0);
                Ok(Read {
                    content_type: JSON.to_owned(),
                    bytes: answer.into(),
                    usage,
                    counted_output: 0,
                    answer: None,
                })
            }
        }
    }

    /// Lets the guards judge an answer: it goes as it came, masked, or not at all.
    async fn judge(
        &self,
        read: Read,
        guards: &Guards,
        results: &mut HookResults,
    ) -> Result<(String, Bytes), GatewayError> {
        let bytes = match self.endpoint.wire() {
            Some(wire) => self.judge_call(wire, read.bytes, read.answer, guards, results).await?,
            None => self.judge_transcript(read.bytes, &read.content_type, guards, results).await?,
        };
        Ok((read.content_type, bytes))
    }

    async fn judge_call(
        &self,
        wire: Wire,
        bytes: Bytes,
        answer: Option<Answer>,
        guards: &Guards,
        results: &mut HookResults,
    ) -> Result<Bytes, GatewayError> {
        let (bytes, mut answer) = match answer {
            Some(answer) => (bytes, answer),
            None => {
                let bytes = match surrogates::mended(&bytes) {
                    Cow::Owned(whole) => whole.into(),
                    Cow::Borrowed(_) => bytes,
                };
                let answer =
                    registry::outbound(wire).read_answer(&bytes).map_err(|error| self.failure(error))?;
                (bytes, answer)
            }
        };
        let codec = registry::inbound(wire)
            .ok_or_else(|| GatewayError::new(ErrorKind::Bug, "the endpoint has no wire"))?;
        let options = (self.options)();
        let write = |answer: &Answer| codec.write_answer(answer, &options);
        let written: Value = match guards.after(&mut answer, &bytes, &write, results).await? {
            Outcome::Same => return Ok(bytes),
            Outcome::Rewritten(body) => body,
            // Written anew from what was judged: nothing that guards did not see stays in it.
            Outcome::Masked => write(&answer),
        };
        Ok(written.to_string().into())
    }

    /// Judges what was heard in a recording: plain text, or the `text` of a JSON answer.
    async fn judge_transcript(
        &self,
        bytes: Bytes,
        content_type: &str,
        guards: &Guards,
        results: &mut HookResults,
    ) -> Result<Bytes, GatewayError> {
        if !matches!(self.endpoint, Endpoint::Transcriptions | Endpoint::Translations) {
            return Ok(bytes);
        }
        if !content_type.contains("json") {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(guards.after_text(&text, results).await?.map_or(bytes, Bytes::from));
        }
        let mut fields = Fields::parse(&bytes)
            .map_err(|_| unreachable("The provider's answer is not a JSON object".into()))?;
        let text = fields
            .raw("text")
            .and_then(|raw| surrogates::from_slice::<String>(raw.as_bytes()).ok())
            .unwrap_or_default();
        let Some(masked) = guards.after_text(&text, results).await? else { return Ok(bytes) };
        fields.set_str("text", &masked);
        // They spell the same words again.
        for name in ["segments", "words", "logprobs"] {
            fields.remove(name);
        }
        Ok(fields.to_vec().into())
    }

    /// Counts the output of a native answer that reports no usage.
    fn count(&self, bytes: &[u8]) -> u64 {
        let Some(wire) = self.endpoint.wire() else { return 0 };
        match registry::outbound(wire).read_answer(&surrogates::mended(bytes)) {
            Ok(answer) => output_of(&answer, self.vendor),
            // Legacy completions and responses have shapes of their own; their bytes bound their text.
            Err(_) => (bytes.len() as u64).div_ceil(4),
        }
    }

    fn translate(&self, wire: Wire, bytes: &[u8]) -> Result<Read, GatewayError> {
        let codec: &dyn Inbound = self
            .endpoint
            .wire()
            .and_then(registry::inbound)
            .ok_or_else(|| GatewayError::new(ErrorKind::Bug, "the endpoint has no wire"))?;
        let answer = registry::outbound(wire).read_answer(bytes).map_err(|error| self.failure(error))?;
        let written = serde_json::to_vec(&codec.write_answer(&answer, &(self.options)()))
            .map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
        let counted_output = if answer.usage.is_none() { output_of(&answer, self.vendor) } else { 0 };
        Ok(Read {
            content_type: JSON.to_owned(),
            bytes: written.into(),
            usage: answer.usage,
            counted_output,
            answer: Some(answer),
        })
    }

    fn failure(&self, error: tidegate_providers::UpstreamError) -> GatewayError {
        GatewayError::upstream(UpstreamFailure {
            error,
            provider: self.vendor,
            verbatim: None,
            content_type: None,
            headers: Vec::new(),
        })
    }

    /// Notes how many images and how much audio the answer tells of.
    fn quantities(&self, bytes: &[u8], settlement: &mut Settlement) {
        #[derive(Deserialize)]
        struct Images {
            data: Vec<serde::de::IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Heard {
            #[serde(default)]
            duration: Option<f64>,
            #[serde(default)]
            usage: Option<HeardUsage>,
        }
        #[derive(Deserialize)]
        struct HeardUsage {
            #[serde(default)]
            seconds: Option<f64>,
        }
        match self.endpoint {
            Endpoint::ImageGenerations | Endpoint::ImageEdits => {
                if let Ok(images) = serde_json::from_slice::<Images>(bytes) {
                    settlement.quantities().images = images.data.len() as u64;
                }
            }
            Endpoint::Transcriptions | Endpoint::Translations => {
                let heard = serde_json::from_slice::<Heard>(bytes).ok();
                let seconds =
                    heard.and_then(|heard| heard.usage.and_then(|usage| usage.seconds).or(heard.duration));
                if let Some(seconds) = seconds {
                    // Whole milliseconds, rounded up: a length is no money, but pays for it.
                    let ms = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis();
                    settlement.quantities().audio_ms = u64::try_from(ms).unwrap_or(u64::MAX);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_the_last_member_once() {
        let with = |json: &'static str| {
            with_results(&Bytes::from_static(json.as_bytes()), "[1]".to_owned())
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .map_err(|error| error.message)
        };
        assert_eq!(with("{\"a\": {} }\n").unwrap(), "{\"a\": {} ,\"hook_results\":[1]}");
        assert_eq!(with("{}").unwrap(), "{\"hook_results\":[1]}");
        assert_eq!(
            with("{\"hook_results\":{\"x\":2},\"a\":\"hook_results\"}").unwrap(),
            "{\"hook_results\":[1],\"a\":\"hook_results\"}"
        );
        assert!(with("[]").unwrap_err().contains("not a JSON object"));
    }
}
