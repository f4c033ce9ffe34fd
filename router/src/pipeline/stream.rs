//! A streamed answer: upstream's body wrapped into downstream's, polled by one thread.
//!
//! Three lanes: **passthrough** (same dialect on both sides: frames leave as they came and are only looked at),
//! **decoded** (SSE events → canonical events → the client's dialect), and **raw** (no SSE: audio). All end in the
//! same meter and the same settlement. Back-pressure is not polling: nothing is read from the vendor before the
//! client's socket took what there was.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tidegate_providers::{ErrorBody, Event, Usage};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::decoded::Decoded;
use super::guard::summary;
use super::meter::Meter;
use super::passthrough::Passthrough;
use super::patience::Patience;
use super::proxy::Watch;
use super::resume::Successor;
use super::settle::{Ending, GONE, Settlement};
use crate::error::{ErrorKind, GatewayError};
use crate::upstream::Incoming;

/// Frames before the first content are held back this long at most, so that an early error is still a status.
const HOLD_BACK: Duration = Duration::from_secs(5);
/// And this many bytes.
const HOLD_BACK_BYTES: usize = 1 << 20;

/// How frames are treated.
pub(super) enum Lane {
    /// Same dialect.
    Passthrough(Box<Passthrough>),
    /// Translated.
    Decoded(Box<Decoded>),
    /// No events.
    Raw,
    /// A path that the gateway doesn't model: passed on as it comes, and looked at.
    Watched(Box<Watch>),
}

/// What one step of a lane gives.
pub(super) enum Step {
    /// Bytes for the client; may be empty.
    Bytes(Bytes),
    /// The next piece would make the output `tokens` long, which the holds don't afford.
    Costs(u64),
    /// The vendor reported an error. Before the commit point it is an HTTP error; after it, `frames` say so.
    Failed {
        /// The error.
        error: Box<GatewayError>,
        /// What the client gets, when the answer had begun.
        frames: Bytes,
    },
    /// The vendor broke off where another one may go on: the stream decides.
    Broken(Box<GatewayError>),
    /// More must be read.
    Hungry,
    /// The answer is complete.
    End(Bytes),
}

/// What a lane learns on the way.
pub(super) struct Progress {
    /// Counts the output.
    pub(super) meter: Meter,
    /// How much output the holds afford.
    pub(super) affords: u64,
    /// What the vendor reported.
    pub(super) usage: Option<Usage>,
    /// The vendor said something, though guards may hold all of it.
    pub(super) heard: bool,
    /// Real content was seen.
    pub(super) committed: bool,
}

impl Progress {
    /// Returns whether content was heard, though guards may hold all of it.
    fn has_content(&self) -> bool {
        self.committed || self.meter.has_output()
    }

    pub(super) fn merge(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            self.usage.get_or_insert_default().merge(&usage);
        }
    }
}

/// A streamed answer.
pub struct AnswerStream {
    pub(super) upstream: Option<Incoming>,
    pub(super) lane: Lane,
    pub(super) progress: Progress,
    pub(super) patience: Patience,
    /// When silence of the vendor becomes an error.
    pub(super) idle_until: Instant,
    alarm: Alarm,
    /// While nothing was sent: when to stop waiting. Only reading waits for it, so that no step is cut in the middle.
    open_until: Option<Instant>,
    /// That time has come.
    late: bool,
    pub(super) settlement: Box<Settlement>,
    /// Held back until the commit point.
    first: Vec<Bytes>,
    pub(super) done: bool,
    /// It came to its proper end.
    sound: bool,
    /// The answer is broken and its format has no words for it: the connection must break too.
    abort: bool,
    /// Who continues it if it breaks off.
    pub(super) successor: Option<Box<Successor>>,
}

/// The vendor broke off in the middle of an answer that can't say so; the client's connection is cut.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the provider broke off in the middle of its answer")]
pub struct Cut;

impl AnswerStream {
    /// Makes the stream of an answer whose head has come.
    #[must_use]
    pub(super) fn new(
        upstream: Incoming,
        lane: Lane,
        meter: Meter,
        patience: Patience,
        settlement: Box<Settlement>,
    ) -> Self {
        let affords = if settlement.is_metered() { settlement.affords() } else { u64::MAX };
        let committed = matches!(lane, Lane::Raw | Lane::Watched(_));
        let progress = Progress { meter, affords, usage: None, heard: false, committed };
        Self {
            upstream: Some(upstream),
            lane,
            progress,
            patience,
            idle_until: patience.until(patience.idle),
            alarm: Alarm::default(),
            open_until: None,
            late: false,
            settlement,
            first: Vec::new(),
            done: false,
            sound: false,
            abort: false,
            successor: None,
        }
    }

    /// Reads up to the commit point. `prelude` goes before the answer.
    ///
    /// # Errors
    /// The vendor's error, when it comes before any content; the attempt is settled then.
    pub(super) async fn open(mut self, prelude: Bytes) -> Result<Self, GatewayError> {
        let stream = &mut self;
        let patience = stream.patience;
        let until = patience.content_until().unwrap_or(Instant::now() + patience.first_event);
        let until = patience.at_most(until);
        let mut hold_until: Option<Instant> = None;
        let mut held = 0;
        loop {
            stream.open_until = Some(hold_until.unwrap_or(until));
            let bytes = match stream.step(true).await {
                Ok(None) => break,
                Ok(Some(bytes)) => bytes,
                Err(error) => return Err(*error),
            };
            if std::mem::take(&mut stream.late) {
                if hold_until.is_some() {
                    break;
                }
                // Where content is waited for, content must have been heard.
                let began = if patience.waits_for_content() {
                    stream.progress.has_content()
                } else {
                    stream.progress.heard
                };
                if began && !patience.is_over() {
                    // It began in time; guards hold what it said. A denial may still be a status.
                    hold_until = Some(patience.at_most(Instant::now() + HOLD_BACK));
                    continue;
                }
                let error = patience.late(match patience.first_token {
                    Some(wait) => format!("The provider sent no content for {} ms", wait.as_millis()),
                    None => {
                        format!("The provider sent no event for {} ms", patience.first_event.as_millis())
                    }
                });
                stream.fail(&error, true);
                return Err(error);
            }
            if !patience.waits_for_content() {
                hold_until.get_or_insert_with(|| patience.at_most(Instant::now() + HOLD_BACK));
            }
            held += bytes.len();
            stream.first.push(bytes);
            if stream.progress.committed || held > HOLD_BACK_BYTES {
                break;
            }
        }
        stream.open_until = None;
        stream.first.insert(0, prelude);
        stream.settlement.first_byte();
        stream.settlement.began();
        stream.first.reverse();
        Ok(self)
    }

    /// Takes what goes before the answer out of a stream of which nothing was taken yet.
    pub(super) fn take_prelude(&mut self) -> Bytes {
        self.first.pop().unwrap_or_default()
    }

    /// Returns whether nothing follows what was taken.
    pub(super) fn is_over(&self) -> bool {
        self.done && self.first.is_empty()
    }

    /// Returns whether the answer came to its proper end, could be read all the way, and no guard found fault with it.
    pub(super) fn is_sound(&self) -> bool {
        let faulted = match &self.lane {
            Lane::Passthrough(lane) => lane.is_faulted(),
            Lane::Decoded(lane) => lane.is_faulted(),
            Lane::Raw | Lane::Watched(_) => false,
        };
        self.sound && !faulted
    }

    /// Returns what it cost, once it is over.
    pub(super) fn paid(&self) -> Option<i64> {
        self.settlement.paid()
    }

    /// Returns the next bytes for the client, or `None` at the end.
    ///
    /// # Errors
    /// [`Cut`], once, when the answer must not end as if it were complete.
    pub async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        if let Some(bytes) = self.first.pop() {
            return Some(Ok(bytes));
        }
        loop {
            if self.done {
                self.successor = None;
                return std::mem::take(&mut self.abort).then_some(Err(Cut));
            }
            // After the commit point every failure is an event in the stream.
            match self.step(false).await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => return Some(Ok(bytes)),
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Makes one step. `opening`: nothing was sent yet, so errors are returned rather than written. What happens once in
    /// a stream, or never, is boxed: all that waits here is carried by every stream that is held.
    async fn step(&mut self, opening: bool) -> Result<Option<Bytes>, Box<GatewayError>> {
        loop {
            if self.done {
                return Ok(None);
            }
            if self.late {
                return Ok(Some(Bytes::new()));
            }
            let step = match &mut self.lane {
                Lane::Passthrough(lane) => lane.step(&mut self.progress),
                Lane::Decoded(lane) => lane.step(&mut self.progress).await,
                Lane::Raw | Lane::Watched(_) => Step::Hungry,
            };
            match step {
                Step::Bytes(bytes) if bytes.is_empty() => {}
                Step::Bytes(bytes) => return Ok(Some(bytes)),
                Step::End(bytes) => {
                    self.settle("ok", None, 200, false);
                    return Ok(Some(self.mark(bytes)));
                }
                Step::Broken(error) => {
                    if !Box::pin(self.resume(&error)).await
                        && let Lane::Decoded(lane) = &mut self.lane
                    {
                        lane.give_up(*error);
                    }
                }
                Step::Costs(tokens) => {
                    if let Err(error) = Box::pin(self.settlement.extend(tokens)).await {
                        return Ok(Some(Box::pin(self.cut_by_budget(&error)).await));
                    }
                    self.progress.affords = self.settlement.affords();
                }
                Step::Failed { error, frames } => {
                    let early = opening && !self.progress.committed;
                    self.fail(&error, early);
                    if early {
                        return Err(error);
                    }
                    return Ok(Some(frames));
                }
                Step::Hungry => {
                    if let Some(bytes) = self.read(opening).await? {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Reads once from the vendor and feeds the lane. Returns bytes only for the raw lane and at the end.
    async fn read(&mut self, opening: bool) -> Result<Option<Bytes>, Box<GatewayError>> {
        let Some(upstream) = &mut self.upstream else { return Ok(None) };
        if self.patience.is_over() {
            // A stream that never pauses would outlast any timer.
            return Box::pin(self.broken(self.patience.stalled(), opening)).await;
        }
        let due = if let Lane::Decoded(lane) = &self.lane { lane.due().map(Instant::from_std) } else { None };
        let wake = [due, self.open_until].into_iter().flatten().fold(self.idle_until, Instant::min);
        let read = self.alarm.within(wake, upstream.frame()).await;
        if read.is_err() && wake < self.idle_until {
            // Guards judge what waits, or it is too late for a first event.
            self.late = self.open_until.is_some_and(|until| until <= Instant::now());
            return Ok(None);
        }
        self.idle_until = self.patience.until(self.patience.idle);
        let broken = match read {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { return Ok(None) };
                return Ok(match &mut self.lane {
                    Lane::Passthrough(lane) => {
                        lane.push(data);
                        None
                    }
                    Lane::Decoded(lane) => {
                        lane.push(data);
                        None
                    }
                    Lane::Raw => Some(data),
                    Lane::Watched(watch) => {
                        watch.see(&data);
                        Some(data)
                    }
                });
            }
            Ok(None) => {
                self.upstream = None;
                return Box::pin(self.upstream_ended(opening)).await;
            }
            Ok(Some(Err(error))) => super::attempt::unreachable(format!(
                "The provider broke off in the middle of its answer: {error}"
            )),
            Err(_) => self.patience.stalled(),
        };
        Box::pin(self.broken(broken, opening)).await
    }

    async fn upstream_ended(&mut self, opening: bool) -> Result<Option<Bytes>, Box<GatewayError>> {
        let step = match &mut self.lane {
            Lane::Passthrough(lane) => lane.finish(&mut self.progress),
            Lane::Decoded(lane) => lane.finish(&mut self.progress).await,
            Lane::Raw => Step::End(Bytes::new()),
            Lane::Watched(watch) => {
                let usage = watch.finish();
                self.progress.merge(usage);
                Step::End(Bytes::new())
            }
        };
        match step {
            Step::End(bytes) => {
                self.settle("ok", None, 200, false);
                Ok(Some(self.mark(bytes)))
            }
            Step::Broken(error) => {
                if !Box::pin(self.resume(&error)).await
                    && let Lane::Decoded(lane) = &mut self.lane
                {
                    lane.give_up(*error);
                }
                Ok(None)
            }
            Step::Failed { error, frames } => {
                let early = opening && !self.progress.committed;
                self.fail(&error, early);
                if early { Err(error) } else { Ok(Some(frames)) }
            }
            Step::Bytes(bytes) => Ok(Some(bytes)),
            Step::Costs(_) | Step::Hungry => Ok(None),
        }
    }

    /// The connection is lost: an error where nothing was sent, an error event where something was.
    async fn broken(
        &mut self,
        error: GatewayError,
        opening: bool,
    ) -> Result<Option<Bytes>, Box<GatewayError>> {
        let early = opening && !self.progress.committed;
        if !early && Box::pin(self.resume(&error)).await {
            return Ok(None);
        }
        let mut words = Bytes::new();
        if let (Lane::Decoded(lane), false) = (&mut self.lane, early) {
            // What guards still hold may leave, once judged.
            match lane.last_words(&mut self.progress, &error.message).await {
                Ok(bytes) => words = bytes,
                Err(denied) => return Ok(Some(self.denied(denied))),
            }
        }
        self.fail(&error, early);
        if early {
            return Err(Box::new(error));
        }
        let frames = self.error_frames(&error.body(), false);
        Ok(Some([words, frames].concat().into()))
    }

    /// Ends with the denial of a guard in the place of another error.
    fn denied(&mut self, step: Step) -> Bytes {
        match step {
            Step::Failed { error, frames } => {
                self.fail(&error, false);
                frames
            }
            _ => Bytes::new(),
        }
    }

    async fn cut_by_budget(&mut self, error: &GatewayError) -> Bytes {
        let mut words = Bytes::new();
        if let Lane::Decoded(lane) = &mut self.lane {
            // What guards hold is paid.
            match lane.last_words(&mut self.progress, &error.message).await {
                Ok(bytes) => words = bytes,
                Err(denied) => return self.denied(denied),
            }
        }
        let frames = self.error_frames(&error.body(), true);
        self.settle(error.outcome(), Some(error.message.clone()), 200, false);
        [words, frames].concat().into()
    }

    /// Writes the client's error event; `clean` also ends the answer properly before and after it.
    fn error_frames(&mut self, error: &ErrorBody, clean: bool) -> Bytes {
        let reported = self.progress.usage.unwrap_or_default();
        let input = if reported.input > 0 { reported.input } else { self.settlement.likely_input() };
        let usage = Usage { input, output: self.progress.meter.output(), ..reported };
        match &mut self.lane {
            Lane::Passthrough(lane) => lane.error_frames(error, clean.then_some(usage)),
            Lane::Decoded(lane) => lane.error_frames(error, clean.then_some(usage)),
            Lane::Raw | Lane::Watched(_) => {
                self.abort = true;
                Bytes::new()
            }
        }
    }

    /// Settles a failure. `early`: nothing was sent, so the error is the answer; it costs nothing unless the vendor
    /// may be working all the same. A broken answer costs what was received.
    fn fail(&mut self, error: &GatewayError, early: bool) {
        let status = if early { error.status() } else { 200 };
        // What a guard denies was made all the same.
        let unpaid = early && !matches!(error.kind, ErrorKind::UpstreamTimeout | ErrorKind::Guardrail);
        self.settle(error.outcome(), Some(error.message.clone()), status, unpaid);
    }

    fn settle(&mut self, outcome: &'static str, error: Option<String>, status: u16, unpaid: bool) {
        self.done = true;
        // What several vendors said is nothing to keep.
        self.sound = outcome == "ok" && !self.was_continued();
        self.upstream = None;
        let fault = matches!(outcome, "upstream_error" | "upstream_timeout" | "upstream_unreachable");
        self.note_guards();
        let usage = self.final_usage(outcome == "ok");
        // What the vendor reported of a whole answer is not counted again.
        let counts = usage.is_none() || outcome != "ok";
        self.settlement.finish(Ending {
            outcome,
            status,
            error,
            usage,
            counted_output: if counts { self.progress.meter.output() } else { 0 },
            unfinished: outcome != "ok",
            unpaid,
            fault,
            vendor_status: None,
        });
    }

    /// Notes what guards said of the answer.
    fn note_guards(&mut self) {
        if let Lane::Decoded(lane) = &self.lane
            && let Some(results) = lane.results()
        {
            self.settlement.judged(summary::of(results, false));
        }
    }

    /// What the vendor reported, if it reported the end; a broken stream's early figures lack the output.
    pub(super) fn final_usage(&self, complete: bool) -> Option<Usage> {
        let mut usage = self.progress.usage?;
        // A vendor that reported the input only at the start, or counted nothing, is counted here.
        if !complete || usage.output == 0 {
            usage.output = usage.output.max(self.progress.meter.output());
        }
        (complete || usage.input > 0).then_some(usage)
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if !self.done {
            self.done = true;
            self.note_guards();
            self.settlement.finish(Ending {
                outcome: GONE,
                status: 499,
                error: None,
                usage: self.final_usage(false),
                counted_output: self.progress.meter.output(),
                unfinished: true,
                unpaid: false,
                fault: false,
                vendor_status: None,
            });
        }
    }
}

/// Returns the output text of an event, for the meter.
pub(super) fn text_of(event: &Event) -> Option<&str> {
    match event {
        Event::Text { text, .. } | Event::Reasoning { text, .. } | Event::Refusal { text, .. } => Some(text),
        Event::ToolStart { name, .. } => Some(name),
        Event::ToolArguments { json, .. } => Some(json),
        _ => None,
    }
}
