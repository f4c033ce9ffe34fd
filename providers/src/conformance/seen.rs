//! What is seen of native streams in passing is what the decoders read.

use bytes::BytesMut;

use super::clients::{self, WIRES};
use super::corpus;
use super::sse::{self, Frame};
use super::told::Told;
use crate::error::UpstreamError;
use crate::event::Event;
use crate::look;
use crate::provider::Wire;
use crate::registry;
use crate::usage::Usage;

/// All that was seen of a stream, up to an error.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    /// Letters of the text in alphabetical order: pieces of one frame may come in another order.
    letters: String,
    usage: Option<Usage>,
    finished: bool,
    ended: bool,
    error: Option<UpstreamError>,
}

fn letters(text: &str) -> String {
    let mut letters: Vec<char> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

fn seen(wire: Wire, frames: &[Option<Frame>]) -> Sum {
    let mut sum = Sum::default();
    let mut text = String::new();
    for (_, data) in frames.iter().flatten() {
        let before = text.len();
        let seen = look::frame(wire, data, &mut |piece| text.push_str(piece));
        assert!(seen.content || text.len() == before, "text is content: {data}");
        assert!(!seen.usage_only || (seen.usage.is_some() && !seen.content), "{data}");
        if let Some(usage) = seen.usage {
            sum.usage.get_or_insert_default().merge(&usage);
        }
        if seen.error.is_some() {
            // What failed is neither finished nor ended, whatever else its event says.
            sum.error = seen.error;
            break;
        }
        sum.finished |= seen.finished;
        sum.ended |= seen.end;
    }
    sum.letters = letters(&text);
    sum
}

/// Sums up the events of a stream the same way, as far as the wire can carry them.
fn read(wire: Wire, events: &[Event]) -> Sum {
    let mut sum = Sum::default();
    let mut text = String::new();
    let one_choice = matches!(wire, Wire::Messages | Wire::Responses);
    for event in
        events.iter().filter(|event| !one_choice || sse::choice_of(event).is_none_or(|choice| choice == 0))
    {
        match event {
            Event::Text { text: piece, .. } | Event::Refusal { text: piece, .. } => text.push_str(piece),
            Event::Reasoning { text: piece, .. }
            | Event::ToolStart { name: piece, .. }
            | Event::ToolArguments { json: piece, .. }
                if wire != Wire::Completions =>
            {
                text.push_str(piece);
            }
            Event::Usage(usage) => sum.usage.get_or_insert_default().merge(usage),
            Event::Finish { .. } => sum.finished = true,
            Event::End => sum.ended = true,
            Event::Error(error) => {
                sum.error = Some(error.clone());
                break;
            }
            _ => {}
        }
    }
    if matches!(wire, Wire::Responses | Wire::Chat) && sum.error.is_none() {
        // These wires never leave the arguments of a call empty.
        let told = Told::of_events(events);
        let given = |of: u32, at: usize| {
            events.iter().any(|event| {
                matches!(event, Event::ToolArguments { choice, tool, .. } if *choice == of && *tool as usize == at)
            })
        };
        for (choice, said) in told.choices.iter().filter(|(choice, _)| wire == Wire::Chat || **choice == 0) {
            let bare = (0..said.calls.len()).filter(|at| !given(*choice, *at));
            bare.for_each(|_| text.push_str("{}"));
        }
    }
    sum.letters = letters(&text);
    sum
}

#[test]
fn native_streams_are_seen_as_they_are_read() {
    for file in corpus::streams().iter().filter(|file| file.wire() != Wire::Gemini) {
        let frames = sse::frames(&[&file.bytes]);
        let events = sse::decoded_frames(file.wire(), &frames);
        assert_eq!(seen(file.wire(), &frames), read(file.wire(), &events), "{}", file.path());
    }
}

#[test]
fn streams_of_clients_wires_are_seen_as_they_were_written() {
    for file in corpus::streams() {
        let events = sse::decoded(file.wire(), &[&file.bytes]);
        for wire in WIRES {
            let encoder = registry::inbound(wire).unwrap().encoder(sse::options(true));
            let bytes = sse::encoded(encoder, &events);
            let sum = seen(wire, &sse::frames(&[&bytes]));
            let read = read(wire, &events);
            let what = format!("{} on {wire:?}: {}", file.path(), String::from_utf8_lossy(&bytes));
            assert_eq!(sum.letters, read.letters, "{what}");
            match (sum.error, read.error) {
                // Wires differ in what they say of the error besides its message, and when they say usage.
                (Some(seen), Some(read)) => assert!(seen.message.ends_with(&read.message), "{what}"),
                (seen, read) => assert_eq!(seen, read, "{what}"),
            }
            if read.ended {
                assert_eq!((sum.finished, sum.ended), (true, true), "{what}");
                assert_eq!(sum.usage, clients::read_stream(wire, &bytes).usage, "{what}");
            }
        }
    }
}

#[test]
fn whole_answers_are_seen_as_they_are_read() {
    for file in corpus::all().iter().filter(|file| file.is_answer() && file.wire() != Wire::Gemini) {
        let usage = registry::outbound(file.wire()).read_answer(&file.bytes).unwrap().usage;
        assert_eq!(look::usage_of(&file.bytes).unwrap(), usage, "{}", file.path());
    }
}

#[test]
fn errors_of_the_gateway_are_seen_on_every_wire() {
    for wire in WIRES {
        let error = crate::error::ErrorBody {
            status: 429,
            message: "budget used up".into(),
            kind: "rate_limit_error".into(),
            param: None,
            code: None,
            provider: None,
        };
        let mut out = BytesMut::new();
        registry::inbound(wire).unwrap().encoder(sse::options(true)).encode_error(&error, &mut out);
        let sum = seen(wire, &sse::frames(&[&out]));
        let told = sum.error.map(|error| (error.status, error.message));
        assert_eq!(told, Some((429, "budget used up".into())), "{wire:?}");
    }
}
