//! What may leave leaves at once: behind upstream by the declared lookahead, and by little more.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};
use tidegate_tests::sse;

use super::corpus::harmless;
use super::wire::{Ask, CHAT, CHAT_OVER_ANTHROPIC, Front, MESSAGES, Pair, all, world};
use crate::support::World;

/// What a window may add to the time that the lookahead takes: its pace of 20 ms, and the way through two sockets.
const SLACK: Duration = Duration::from_millis(60);

/// Guards and the lookahead that they declare.
fn guards() -> [(Value, usize); 3] {
    [
        (json!([{ "pii.redact": { "categories": ["ssn"] } }]), 15),
        (json!([{ "secrets.redact": {} }]), 72),
        (json!([{ "pii.redact": {}, "secrets.redact": {} }]), 258),
    ]
}

fn text_of(front: Front, event: sse::Event) -> usize {
    match front {
        Front::Messages => sse::message_text(&[event]).len(),
        _ => sse::chat_text(&[event]).len(),
    }
}

/// What a client saw of a slow stream: how late the first byte was, and how late each piece.
struct Lateness {
    first: Duration,
    pieces: Vec<Duration>,
}

async fn watch(ask: &Ask<'_>, pieces: &[String], lookahead: usize, mark: &str) -> Lateness {
    let plan = pieces.iter().fold(Plan::new(), |plan, piece| plan.say(Kind::Text, piece));
    let directives = ask.mock.plan(plan) + "&delay_ms=20";
    let request = ask.request(&directives, 1, true).header("x-portkey-trace-id", mark);
    let mut answer = request.send().await;
    assert_eq!(answer.status, 200, "{mark}");
    let mut seen = Vec::new();
    let mut released = 0;
    while let Some(event) = answer.next_event().await {
        let bytes = text_of(ask.pair.front, event);
        if bytes > 0 {
            released += bytes;
            seen.push((released, Instant::now()));
        }
    }
    let whole: usize = pieces.iter().map(String::len).sum();
    assert_eq!(released, whole, "{mark}: nothing is lost");
    let record = ask.mock.find(&format!("{directives}]]")).pop().expect("asked");
    let sent = record.pieces_at();
    let mut total = 0;
    let sent: Vec<(usize, Instant)> = pieces
        .iter()
        .zip(sent)
        .map(|(piece, at)| {
            total += piece.len();
            (total, at)
        })
        .collect();
    let late = |released: usize, at: Instant| {
        // The last bytes wait for the end of the answer, which comes with the last piece.
        let due = sent.iter().find(|(total, _)| *total >= released + lookahead).or(sent.last());
        at.saturating_duration_since(due.expect("something was sent").1)
    };
    let first = seen.first().map(|(_, at)| late(1, *at)).expect("something came");
    Lateness { first, pieces: seen.into_iter().map(|(released, at)| late(released, at)).collect() }
}

fn share(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

#[tokio::test]
async fn the_first_byte_comes_when_the_lookahead_was_sent_and_so_does_every_other() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let text = harmless(500);
    // Two words in each piece, about 14 bytes: what a model writes in 20 ms.
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let pieces: &Vec<String> = &words.chunks(2).map(<[&str]>::concat).collect();
    for pair in [CHAT, MESSAGES, CHAT_OVER_ANTHROPIC] {
        for (guards, lookahead) in guards() {
            let ask = &Ask { client, mock, pair, guards };
            let streams = (0..9).map(|turn| async move {
                let mark = format!("pace-{lookahead}-{turn}");
                watch(ask, pieces, lookahead, &mark).await
            });
            let seen = all(streams).await;
            let mut firsts: Vec<Duration> = seen.iter().map(|seen| seen.first).collect();
            let mut pieces: Vec<Duration> = seen.into_iter().flat_map(|seen| seen.pieces).collect();
            let (first, half, most) =
                (share(&mut firsts, 50), share(&mut pieces, 50), share(&mut pieces, 95));
            println!(
                "{pair:?}, lookahead {lookahead}: first byte {first:?} after it could leave (median of 9), pieces \
                 {half:?} in the middle, {most:?} for 95 of 100"
            );
            assert!(first <= SLACK, "{pair:?}, lookahead {lookahead}: the first byte was {first:?} late");
            assert!(half <= SLACK, "{pair:?}, lookahead {lookahead}: pieces were {half:?} late");
        }
    }
}

/// How long a stream of many small pieces takes that upstream sends as fast as it can.
async fn fast(ask: &Ask<'_>, pieces: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..3 {
        let directives = format!("chunks={pieces}&pad=6");
        let started = Instant::now();
        let mut answer = ask.request(&directives, 1, true).send().await;
        assert_eq!(answer.status, 200);
        let bytes = answer.bytes().await;
        assert!(bytes.len() > pieces * 6, "{} bytes", bytes.len());
        times.push(started.elapsed());
    }
    share(&mut times, 50)
}

#[tokio::test]
async fn a_fast_stream_stays_fast() {
    const PIECES: usize = 2_000;
    let World { mock, client, gateway: _gateway } = &world().await;
    for pair in [CHAT, MESSAGES] {
        let ask = |guards: Value, pair: Pair| Ask { client, mock, pair, guards };
        let unguarded = fast(&ask(json!([]), pair), PIECES).await;
        for (guards, lookahead) in guards() {
            let guarded = fast(&ask(guards, pair), PIECES).await;
            let factor = guarded.as_secs_f64() / unguarded.as_secs_f64();
            println!(
                "{pair:?}, lookahead {lookahead}: {PIECES} pieces in {guarded:?}, {unguarded:?} without guards: \
                 {factor:.1} times"
            );
            assert!(
                guarded < unguarded * 6 + Duration::from_millis(250),
                "{pair:?}, lookahead {lookahead}: {guarded:?} instead of {unguarded:?}"
            );
        }
    }
}
