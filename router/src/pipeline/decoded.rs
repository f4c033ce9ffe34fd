//! The decoded lane: the vendor's SSE events become canonical events, which become the client's dialect. Guards stand
//! between the two; what is counted is what the vendor sent, not what they let through.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use eventsource_stream::{EventStream, EventStreamError, Eventsource};
use futures_util::StreamExt;
use tidegate_providers::event::FinishKind;
use tidegate_providers::surrogates::Joiner;
use tidegate_providers::{Decoder, Encoder, ErrorBody, Event, FinishReason, UpstreamError, Usage};

use super::feed::Feed;
use super::guard::{HookResults, StreamGuard, denied, results_frame};
use super::joint::Said;
use super::passthrough::LARGEST_FRAME;
use super::stream::{Progress, Step, text_of};
use super::text::Cleaner;
use crate::error::{GatewayError, UpstreamFailure};

/// The reader looks at an unfinished event again with every read; from this size on it only sees whole ones.
const LARGE: usize = 64 << 10;

/// Bytes that most pieces have room in once they are written.
const PIECE: usize = 512;

/// Returns whether a blank line ends in `bytes` at or behind `from`.
fn ends_frame(bytes: &[u8], from: usize) -> bool {
    let tail = &bytes[from.saturating_sub(3)..];
    // Most pieces end with one.
    tail.ends_with(b"\n\n")
        || memchr::memchr_iter(b'\n', tail)
            .any(|at| tail[at + 1..].starts_with(b"\n") || tail[at + 1..].starts_with(b"\r\n"))
}

/// The lane.
pub(super) struct Decoded {
    provider: &'static str,
    feed: Feed,
    reader: EventStream<Feed>,
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
    guard: Option<Box<StreamGuard>>,
    /// Whether results of guards are shown in the stream, and as Anthropic's named events.
    shows: Option<bool>,
    events: VecDeque<Event>,
    scratch: Vec<Event>,
    cleaner: Cleaner,
    joiner: Joiner,
    /// Bytes of a large event that is not whole yet.
    large: BytesMut,
    /// Bytes since the last blank line.
    open: usize,
    /// What was said so far, where another vendor may go on.
    said: Option<Said>,
    /// Why it broke off, once that is known.
    failure: Option<GatewayError>,
}

impl Decoded {
    pub(super) fn new(
        provider: &'static str,
        decoder: Box<dyn Decoder>,
        encoder: Box<dyn Encoder>,
        guard: Option<Box<StreamGuard>>,
        shows: Option<bool>,
    ) -> Self {
        let feed = Feed::new();
        Self {
            provider,
            reader: feed.clone().eventsource(),
            feed,
            decoder,
            encoder,
            guard,
            shows,
            events: VecDeque::new(),
            scratch: Vec::new(),
            cleaner: Cleaner::default(),
            joiner: Joiner::default(),
            large: BytesMut::new(),
            open: 0,
            said: None,
            failure: None,
        }
    }

    /// Returns what guards said so far.
    pub(super) fn results(&self) -> Option<&HookResults> {
        self.guard.as_ref().map(|guard| guard.results())
    }

    /// Keeps what is said, so that another vendor may go on.
    pub(super) fn saying(self, said: Option<Said>) -> Self {
        Self { said, ..self }
    }

    /// Returns what was said so far, if another vendor could go on from it, and what those before this one used.
    pub(super) fn said(&self) -> Option<(&str, Usage)> {
        let said = self.said.as_ref()?;
        Some((said.so_far()?, said.usage_before()))
    }

    /// Goes on with another vendor's answer; `used` is what this one's took.
    pub(super) fn adopt(&mut self, other: &mut Self, used: Usage) {
        std::mem::swap(&mut self.feed, &mut other.feed);
        std::mem::swap(&mut self.reader, &mut other.reader);
        std::mem::swap(&mut self.decoder, &mut other.decoder);
        std::mem::swap(&mut self.cleaner, &mut other.cleaner);
        std::mem::swap(&mut self.joiner, &mut other.joiner);
        self.provider = other.provider;
        self.events.clear();
        self.scratch.clear();
        self.large.clear();
        self.open = 0;
        self.failure = None;
        let before = self.said.as_ref().map(Said::usage_before).unwrap_or_default();
        self.said = other.said.take();
        if let Some(said) = &mut self.said {
            said.used_before(before);
            said.used_before(used);
        }
    }

    /// Lets what broke be broken: the next step says so.
    pub(super) fn give_up(&mut self, error: GatewayError) {
        if let Some(said) = &mut self.said {
            said.close();
        }
        // An error that came as an event takes the way of events.
        if !matches!(self.events.front(), Some(Event::Error(_))) {
            self.failure = Some(error);
        }
    }

    /// Ends the answer with an error, or lets the stream decide where another vendor may go on.
    fn fail(&mut self, error: GatewayError) -> Step {
        if self.said().is_some() {
            return Step::Broken(Box::new(error));
        }
        let frames = self.error_frames(&error.body(), None);
        Step::Failed { error: Box::new(error), frames }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        let clean = self.cleaner.clean(bytes);
        if clean.is_empty() {
            return;
        }
        if self.large.is_empty() {
            let open = if ends_frame(&clean, 0) { 0 } else { self.open + clean.len() };
            if open < LARGE {
                self.open = open;
                self.feed.push(clean);
                return;
            }
        }
        let before = self.large.len();
        self.large.extend_from_slice(&clean);
        self.open = if ends_frame(&self.large, before) { 0 } else { self.open + clean.len() };
        if self.open < LARGE {
            self.feed.push(self.large.split().freeze());
        }
    }

    /// Returns when guards should judge although nothing more comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.guard.as_ref()?.due()
    }

    /// Writes what waits.
    pub(super) async fn step(&mut self, progress: &mut Progress) -> Step {
        if let Some(error) = self.failure.take() {
            return self.fail(error);
        }
        loop {
            if !self.events.is_empty() {
                match self.write(progress).await {
                    // Guards may keep everything: on with the next event.
                    Step::Bytes(bytes) if bytes.is_empty() => continue,
                    step => return step,
                }
            }
            if let Some(event) = self.feed.repeated() {
                progress.heard = true;
                self.events.push_back(event);
                continue;
            }
            match self.reader.poll_next_unpin(&mut Context::from_waker(std::task::Waker::noop())) {
                Poll::Ready(Some(Ok(event))) => {
                    let data = self.joiner.mend(event.data);
                    self.decoder.decode(&event.event, &data, &mut self.scratch);
                    self.feed.note(&self.scratch, self.decoder.repeats());
                    progress.heard |= !self.scratch.is_empty();
                    self.events.extend(self.scratch.drain(..));
                }
                Poll::Ready(Some(Err(error))) => return self.unreadable(&error),
                Poll::Ready(None) | Poll::Pending if self.large.len() > LARGEST_FRAME => {
                    let message = format!("The provider sent an event larger than {LARGEST_FRAME} bytes");
                    return self.fail(super::attempt::unreachable(message));
                }
                Poll::Ready(None) | Poll::Pending => {
                    self.feed.was_read();
                    return self.judge(progress).await;
                }
            }
        }
    }

    /// Lets the guards judge what is new, when it is time.
    async fn judge(&mut self, progress: &mut Progress) -> Step {
        if self.due().is_none_or(|due| due > Instant::now()) {
            return Step::Hungry;
        }
        let mut out = BytesMut::new();
        match self.guarded(progress, &mut out, false).await {
            Some(step) => step,
            None if out.is_empty() => Step::Hungry,
            None => Step::Bytes(out.freeze()),
        }
    }

    /// Returns whether a guard found fault with the answer without denying it, or could not judge.
    pub(super) fn is_faulted(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.results().failed() || guard.results().erred())
    }

    /// Ends the stream where upstream's body ended.
    pub(super) async fn finish(&mut self, progress: &mut Progress) -> Step {
        self.feed.end();
        // A last event without its blank line is dropped by the SSE standard; vendors do send such.
        self.push(Bytes::from_static(b"\n\n"));
        self.feed.push(self.large.split().freeze());
        let mut out = BytesMut::new();
        loop {
            match self.step(progress).await {
                Step::Bytes(bytes) => out.extend_from_slice(&bytes),
                Step::Hungry => break,
                Step::Broken(error) => return self.broken(error, out),
                // The last pieces are already here and paid: written without another hold.
                Step::Costs(_) => progress.affords = u64::MAX,
                Step::End(bytes) => {
                    out.extend_from_slice(&bytes);
                    return Step::End(out.freeze());
                }
                Step::Failed { error, frames } => {
                    out.extend_from_slice(&frames);
                    return Step::Failed { error, frames: out.freeze() };
                }
            }
        }
        self.decoder.finish(&mut self.scratch);
        self.events.extend(self.scratch.drain(..));
        if self.events.is_empty() {
            self.events.push_back(Event::Error(broken_off(
                "The provider ended the stream in the middle of its answer",
            )));
        }
        progress.affords = u64::MAX;
        match self.write(progress).await {
            Step::Failed { error, frames } => {
                out.extend_from_slice(&frames);
                Step::Failed { error, frames: out.freeze() }
            }
            Step::Bytes(bytes) | Step::End(bytes) => {
                out.extend_from_slice(&bytes);
                Step::End(out.freeze())
            }
            Step::Broken(error) => self.broken(error, out),
            other => other,
        }
    }

    /// What may leave leaves before the stream decides what to do.
    fn broken(&mut self, error: Box<GatewayError>, out: BytesMut) -> Step {
        if out.is_empty() {
            return Step::Broken(error);
        }
        if !matches!(self.events.front(), Some(Event::Error(_))) {
            self.failure = Some(*error);
        }
        Step::Bytes(out.freeze())
    }

    fn gateway_error(&self, error: UpstreamError) -> GatewayError {
        let failure = UpstreamFailure {
            error,
            provider: self.provider,
            verbatim: None,
            content_type: None,
            headers: Vec::new(),
        };
        GatewayError::upstream(failure)
    }

    /// Takes over the waiting events, up to one that the holds don't afford: what is afforded goes to the guards, or
    /// is written at once where there are none.
    async fn write(&mut self, progress: &mut Progress) -> Step {
        // Guards keep most pieces back, and make room for what they let go.
        let mut out = BytesMut::with_capacity(if self.guard.is_some() { 0 } else { PIECE });
        let mut costs = None;
        while let Some(event) = self.events.pop_front() {
            if let Event::Error(error) = &event
                && self.said().is_some()
            {
                let error = self.gateway_error(error.clone());
                self.events.push_front(event);
                return if out.is_empty() {
                    Step::Broken(Box::new(error))
                } else {
                    Step::Bytes(out.freeze())
                };
            }
            if let Some(text) = text_of(&event) {
                progress.meter.note(text);
                if let Some(output) = progress.meter.exceeds(progress.affords) {
                    progress.meter.forget();
                    self.events.push_front(event);
                    costs = Some(output);
                    break;
                }
                progress.meter.keep();
            }
            if let Event::Usage(usage) = &event {
                progress.merge(Some(*usage));
            }
            let last = matches!(event, Event::End | Event::Error(_));
            let event = match &mut self.said {
                Some(said) => {
                    let (first, second) = said.pass(event);
                    if let Some(step) = first.and_then(|first| self.take(first, progress, &mut out)) {
                        return step;
                    }
                    second
                }
                None => Some(event),
            };
            if let Some(step) = event.and_then(|event| self.take(event, progress, &mut out)) {
                return step;
            }
            if last {
                break;
            }
        }
        if self.guard.is_some()
            && let Some(step) = self.guarded(progress, &mut out, false).await
        {
            return step;
        }
        match costs {
            Some(output) if out.is_empty() => Step::Costs(output),
            _ => Step::Bytes(out.freeze()),
        }
    }

    /// Gives an event to the guards, or writes it where there are none. Returns a step when it was the last.
    fn take(&mut self, event: Event, progress: &mut Progress, out: &mut BytesMut) -> Option<Step> {
        match &mut self.guard {
            Some(guard) => {
                guard.push(event);
                None
            }
            None => self.emit(event, progress, out),
        }
    }

    /// Writes one event. Returns a step when it was the last.
    fn emit(&mut self, event: Event, progress: &mut Progress, out: &mut BytesMut) -> Option<Step> {
        self.encoder.encode(&event, out);
        match event {
            Event::Usage(_) | Event::Start { .. } => None,
            Event::Error(error) => {
                let error = Box::new(self.gateway_error(error));
                Some(Step::Failed { error, frames: out.split().freeze() })
            }
            Event::End => {
                if let (Some(named), Some(guard)) = (self.shows, &self.guard)
                    && guard.results().has_after()
                {
                    out.extend_from_slice(&results_frame(guard.results(), false, named));
                }
                Some(Step::End(out.split().freeze()))
            }
            _ => {
                progress.committed = true;
                None
            }
        }
    }

    /// Lets the guards judge and writes what they let go, without errors if `silent`. Returns a step when the stream
    /// ends here.
    async fn guarded(&mut self, progress: &mut Progress, out: &mut BytesMut, silent: bool) -> Option<Step> {
        let guard = self.guard.as_mut()?;
        let turn = match guard.turn_unasked() {
            Some(turn) => turn,
            // Boxed: every stream that waits would carry the state of a judgement.
            None => Box::pin(guard.turn()).await,
        };
        if !turn.events.is_empty() {
            out.reserve(PIECE);
        }
        for event in turn.events {
            if silent && matches!(event, Event::Error(_)) {
                continue;
            }
            if let Some(step) = self.emit(event, progress, out) {
                return Some(step);
            }
        }
        if !turn.denied {
            return None;
        }
        let guard = self.guard.as_ref()?;
        let error = denied(guard.results());
        // Clients look at the finish reason, or at the error, or at both.
        let open = if guard.may_finish() { guard.open_choices().to_vec() } else { Vec::new() };
        for choice in open {
            let reason = FinishReason::new(FinishKind::ContentFilter, "content_filter");
            self.encoder.encode(&Event::Finish { choice, reason }, out);
        }
        if let (Some(named), Some(guard)) = (self.shows, &self.guard) {
            out.extend_from_slice(&results_frame(guard.results(), false, named));
        }
        self.encoder.encode_error(&error.body(), out);
        self.encoder.encode(&Event::End, out);
        Some(Step::Failed { error: Box::new(error), frames: out.split().freeze() })
    }

    fn unreadable(&mut self, error: &EventStreamError<Infallible>) -> Step {
        self.fail(super::attempt::unreachable(format!("The provider's stream can't be read: {error}")))
    }

    /// Judges what was received of an answer that breaks off here, and returns what may still leave before the error.
    ///
    /// # Errors
    /// The step that ends the stream instead, when a guard denies it.
    pub(super) async fn last_words(&mut self, progress: &mut Progress, reason: &str) -> Result<Bytes, Step> {
        let Some(guard) = &mut self.guard else { return Ok(Bytes::new()) };
        guard.push(Event::Error(broken_off(reason)));
        let mut out = BytesMut::new();
        match self.guarded(progress, &mut out, true).await {
            Some(denied) => Err(denied),
            None => Ok(out.freeze()),
        }
    }

    /// Writes an error event. With `clean` usage the answer is ended properly around it.
    pub(super) fn error_frames(&mut self, error: &ErrorBody, clean: Option<Usage>) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(usage) = clean {
            let reason = FinishReason::new(FinishKind::Length, "length");
            self.encoder.encode(&Event::Finish { choice: 0, reason }, &mut out);
            self.encoder.encode(&Event::Usage(usage), &mut out);
        }
        self.encoder.encode_error(error, &mut out);
        if clean.is_some() {
            self.encoder.encode(&Event::End, &mut out);
        }
        out.freeze()
    }
}

fn broken_off(message: &str) -> UpstreamError {
    UpstreamError { status: 502, message: message.into(), kind: None, code: None, param: None }
}
