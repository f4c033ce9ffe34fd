//! Where the network cuts a stream changes nothing, and a stream that ends too early never looks whole.

use proptest::prelude::*;

use super::clients::WIRES;
use super::corpus;
use super::sse::{self, Frame};
use crate::event::Event;
use crate::provider::Wire;
use crate::registry;

/// Longest stream for which every pair of cuts is tried; a longer one would take minutes.
const EVERY_PAIR: usize = 420;

/// Longest stream that is cut at every single byte; a longer one is cut at the ends of lines and here and there
/// between them.
const EVERY_BYTE: usize = 3_000;

/// A stream to cut.
struct Subject {
    name: String,
    wire: Wire,
    bytes: Vec<u8>,
}

/// Streams in every spelling of SSE that the standard allows, with text of one to four bytes a letter.
fn spellings() -> Vec<Subject> {
    let chat = |end: &str| {
        let data = [
            "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"é漢字🦀\"}}]}",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
            "data: [DONE]",
        ];
        data.join(&format!("{end}{end}"))
    };
    let comments = ": hello é\n\nid: 7\nretry: 10\ndata: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"漢\"}}]}\n\
        :in between\n\n:\n\ndata:{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n: bye\n\ndata:[DONE]\n\n";
    let several_lines = "data: {\"id\":\"1\",\ndata: \"choices\":[{\"delta\":\ndata:  {\"content\":\"🦀 é\"}}]\ndata: }\n\n\
        data: {\"choices\":\ndata: [{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let messages = "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\r\n\r\n\
        event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\r\n\
        data: \"delta\":{\"type\":\"text_delta\",\"text\":\"é漢🦀\"}}\r\n\r\nevent: message_delta\r\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\r\n\r\nevent: message_stop\r\n\
        data: {\"type\":\"message_stop\"}\r\n\r\n";
    let gemini = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"é漢\"}]}}]}\r\n\r\n\
        data: {\"candidates\":[{\"content\":\ndata: {\"parts\":[{\"text\":\"🦀\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
    let spelt = [
        ("line feeds, no blank line at the end", Wire::Chat, chat("\n")),
        ("carriage returns and line feeds", Wire::Chat, chat("\r\n") + "\r\n\r\n"),
        ("carriage returns", Wire::Chat, chat("\r") + "\r\r"),
        ("comments, ids, no space behind the colon", Wire::Chat, comments.to_owned()),
        ("data on several lines", Wire::Chat, several_lines.to_owned()),
        ("messages", Wire::Messages, messages.to_owned()),
        ("gemini", Wire::Gemini, gemini.to_owned()),
    ];
    let subject = |(name, wire, text): (&str, Wire, String)| Subject {
        name: name.to_owned(),
        wire,
        bytes: text.into_bytes(),
    };
    spelt.into_iter().map(subject).collect()
}

fn subjects() -> Vec<Subject> {
    let files = corpus::streams().into_iter();
    let mut subjects: Vec<Subject> =
        files.map(|file| Subject { name: file.path(), wire: file.wire(), bytes: file.bytes }).collect();
    subjects.extend(spellings());
    subjects
}

impl Subject {
    fn whole(&self) -> Vec<Option<Frame>> {
        sse::frames(&[&self.bytes])
    }

    /// Returns the places to cut at, one at a time.
    fn places(&self) -> impl Iterator<Item = usize> {
        let near_end_of_line = |at: usize| {
            let around = at.saturating_sub(1)..self.bytes.len().min(at + 1);
            self.bytes[around].contains(&b'\n')
        };
        let every = self.bytes.len() <= EVERY_BYTE;
        (0..=self.bytes.len()).filter(move |at| every || at % 53 == 0 || near_end_of_line(*at))
    }

    /// Returns the reads that cuts at these places make.
    fn cut(&self, first: usize, second: usize) -> [&[u8]; 3] {
        [&self.bytes[..first], &self.bytes[first..second], &self.bytes[second..]]
    }
}

/// Returns what each client gets for the events.
fn encoded(events: &[Event]) -> Vec<Vec<u8>> {
    let encoder = |wire| registry::inbound(wire).unwrap().encoder(sse::options(true));
    WIRES.iter().map(|wire| sse::encoded(encoder(*wire), events)).collect()
}

#[test]
fn streams_are_read_in_every_spelling() {
    for subject in spellings() {
        let events = sse::decoded(subject.wire, &[&subject.bytes]);
        sse::check_grammar(&events, &subject.name);
        assert_eq!(events.last(), Some(&Event::End), "{}: {events:?}", subject.name);
        let text: String = events
            .iter()
            .filter_map(|event| if let Event::Text { text, .. } = event { Some(text.as_str()) } else { None })
            .collect();
        assert!(["é漢字🦀", "漢", "🦀 é", "é漢🦀"].contains(&text.as_str()), "{}: {text}", subject.name);
    }
}

#[test]
fn one_cut_anywhere_changes_nothing() {
    for subject in subjects() {
        let events = sse::decoded(subject.wire, &[&subject.bytes]);
        let clients = encoded(&events);
        for at in subject.places() {
            let cut = sse::decoded(subject.wire, &subject.cut(at, at));
            assert_eq!(cut, events, "{} cut at {at}", subject.name);
            if at % 97 == 0 {
                assert_eq!(encoded(&cut), clients, "{} cut at {at}", subject.name);
            }
        }
    }
}

/// Decoders and encoders are fed frame by frame: equal frames make equal events and equal bytes.
#[test]
fn two_cuts_anywhere_change_nothing() {
    for subject in subjects().iter().filter(|subject| subject.bytes.len() <= EVERY_PAIR) {
        let whole = subject.whole();
        for first in 0..subject.bytes.len() {
            for second in first..=subject.bytes.len() {
                let frames = sse::frames(&subject.cut(first, second));
                assert_eq!(frames, whole, "{} cut at {first} and {second}", subject.name);
            }
        }
    }
}

#[test]
fn single_bytes_change_nothing() {
    for subject in subjects() {
        let reads: Vec<&[u8]> = subject.bytes.chunks(1).collect();
        assert_eq!(sse::frames(&reads), subject.whole(), "{}", subject.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_cuts_change_nothing(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 32)) {
        for (number, subject) in subjects().iter().enumerate() {
            let (a, b) = &places[number % places.len()];
            let (a, b) = (a.index(subject.bytes.len() + 1), b.index(subject.bytes.len() + 1));
            let cut = sse::decoded(subject.wire, &subject.cut(a.min(b), a.max(b)));
            let whole = sse::decoded(subject.wire, &[&subject.bytes]);
            prop_assert_eq!(encoded(&cut), encoded(&whole), "{}", &subject.name);
            prop_assert_eq!(cut, whole, "{}", &subject.name);
        }
    }
}

/// The one exception: a stream that is cut after every choice's finish reason is complete. Vendors of the chat wire
/// that close the connection instead of sending `[DONE]` can't be told from it, and Gemini has no end marker.
#[test]
fn a_stream_that_ends_too_early_never_looks_whole() {
    for subject in subjects() {
        let frames_of_end = ["data: [DONE]", "event: message_stop", "event: response.completed"];
        let mut last = None;
        for at in subject.places().filter(|at| *at < subject.bytes.len()) {
            let frames = sse::frames(&[&subject.bytes[..at]]);
            if last.as_ref() == Some(&frames) {
                continue;
            }
            let events = sse::decoded_frames(subject.wire, &frames);
            let what = format!("{} cut at {at}", subject.name);
            sse::check_grammar(&events, &what);
            let failed = events.iter().any(|event| matches!(event, Event::Error(_)));
            let finished = events.iter().any(|event| matches!(event, Event::Finish { .. }));
            assert!(failed || finished, "{what}: {events:?}");
            for client in encoded(&events).iter().filter(|_| failed) {
                let text = String::from_utf8_lossy(client);
                let end = frames_of_end.iter().find(|end| text.contains(**end));
                assert_eq!(end, None, "{what}: {text}");
            }
            last = Some(frames);
        }
    }
}

#[test]
fn the_name_of_an_unnamed_event_says_nothing() {
    for subject in subjects() {
        let mut unnamed = subject.whole();
        let frames = subject.whole();
        for (event, _) in unnamed.iter_mut().flatten().filter(|(event, _)| event == "message") {
            event.clear();
        }
        let events = sse::decoded_frames(subject.wire, &frames);
        assert_eq!(sse::decoded_frames(subject.wire, &unnamed), events, "{}", subject.name);
    }
}
