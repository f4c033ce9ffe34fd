//! What does the gateway do to each chunk of a stream? Everything is per chunk; the baseline copies its bytes once.

mod table;

use std::convert::Infallible;
use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use eventsource_stream::{Event as SseEvent, Eventsource};
use futures_util::{FutureExt, StreamExt, stream};
use tidegate_prices::tokens;
use tidegate_providers::{EncodeOptions, Wire, look, registry};

use crate::table::{Group, Table};

/// Chunks of a stream; each arrives in a read of its own.
const CHUNKS: u32 = 64;

const CHAT: &str = r#"{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" harbour"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const MESSAGES: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" harbour"}}"#;

/// One dialect's streams.
struct Dialect {
    wire: Wire,
    data: &'static str,
    /// One chunk as it arrives.
    frame: Bytes,
}

impl Dialect {
    fn new(wire: Wire, event: &str, data: &'static str) -> Self {
        Self { wire, data, frame: Bytes::from(format!("{event}data: {data}\n\n")) }
    }

    /// Calls `each` with every event that the SSE reader finds in a stream.
    fn events(&self, mut each: impl FnMut(SseEvent)) {
        let reads = (0..CHUNKS).map(|_| Ok::<_, Infallible>(self.frame.clone()));
        let mut reader = stream::iter(reads).eventsource();
        while let Some(Some(event)) = reader.next().now_or_never() {
            each(event.expect("an event"));
        }
    }

    /// Reads a stream into canonical events and counts them; with `write` also writes them as OpenAI chat.
    fn translate(&self, write: bool) -> usize {
        let mut decoder = registry::outbound(self.wire).decoder();
        let chat = registry::inbound(Wire::Chat).expect("a codec");
        let mut encoder = chat.encoder(EncodeOptions { model: "gpt-4o".into(), ..EncodeOptions::default() });
        let (mut events, mut count) = (Vec::new(), 0);
        self.events(|event| {
            decoder.decode(&event.event, &event.data, &mut events);
            count += events.len();
            if write {
                let mut out = BytesMut::with_capacity(512);
                for event in &events {
                    encoder.encode(event, &mut out);
                }
                black_box(out.freeze());
            }
            black_box(&events);
            events.clear();
        });
        count
    }

    fn measure(&self, group: &mut Group<'_>) {
        assert!(look::frame(self.wire, self.data, &mut |_| {}).content, "the look must see content");
        assert!(self.translate(true) >= CHUNKS as usize, "each chunk must be understood");
        group.bench("memcpy", |b| {
            b.iter(|| {
                for _ in 0..CHUNKS {
                    black_box(Bytes::copy_from_slice(black_box(&self.frame)));
                }
            });
        });
        group.bench("look", |b| {
            b.iter(|| {
                for _ in 0..CHUNKS {
                    let mut length = 0;
                    black_box(look::frame(self.wire, black_box(self.data), &mut |text| length += text.len()));
                    black_box(length);
                }
            });
        });
        group.bench("look + count tokens", |b| {
            b.iter(|| {
                for _ in 0..CHUNKS {
                    let mut count = 0;
                    let add = &mut |text: &str| count += tokens::count_piece(text);
                    black_box(look::frame(self.wire, black_box(self.data), add));
                    black_box(count);
                }
            });
        });
        group.bench("read events", |b| {
            b.iter(|| {
                self.events(|event| {
                    black_box(event);
                });
            });
        });
        group.bench("read events + decode", |b| b.iter(|| self.translate(false)));
        group.bench("read events + decode + encode", |b| b.iter(|| self.translate(true)));
    }
}

fn main() {
    let chat = Dialect::new(Wire::Chat, "", CHAT);
    let messages = Dialect::new(Wire::Messages, "event: content_block_delta\n", MESSAGES);
    let mut table = Table::new();
    table.group("OpenAI chat chunk", CHUNKS, |group| chat.measure(group));
    table.group("Anthropic messages chunk", CHUNKS, |group| messages.measure(group));
    table.print();
}
