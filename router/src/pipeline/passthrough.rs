//! The passthrough lane: client and vendor speak the same dialect, frames leave as they came.

use bytes::{Bytes, BytesMut};
use tidegate_providers::look::{self, Seen};
use tidegate_providers::{Encoder, ErrorBody, Event, UpstreamError, Usage, Wire, anthropic, openai};

use super::alike::Alike;
use super::frames::{Frames, Judge, Stop, Verdict};
use super::stream::{Progress, Step};
use crate::error::{GatewayError, UpstreamFailure};

/// A frame larger than this is a broken stream; the largest real ones are pictures in one event.
pub(super) const LARGEST_FRAME: usize = 64 << 20;
/// OpenAI's end marker.
const DONE: &str = "[DONE]";
const LARGEST_SAMPLE: usize = 4 << 10;

/// The lane.
pub(super) struct Passthrough {
    provider: &'static str,
    frames: Frames,
    watch: Watch,
    encoder: Box<dyn Encoder>,
}

impl Passthrough {
    pub(super) fn new(
        wire: Wire,
        provider: &'static str,
        include_usage: bool,
        choices: u64,
        encoder: Box<dyn Encoder>,
    ) -> Self {
        let watch = Watch {
            wire,
            include_usage,
            unfinished: choices.max(1),
            ended: false,
            open_block: None,
            sample: String::new(),
            heard: false,
            failure: None,
            fault: None,
            unread: false,
            costs: None,
            alike: Alike::default(),
        };
        Self { provider, frames: Frames::default(), watch, encoder }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.frames.push(bytes);
    }

    /// Judges what waits.
    pub(super) fn step(&mut self, progress: &mut Progress) -> Step {
        let Self { frames, watch, .. } = self;
        let (bytes, stop) = frames.scan(&mut Watching { watch, progress });
        if let Some(error) = self.watch.failure.take() {
            return self.failed(error, bytes);
        }
        if let Some(error) = self.watch.fault.take() {
            return self.faulty(error, &bytes);
        }
        if self.watch.ended {
            // A vendor that keeps its connection open after the end keeps nobody waiting.
            return Step::End(bytes);
        }
        if !bytes.is_empty() {
            return Step::Bytes(bytes);
        }
        match (stop, self.watch.costs.take()) {
            (Stop::Paused, Some(tokens)) => Step::Costs(tokens),
            _ if self.frames.waiting() > LARGEST_FRAME => {
                let message = format!("The provider sent an event larger than {LARGEST_FRAME} bytes");
                let error = super::attempt::unreachable(message);
                let frames = self.error_frames(&error.body(), None);
                Step::Failed { error: Box::new(error), frames }
            }
            _ => Step::Hungry,
        }
    }

    /// Returns whether something passed that could not be read.
    pub(super) fn is_faulted(&self) -> bool {
        self.watch.unread
    }

    /// Ends the stream where upstream's body ended.
    pub(super) fn finish(&mut self, progress: &mut Progress) -> Step {
        // The last piece is already here: sent without another hold, settled with what was counted.
        progress.affords = u64::MAX;
        let Self { frames, watch, .. } = self;
        let rest = frames.finish(&mut Last(Watching { watch, progress }));
        if let Some(error) = self.watch.failure.take() {
            return self.failed(error, rest);
        }
        if let Some(error) = self.watch.fault.take() {
            return self.faulty(error, &rest);
        }
        if self.watch.ended {
            return Step::End(rest);
        }
        let mut out = BytesMut::from(&rest[..]);
        if self.watch.unfinished == 0 {
            // Many clients accept a missing end marker, some don't: it is always sent.
            match self.watch.wire {
                Wire::Chat | Wire::Completions => out.extend_from_slice(b"data: [DONE]\n\n"),
                Wire::Messages => {
                    out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
                }
                Wire::Responses | Wire::Gemini => {}
            }
            return Step::End(out.freeze());
        }
        let error =
            super::attempt::unreachable("The provider ended the stream in the middle of its answer".into());
        let frames = self.error_frames(&error.body(), None);
        out.extend_from_slice(&frames);
        Step::Failed { error: Box::new(error), frames: out.freeze() }
    }

    /// The vendor's own error frame is already in the client's dialect and leaves as it came.
    fn failed(&self, error: UpstreamError, frames: Bytes) -> Step {
        let failure = UpstreamFailure {
            error,
            provider: self.provider,
            verbatim: None,
            content_type: None,
            headers: Vec::new(),
        };
        Step::Failed { error: Box::new(GatewayError::upstream(failure)), frames }
    }

    /// No client could read what the vendor sent: the error is said in the client's dialect.
    fn faulty(&mut self, error: UpstreamError, before: &Bytes) -> Step {
        let failure = UpstreamFailure {
            error,
            provider: self.provider,
            verbatim: None,
            content_type: None,
            headers: Vec::new(),
        };
        let error = Box::new(GatewayError::upstream(failure));
        let frames = self.error_frames(&error.body(), None);
        Step::Failed { error, frames: [&before[..], &frames[..]].concat().into() }
    }

    /// Writes an error event. With `clean` usage the answer is ended properly around it.
    pub(super) fn error_frames(&mut self, error: &ErrorBody, clean: Option<Usage>) -> Bytes {
        let mut out = BytesMut::new();
        match (self.watch.wire, clean) {
            (Wire::Chat | Wire::Completions, Some(usage)) => {
                openai::cut(&self.watch.sample, self.watch.include_usage.then_some(&usage), &mut out);
                self.encoder.encode_error(error, &mut out);
                self.encoder.encode(&Event::End, &mut out);
            }
            (Wire::Messages, Some(usage)) => {
                anthropic::cut(self.watch.open_block, &usage, &mut out);
                self.encoder.encode_error(error, &mut out);
            }
            _ => self.encoder.encode_error(error, &mut out),
        }
        out.freeze()
    }
}

/// Returns whether data is JSON; only what says nothing is asked. Keep-alives of some proxies carry no data.
fn is_json(data: &str) -> bool {
    data.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok()
}

fn bad_gateway(message: &str) -> UpstreamError {
    UpstreamError { status: 502, message: message.into(), kind: None, code: None, param: None }
}

/// Returns whether a frame is an event that is named `error`. Only what says nothing is asked.
fn is_named_error(frame: &[u8]) -> bool {
    let mut lines = frame.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.any(|line| line.strip_prefix(b"event:").is_some_and(|name| name.trim_ascii() == b"error"))
}

/// Looks at one frame after the other and remembers what matters.
struct Watch {
    wire: Wire,
    /// Whether the client asked for OpenAI's usage chunk.
    include_usage: bool,
    /// Choices that are not complete yet.
    unfinished: u64,
    ended: bool,
    open_block: Option<u32>,
    /// Data of an early frame: id and model of the stream, should it be cut.
    sample: String,
    /// A frame came that is more than an end.
    heard: bool,
    /// The vendor's own error, whose frame leaves as it came.
    failure: Option<UpstreamError>,
    /// What is wrong with a frame that can't leave.
    fault: Option<UpstreamError>,
    /// A frame passed that could not be read.
    unread: bool,
    /// Output that the next frame would make, where the holds don't afford it.
    costs: Option<u64>,
    /// A frame that was nothing but text.
    alike: Alike,
}

/// A watch at work.
struct Watching<'a> {
    watch: &'a mut Watch,
    progress: &'a mut Progress,
}

impl Judge for Watching<'_> {
    fn glance(&mut self, bytes: &[u8]) -> Option<(usize, Verdict)> {
        let (text, length) = self.watch.alike.find(bytes)?;
        if self.watch.is_over() {
            return Some((length, Verdict::Hide));
        }
        self.progress.meter.note(text);
        Some((length, self.watch.pay(self.progress)))
    }

    fn judge(&mut self, data: &str, frame: &[u8]) -> Verdict {
        self.watch.judge(self.progress, data, frame)
    }
}

/// A watch over what is left where upstream's body ended.
struct Last<'a>(Watching<'a>);

impl Judge for Last<'_> {
    fn glance(&mut self, _bytes: &[u8]) -> Option<(usize, Verdict)> {
        None
    }

    fn judge(&mut self, data: &str, frame: &[u8]) -> Verdict {
        // A frame that was cut is no frame: half a JSON document would break the client's parser.
        let whole = data == DONE || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok();
        if whole { self.0.judge(data, frame) } else { Verdict::Hide }
    }
}

impl Watch {
    /// Returns whether nothing follows: an error or the end came.
    fn is_over(&self) -> bool {
        self.failure.is_some() || self.fault.is_some() || self.ended
    }

    fn judge(&mut self, progress: &mut Progress, data: &str, frame: &[u8]) -> Verdict {
        // Two dialects end with it. Some servers send it in the others, too, where it ends nothing: their own last
        // event does, or the end of the body shows that it is missing.
        let is_foreign = data.trim() == DONE && !matches!(self.wire, Wire::Chat | Wire::Completions);
        if self.is_over() || is_foreign {
            return Verdict::Hide;
        }
        let (mut pieces, alike) = (0, &mut self.alike);
        let meter = &mut progress.meter;
        let seen = look::frame(self.wire, data, &mut |piece| {
            pieces += 1;
            if pieces == 1 {
                alike.learn(frame, piece);
            }
            meter.note(piece);
        });
        if pieces != 1 || !seen.is_content() {
            // Only what says nothing but one text is a pattern.
            *alike = Alike::default();
        }
        if seen.unread || seen == Seen::default() {
            self.fault = if is_named_error(frame) {
                Some(look::error_event(self.wire, data))
            } else if is_json(data) {
                None
            } else {
                Some(bad_gateway("The provider sent an event that is not JSON"))
            };
        }
        if seen.end && !seen.content && seen.error.is_none() && !self.heard {
            self.fault = Some(bad_gateway("The provider ended the stream before its answer began"));
        }
        if self.fault.is_some() {
            meter.forget();
            return Verdict::Hide;
        }
        // Keep-alives carry no data.
        self.heard |= !data.is_empty();
        let is_metered = meter.has_fresh();
        if self.pay(progress) == Verdict::Pause {
            return Verdict::Pause;
        }
        if is_metered && self.sample.is_empty() && data.len() < LARGEST_SAMPLE {
            // Only metered streams are ever cut.
            self.sample.push_str(data);
        }
        progress.merge(seen.usage);
        progress.committed |= seen.content;
        self.unfinished = self.unfinished.saturating_sub(u64::from(seen.finishes));
        self.ended |= seen.end;
        if let Some(block) = seen.block {
            self.open_block = block;
        }
        self.failure = seen.error;
        self.unread |= seen.unread;
        if seen.usage_only && !self.include_usage { Verdict::Hide } else { Verdict::Forward }
    }

    /// Keeps the text that is noted, if the holds afford it.
    fn pay(&mut self, progress: &mut Progress) -> Verdict {
        if let Some(output) = progress.meter.exceeds(progress.affords) {
            progress.meter.forget();
            self.costs = Some(output);
            return Verdict::Pause;
        }
        progress.meter.keep();
        Verdict::Forward
    }
}

#[cfg(test)]
mod tests {
    use tidegate_providers::{EncodeOptions, registry};

    use super::*;
    use crate::pipeline::meter::Meter;

    /// Sends a stream through the lane: what leaves, and the error that ends it.
    fn passed(wire: Wire, stream: &str) -> (String, Option<(u16, String)>) {
        let encoder = registry::inbound(wire).unwrap().encoder(EncodeOptions::default());
        let mut lane = Passthrough::new(wire, "openai", true, 1, encoder);
        let meter = Meter::new("openai", false);
        let mut progress = Progress { meter, affords: u64::MAX, usage: None, heard: false, committed: false };
        lane.push(Bytes::copy_from_slice(stream.as_bytes()));
        let mut out = String::new();
        loop {
            let mut step = lane.step(&mut progress);
            if matches!(step, Step::Hungry) {
                step = lane.finish(&mut progress);
            }
            match step {
                Step::Bytes(bytes) => out.push_str(std::str::from_utf8(&bytes).unwrap()),
                Step::End(bytes) => {
                    out.push_str(std::str::from_utf8(&bytes).unwrap());
                    return (out, None);
                }
                Step::Failed { error, frames } => {
                    out.push_str(std::str::from_utf8(&frames).unwrap());
                    return (out, Some((error.status(), error.message)));
                }
                _ => panic!("neither an end nor an error"),
            }
        }
    }

    #[test]
    fn an_end_without_a_beginning_is_an_error() {
        let message_stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        for (wire, stream) in [
            (Wire::Chat, "data: [DONE]\n\n"),
            (Wire::Completions, ": hi\n\ndata:\n\ndata: [DONE]"),
            (Wire::Responses, "data: [DONE]\n\n"),
            (Wire::Messages, message_stop),
        ] {
            let (_, error) = passed(wire, stream);
            assert_eq!(error.map(|(status, _)| status), Some(502), "{wire:?} {stream}");
        }
        let begun = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(passed(Wire::Chat, begun), (begun.to_owned(), None));
        let ended = "data: {\"type\":\"response.completed\",\"response\":{}}\n\n";
        assert_eq!(passed(Wire::Responses, ended), (ended.to_owned(), None));
    }

    #[test]
    fn another_dialects_end_marker_ends_nothing() {
        let begun = "data: {\"type\":\"response.created\",\"response\":{}}\n\n";
        let (out, error) = passed(Wire::Responses, &format!("{begun}data: [DONE]\n\n"));
        assert_eq!(error.map(|(status, _)| status), Some(502), "{out}");
        assert!(out.starts_with(begun) && !out.contains("[DONE]"), "{out}");
        let told = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
        let (out, error) = passed(Wire::Messages, &format!("{told}data: [DONE]\n\n"));
        assert_eq!(error, None);
        assert_eq!(out, format!("{told}event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"));
    }

    #[test]
    fn an_event_that_is_named_error_is_one_whatever_it_holds() {
        for (wire, data, message) in [
            (Wire::Chat, "{\"message\":\"kaputt\"}", "kaputt"),
            (Wire::Chat, "kaputt", "kaputt"),
            (Wire::Responses, "{\"message\":\"kaputt\"}", "kaputt"),
            (Wire::Messages, "{\"detail\":\"kaputt\"}", "kaputt"),
        ] {
            let stream = format!("event: error\r\ndata: {data}\r\n\r\ndata: [DONE]\n\n");
            let (out, error) = passed(wire, &stream);
            let told = error.map(|(_, told)| told).unwrap_or_default();
            assert!(told.contains(message), "{wire:?} {data}: {told}");
            assert!(!out.contains("[DONE]"), "{out}");
        }
        let first = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        let (out, error) =
            passed(Wire::Chat, &format!("{first}event: error\ndata: {{\"message\":\"kaputt\"}}\n\n"));
        assert!(error.is_some_and(|(_, told)| told.contains("kaputt")));
        assert_eq!(out.matches("kaputt").count(), 1, "{out}");
        assert_eq!(out.matches("data:").count(), 2, "one error behind the content: {out}");
        assert!(out.contains("\"error\":{\"message\":"), "{out}");
    }
}
