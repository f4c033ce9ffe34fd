//! The decoded lane: the vendor's SSE events become canonical events, which become the client's dialect.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use eventsource_stream::{EventStream, EventStreamError, Eventsource};
use futures_util::{Stream, StreamExt};
use tidegate_providers::event::FinishKind;
use tidegate_providers::{Decoder, Encoder, ErrorBody, Event, FinishReason, Usage};

use super::passthrough::LARGEST_FRAME;
use super::stream::{Progress, Step, text_of};
use super::text::Cleaner;
use crate::error::{GatewayError, UpstreamFailure};

/// The reader looks at an unfinished event again with every read; from this size on it only sees whole ones.
const LARGE: usize = 64 << 10;

/// Returns whether a blank line ends in `bytes` at or behind `from`.
fn ends_frame(bytes: &[u8], from: usize) -> bool {
    let tail = &bytes[from.saturating_sub(3)..];
    memchr::memmem::find(tail, b"\n\n").is_some() || memchr::memmem::find(tail, b"\n\r\n").is_some()
}

/// Bytes that were read and wait for the SSE reader. The pipeline fills it, the reader empties it.
#[derive(Clone, Default)]
struct Feed(Rc<RefCell<VecDeque<Bytes>>>, Rc<RefCell<bool>>);

impl Stream for Feed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.borrow_mut().pop_front() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None if *self.1.borrow() => Poll::Ready(None),
            // Whoever polls fills the feed itself: no waker is needed.
            None => Poll::Pending,
        }
    }
}

/// The lane.
pub(super) struct Decoded {
    provider: &'static str,
    feed: Feed,
    reader: EventStream<Feed>,
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
    events: VecDeque<Event>,
    scratch: Vec<Event>,
    cleaner: Cleaner,
    /// Bytes of a large event that is not whole yet.
    large: BytesMut,
    /// Bytes since the last blank line.
    open: usize,
}

impl Decoded {
    pub(super) fn new(provider: &'static str, decoder: Box<dyn Decoder>, encoder: Box<dyn Encoder>) -> Self {
        let feed = Feed::default();
        Self {
            provider,
            reader: feed.clone().eventsource(),
            feed,
            decoder,
            encoder,
            events: VecDeque::new(),
            scratch: Vec::new(),
            cleaner: Cleaner::default(),
            large: BytesMut::new(),
            open: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        let clean = self.cleaner.clean(bytes);
        if clean.is_empty() {
            return;
        }
        let before = self.large.len();
        self.large.extend_from_slice(&clean);
        self.open = if ends_frame(&self.large, before) { 0 } else { self.open + clean.len() };
        if self.open < LARGE {
            self.feed.0.borrow_mut().push_back(self.large.split().freeze());
        }
    }

    /// Writes what waits.
    pub(super) async fn step(&mut self, progress: &mut Progress) -> Step {
        loop {
            if !self.events.is_empty() {
                return self.write(progress);
            }
            match self.reader.poll_next_unpin(&mut Context::from_waker(std::task::Waker::noop())) {
                Poll::Ready(Some(Ok(event))) => {
                    self.decoder.decode(&event.event, &event.data, &mut self.scratch);
                    self.events.extend(self.scratch.drain(..));
                }
                Poll::Ready(Some(Err(error))) => return self.unreadable(&error),
                Poll::Ready(None) | Poll::Pending if self.large.len() > LARGEST_FRAME => {
                    let message = format!("The provider sent an event larger than {LARGEST_FRAME} bytes");
                    let error = super::attempt::unreachable(message);
                    let frames = self.error_frames(&error.body(), None);
                    return Step::Failed { error: Box::new(error), frames };
                }
                Poll::Ready(None) | Poll::Pending => return Step::Hungry,
            }
        }
    }

    /// Ends the stream where upstream's body ended.
    pub(super) async fn finish(&mut self, progress: &mut Progress) -> Step {
        *self.feed.1.borrow_mut() = true;
        // A last event without its blank line is dropped by the SSE standard; vendors do send such.
        self.push(Bytes::from_static(b"\n\n"));
        self.feed.0.borrow_mut().push_back(self.large.split().freeze());
        let mut out = BytesMut::new();
        loop {
            match self.step(progress).await {
                Step::Bytes(bytes) => out.extend_from_slice(&bytes),
                Step::Hungry => break,
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
            self.events.push_back(Event::Error(tidegate_providers::UpstreamError {
                status: 502,
                message: "The provider ended the stream in the middle of its answer".into(),
                kind: None,
                code: None,
                param: None,
            }));
        }
        progress.affords = u64::MAX;
        match self.write(progress) {
            Step::Failed { error, frames } => {
                out.extend_from_slice(&frames);
                Step::Failed { error, frames: out.freeze() }
            }
            Step::Bytes(bytes) | Step::End(bytes) => {
                out.extend_from_slice(&bytes);
                Step::End(out.freeze())
            }
            other => other,
        }
    }

    /// Writes the waiting events, up to one that the holds don't afford.
    fn write(&mut self, progress: &mut Progress) -> Step {
        let mut out = BytesMut::with_capacity(512);
        while let Some(event) = self.events.pop_front() {
            let tokens = text_of(&event).map_or(0, |text| progress.meter.weigh(text));
            let output = progress.meter.output_with(tokens);
            if tokens > 0 && output > progress.affords {
                self.events.push_front(event);
                return if out.is_empty() { Step::Costs(output) } else { Step::Bytes(out.freeze()) };
            }
            progress.meter.add(text_of(&event).map_or(0, |text| text.len() as u64), tokens);
            match &event {
                Event::Usage(usage) => progress.merge(Some(*usage)),
                Event::Start { .. } => {}
                Event::Error(error) => {
                    let failure = UpstreamFailure {
                        error: error.clone(),
                        provider: self.provider,
                        verbatim: None,
                        headers: Vec::new(),
                    };
                    self.encoder.encode(&event, &mut out);
                    return Step::Failed {
                        error: Box::new(GatewayError::upstream(failure)),
                        frames: out.freeze(),
                    };
                }
                Event::End => {
                    self.encoder.encode(&event, &mut out);
                    return Step::End(out.freeze());
                }
                _ => progress.committed = true,
            }
            self.encoder.encode(&event, &mut out);
        }
        Step::Bytes(out.freeze())
    }

    fn unreadable(&mut self, error: &EventStreamError<Infallible>) -> Step {
        let error = super::attempt::unreachable(format!("The provider's stream can't be read: {error}"));
        let frames = self.error_frames(&error.body(), None);
        Step::Failed { error: Box::new(error), frames }
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
