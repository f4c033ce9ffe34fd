//! Tests of the codecs, by theme.

mod answers;
mod completions;
mod encoder;
mod requests;
mod robustness;
mod streams;
mod vendors;

use crate::codec::EncodeOptions;
use crate::event::Event;
use crate::openai::ChatCodec;
use crate::{Encoder, Outbound};

/// Options whose values no vendor would send.
fn options(strict: bool) -> EncodeOptions {
    EncodeOptions {
        model: "own-model".into(),
        provider: "acme".into(),
        id: "own-id".into(),
        created: 7,
        include_usage: true,
        strict,
    }
}

/// Decodes the payloads of a stream.
fn decode(payloads: &[&str]) -> Vec<Event> {
    let mut decoder = ChatCodec.decoder();
    let mut events = Vec::new();
    for payload in payloads {
        decoder.decode("", payload, &mut events);
    }
    decoder.finish(&mut events);
    events
}

/// Returns the payloads of SSE text, comments left out.
fn payloads(sse: &str) -> Vec<&str> {
    sse.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

/// Encodes events and returns the payloads; every frame must be `data: …` and a blank line.
fn encode(mut encoder: Box<dyn Encoder>, events: &[Event]) -> Vec<String> {
    let mut out = bytes::BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    frames(&out)
}

fn frames(out: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text}");
    text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap().to_owned()).collect()
}
