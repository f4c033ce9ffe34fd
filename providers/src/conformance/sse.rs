//! SSE bytes → events of a wire, the way the router reads them.

use bytes::BytesMut;
use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};

use crate::codec::{EncodeOptions, Encoder};
use crate::event::{Event, FinishReason};
use crate::provider::Wire;
use crate::registry;

/// Field `event:` and joined `data:` lines of an SSE event.
pub(super) type Frame = (String, String);

/// Reads what several reads brought. The blank line at the end is the router's: vendors forget it, and the SSE
/// standard drops an event without one. `None` stands where the bytes can't be read on.
pub(super) fn frames(reads: &[&[u8]]) -> Vec<Option<Frame>> {
    let reads = reads.iter().copied().chain([&b"\n\n"[..]]).map(Ok::<_, std::convert::Infallible>);
    let events = stream::iter(reads.collect::<Vec<_>>()).eventsource();
    let events = events.map(|event| event.ok().map(|event| (event.event, event.data)));
    let mut frames: Vec<Option<Frame>> = events.collect::<Vec<_>>().now_or_never().unwrap();
    if let Some(broken) = frames.iter().position(Option::is_none) {
        frames.truncate(broken + 1);
    }
    frames
}

/// Decodes what several reads brought, up to where it can't be read on.
pub(super) fn decoded(wire: Wire, reads: &[&[u8]]) -> Vec<Event> {
    decoded_frames(wire, &frames(reads))
}

pub(super) fn decoded_frames(wire: Wire, frames: &[Option<Frame>]) -> Vec<Event> {
    let mut decoder = registry::outbound(wire).decoder();
    let mut events = Vec::new();
    for (event, data) in frames.iter().flatten() {
        decoder.decode(event, data, &mut events);
    }
    decoder.finish(&mut events);
    events
}

/// Encodes events for a client.
pub(super) fn encoded(mut encoder: Box<dyn Encoder>, events: &[Event]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    out.to_vec()
}

/// Returns options whose values no vendor would send.
pub(super) fn options(strict: bool) -> EncodeOptions {
    EncodeOptions {
        model: "own-model".into(),
        provider: "acme".into(),
        id: "own-id".into(),
        created: 7,
        include_usage: true,
        strict,
    }
}

/// Checks what every reader of events relies on.
pub(super) fn check_grammar(events: &[Event], what: &str) {
    let mut finished: Vec<(u32, FinishReason)> = Vec::new();
    let mut tools: Vec<(u32, u32)> = Vec::new();
    let (mut started, mut failed, mut ended) = (false, false, false);
    for event in events {
        let say = |law: &str| format!("{what}: {law}: {event:?} in {events:#?}");
        assert!(!ended, "{}", say("nothing follows the end"));
        assert!(!failed || *event == Event::End, "{}", say("only the end follows an error"));
        match event {
            Event::Start { .. } => assert!(!std::mem::replace(&mut started, true), "{}", say("one start")),
            Event::Error(_) => failed = true,
            Event::End => {
                ended = true;
                assert!(
                    failed || !finished.is_empty(),
                    "{}",
                    say("an end has a finish or an error before it")
                );
            }
            _ => assert!(started, "{}", say("the start comes first")),
        }
        match event {
            Event::Finish { choice, reason } => {
                assert!(!is_finished(&finished, *choice), "{}", say("a choice finishes once"));
                finished.push((*choice, reason.clone()));
            }
            Event::ToolStart { choice, tool, name, .. } => {
                let known = tools.iter().filter(|(of, _)| of == choice).count();
                assert_eq!(usize::try_from(*tool).unwrap(), known, "{}", say("calls are numbered in order"));
                assert!(!name.is_empty(), "{}", say("a call has a name"));
                tools.push((*choice, *tool));
            }
            Event::ToolArguments { choice, tool, .. } => {
                assert!(tools.contains(&(*choice, *tool)), "{}", say("arguments follow their call"));
            }
            _ => {}
        }
        if let Some(choice) = choice_of(event)
            && !matches!(event, Event::Finish { .. })
        {
            assert!(!is_finished(&finished, choice), "{}", say("a finished choice says nothing more"));
        }
    }
    assert!(failed || ended, "{what}: neither an end nor an error in {events:#?}");
}

fn is_finished(finished: &[(u32, FinishReason)], choice: u32) -> bool {
    finished.iter().any(|(of, _)| *of == choice)
}

/// Returns the choice that an event is about.
pub(super) fn choice_of(event: &Event) -> Option<u32> {
    match event {
        Event::Text { choice, .. }
        | Event::Reasoning { choice, .. }
        | Event::Signature { choice, .. }
        | Event::RedactedReasoning { choice, .. }
        | Event::Refusal { choice, .. }
        | Event::ToolStart { choice, .. }
        | Event::ToolArguments { choice, .. }
        | Event::Finish { choice, .. } => Some(*choice),
        Event::Start { .. } | Event::Usage(_) | Event::Error(_) | Event::End => None,
    }
}
