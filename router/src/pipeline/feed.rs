//! What the SSE reader of the decoded lane is fed with: frame by frame, for it copies what is left of its buffer with each
//! line. Frames that say nothing but a piece of text, as most do, are known without the reader once one was read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use tidegate_providers::{Event, Wire, look};

use super::alike::Alike;

/// Bytes that were read and wait for the SSE reader. The pipeline fills it, the reader empties it.
#[derive(Clone, Default)]
pub(super) struct Feed(Rc<RefCell<Waiting>>);

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Bytes>,
    ended: bool,
    /// The reader has nothing of an event whose rest waits here.
    is_between: bool,
    /// What it was given last, where that is one whole frame.
    frame: Bytes,
    /// Frames like one that said nothing but a text, and what it said.
    alike: Alike,
    said: Option<Said>,
}

/// What a frame said besides its text.
#[derive(Clone, Copy)]
enum Said {
    Text { choice: u32 },
    Reasoning { choice: u32 },
}

impl Said {
    fn of(event: &Event) -> Option<(Self, &str)> {
        match event {
            Event::Text { choice, text } => Some((Self::Text { choice: *choice }, text)),
            Event::Reasoning { choice, text } => Some((Self::Reasoning { choice: *choice }, text)),
            _ => None,
        }
    }

    fn again(self, text: &str) -> Event {
        let text = text.to_owned();
        match self {
            Self::Text { choice } => Event::Text { choice, text },
            Self::Reasoning { choice } => Event::Reasoning { choice, text },
        }
    }
}

impl Feed {
    /// Makes an empty one, whose reader is new.
    pub(super) fn new() -> Self {
        let feed = Self::default();
        feed.0.borrow_mut().is_between = true;
        feed
    }

    /// Adds bytes.
    pub(super) fn push(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.0.borrow_mut().pieces.push_back(bytes);
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// The reader has looked at all that it was given.
    pub(super) fn was_read(&self) {
        let mut waiting = self.0.borrow_mut();
        waiting.is_between |= waiting.frame.ends_with(b"\n\n");
    }

    /// Takes out the next frame where it is like the last one, and returns what it says.
    pub(super) fn repeated(&self) -> Option<Event> {
        let mut waiting = self.0.borrow_mut();
        let waiting = &mut *waiting;
        let said = waiting.said.filter(|_| waiting.is_between)?;
        let piece = waiting.pieces.front_mut()?;
        let (text, length) = waiting.alike.find(piece)?;
        let event = said.again(text);
        piece.advance(length);
        if piece.is_empty() {
            waiting.pieces.pop_front();
        }
        Some(event)
    }

    /// Notes which events came of the frame that was read last. `wire` is that of a decoder for which frames that differ in
    /// nothing but their text are events that differ in nothing else.
    pub(super) fn note(&self, events: &[Event], wire: Option<Wire>) {
        let mut waiting = self.0.borrow_mut();
        let waiting = &mut *waiting;
        waiting.said = None;
        let [event] = events else { return };
        let (Some((said, text)), Some(wire)) = (Said::of(event), wire) else { return };
        let Waiting { frame, alike, .. } = waiting;
        let Some(data) = data_of(frame).filter(|_| waiting.is_between) else { return };
        let mut pieces = 0;
        let seen = look::frame(wire, data, &mut |piece| {
            pieces += 1;
            *alike = Alike::default();
            if piece == text {
                alike.learn(frame, piece);
            }
        });
        if pieces == 1 && seen.is_content() {
            waiting.said = Some(said);
        }
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut waiting = self.0.borrow_mut();
        let Some(mut piece) = waiting.pieces.pop_front() else {
            // Whoever polls fills the feed itself: no waker is needed.
            return if waiting.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        let frame = piece.split_to(frame_end(&piece));
        if !piece.is_empty() {
            waiting.pieces.push_front(piece);
        }
        // With the rest of a cut event before it, the reader may find two events in it.
        waiting.is_between &= frame.ends_with(b"\n\n");
        waiting.frame = frame.clone();
        Poll::Ready(Some(Ok(frame)))
    }
}

/// Returns the data of a frame of one line of data, with its event's name before it at most.
fn data_of(frame: &[u8]) -> Option<&str> {
    let lines = std::str::from_utf8(frame).ok()?.strip_suffix("\n\n")?;
    let data = match lines.strip_prefix("event: ") {
        Some(named) => named.split_once('\n')?.1,
        None => lines,
    };
    data.strip_prefix("data: ").filter(|data| !data.contains(['\n', '\r']))
}

/// Returns where the first frame of `bytes` ends: behind its blank line, or with the bytes.
fn frame_end(bytes: &[u8]) -> usize {
    let blank = |end: usize| match bytes[end..] {
        [b'\n', ..] => Some(end + 1),
        [b'\r', b'\n', ..] => Some(end + 2),
        _ => None,
    };
    let mut ends = memchr::memchr_iter(b'\n', bytes).map(|at| at + 1);
    ends.find_map(blank).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use eventsource_stream::{EventStream, Eventsource};
    use futures_util::StreamExt;
    use proptest::prelude::*;
    use tidegate_providers::{Decoder, registry};

    use super::*;

    const CHAT: &str =
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"},"finish_reason":null}]}"#;
    const THOUGHT: &str = r#"{"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"TEXT"}}]}"#;

    /// Reads as the lane does, with what is known without the reader, or without.
    struct Lane {
        feed: Feed,
        reader: EventStream<Feed>,
        decoder: Box<dyn Decoder>,
        is_short: bool,
        repeated: usize,
        events: Vec<Event>,
    }

    impl Lane {
        fn new(wire: Wire, is_short: bool) -> Self {
            let feed = Feed::new();
            let decoder = registry::outbound(wire).decoder();
            Self {
                reader: feed.clone().eventsource(),
                feed,
                decoder,
                is_short,
                repeated: 0,
                events: Vec::new(),
            }
        }

        fn read(&mut self, bytes: &[u8]) {
            self.feed.push(Bytes::copy_from_slice(bytes));
            loop {
                if self.is_short
                    && let Some(event) = self.feed.repeated()
                {
                    self.repeated += 1;
                    self.events.push(event);
                    continue;
                }
                let mut context = Context::from_waker(std::task::Waker::noop());
                let Poll::Ready(Some(Ok(event))) = self.reader.poll_next_unpin(&mut context) else {
                    return self.feed.was_read();
                };
                let mut events = Vec::new();
                self.decoder.decode(&event.event, &event.data, &mut events);
                self.feed.note(&events, self.decoder.repeats());
                self.events.append(&mut events);
            }
        }
    }

    /// Returns how many frames needed no reader, having seen that the events are the same with it.
    fn short_cuts(wire: Wire, stream: &str, cuts: &[usize]) -> usize {
        let mut lanes = [Lane::new(wire, true), Lane::new(wire, false)];
        let mut rest = stream.as_bytes();
        for cut in cuts {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            lanes.iter_mut().for_each(|lane| lane.read(piece));
        }
        lanes.iter_mut().for_each(|lane| lane.read(rest));
        let [short, long] = lanes;
        assert_eq!(short.events, long.events);
        assert!(!long.events.is_empty());
        short.repeated
    }

    fn chat(pattern: &str, texts: &[&str]) -> String {
        let frame = |text: &&str| format!("data: {}\n\n", pattern.replace("TEXT", text));
        texts.iter().map(frame).collect()
    }

    #[test]
    fn what_differs_in_its_text_needs_no_reader() {
        // The first begins the answer, the second is the pattern; of the others one has an escape, and one follows it.
        let stream = chat(CHAT, &["a", "b", "c", " d", "e\\n", "f", "g"]);
        assert_eq!(short_cuts(Wire::Chat, &stream, &[]), 3);
        let thoughts = chat(THOUGHT, &["a", "b", "c", "d"]);
        let stream = format!("{thoughts}{}data: [DONE]\n\n", chat(CHAT, &["e", "f", "g"]));
        assert_eq!(short_cuts(Wire::Chat, &stream, &[]), 2 + 2);
        let delta = |text: &str| {
            let data = format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            );
            format!("event: content_block_delta\ndata: {data}\n\n")
        };
        let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
        let stream = [&delta("a")[..], &delta("b"), ping, &delta("c"), &delta("d"), &delta("e")].concat();
        assert_eq!(short_cuts(Wire::Messages, &stream, &[]), 1 + 2);
    }

    #[test]
    fn what_says_more_is_read() {
        for more in [
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT","refusal":"r"}}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"},"finish_reason":"stop"}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"TEXT"}]}}]}"#,
            r#"{"id":"TEXT","choices":[{"index":0,"delta":{"content":"\u0061"}}]}"#,
        ] {
            let stream = chat(more, &["a", "a", "b", "c"]);
            let most = usize::from(more.contains("\"type\"")) * 2;
            assert!(short_cuts(Wire::Chat, &stream, &[]) <= most, "{more}");
        }
        let crlf = chat(CHAT, &["a", "b", "c"]).replace('\n', "\r\n");
        assert_eq!(short_cuts(Wire::Chat, &crlf, &[]), 0);
        let two_lines = chat(&CHAT.replace(r#""choices""#, "\ndata: \"choices\""), &["a", "b", "c"]);
        assert_eq!(short_cuts(Wire::Chat, &two_lines, &[]), 0);
    }

    #[test]
    fn the_reader_is_given_one_frame_after_the_other() {
        let mut feed = Feed::new();
        feed.push(Bytes::from_static(b"data: a\n\nevent: e\ndata: b\n\n\n\nda"));
        feed.push(Bytes::new());
        feed.push(Bytes::from_static(b"ta: c\r\n\r\ndata: d"));
        let mut pieces = Vec::new();
        while let Poll::Ready(Some(Ok(piece))) =
            feed.poll_next_unpin(&mut Context::from_waker(std::task::Waker::noop()))
        {
            pieces.push(piece);
        }
        assert_eq!(
            pieces,
            ["data: a\n\n", "event: e\ndata: b\n\n", "\n\n", "da", "ta: c\r\n\r\n", "data: d"]
        );
    }

    proptest! {
        #[test]
        fn wherever_reads_are_cut_the_events_are_the_same(
            texts in proptest::collection::vec("[a-z é\"\\\\\n:]{0,4}", 1..12),
            cuts in proptest::collection::vec(1usize..120, 0..12),
            between in proptest::sample::select(vec!["", ": ping\n\n", "\n", "\r\n", "event: x\n", "id: 1\ndata: \n\n"]),
        ) {
            let frames = texts.iter().map(|text| {
                let text = serde_json::to_string(text).unwrap();
                format!("data: {}\n\n", CHAT.replace("\"TEXT\"", &text))
            });
            let stream = frames.collect::<Vec<_>>().join(between);
            short_cuts(Wire::Chat, &stream, &cuts);
        }
    }
}
