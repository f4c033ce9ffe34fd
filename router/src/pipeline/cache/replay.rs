//! Replays a recorded stream, byte for byte: as fast as the client takes it, or as it was heard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidegate_config::Replay as Pace;
use tokio::time::{Instant, sleep_until};

use crate::cache::{Entry, Piece};
use crate::pipeline::docket::Docket;
use crate::pipeline::settle::GONE;

/// Longest pause between two pieces of a natural replay.
const LONGEST_PAUSE_MS: u64 = 500;
/// Longest natural replay; one that would take longer is as much faster.
const LONGEST_MS: u64 = 20_000;
/// Bytes that leave at once.
const AT_ONCE: usize = 64 << 10;

/// A stream that was recorded.
pub struct Replay {
    entry: Arc<Entry>,
    /// What guards before this request said.
    prelude: Bytes,
    /// What the request owes until its answer is out. A client that leaves drops it.
    docket: Option<Docket>,
    sent: usize,
    /// When each piece leaves; none at once.
    schedule: Vec<u64>,
    piece: usize,
    started: Option<Instant>,
}

impl Replay {
    pub(super) fn new(entry: Arc<Entry>, prelude: Bytes, docket: Docket, pace: Pace) -> Self {
        let schedule = match pace {
            Pace::AtOnce => Vec::new(),
            Pace::Natural => schedule(entry.pieces.as_deref().unwrap_or_default()),
        };
        Self { entry, prelude, docket: Some(docket), sent: 0, schedule, piece: 0, started: None }
    }

    /// Returns the next bytes for the client, or `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if !self.prelude.is_empty() {
            return Some(std::mem::take(&mut self.prelude));
        }
        let left = self.entry.body.len() - self.sent;
        let pieces = self.entry.pieces.as_deref().unwrap_or_default();
        let length = match (self.schedule.get(self.piece), pieces.get(self.piece)) {
            (Some(at_ms), Some(piece)) => {
                let started = *self.started.get_or_insert_with(Instant::now);
                sleep_until(started + Duration::from_millis(*at_ms)).await;
                self.piece += 1;
                (piece.length as usize).min(left)
            }
            _ => left.min(AT_ONCE),
        };
        let bytes = self.entry.body.slice(self.sent..self.sent + length);
        self.sent += length;
        if self.sent >= self.entry.body.len() {
            // Before the last piece leaves: clients hang up once they have it.
            self.docket = None;
        }
        (!bytes.is_empty()).then_some(bytes)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(docket) = &self.docket {
            docket.conclude(499, GONE, None);
        }
    }
}

/// Returns when each piece leaves, in milliseconds: long pauses are cut, and a long whole is shortened.
fn schedule(pieces: &[Piece]) -> Vec<u64> {
    let mut times = Vec::with_capacity(pieces.len());
    // What was there when the recording began leaves at once.
    let mut heard = pieces.first().map_or(0, |piece| u64::from(piece.after_ms));
    let mut at = 0;
    for piece in pieces {
        let now = u64::from(piece.after_ms);
        at += now.saturating_sub(heard).min(LONGEST_PAUSE_MS);
        heard = heard.max(now);
        times.push(at);
    }
    let total = at.max(1);
    if total > LONGEST_MS {
        for time in &mut times {
            *time = *time * LONGEST_MS / total;
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(times: &[u32]) -> Vec<Piece> {
        times.iter().map(|after_ms| Piece { after_ms: *after_ms, length: 1 }).collect()
    }

    #[test]
    fn pauses_are_kept_but_not_long_ones() {
        assert_eq!(schedule(&pieces(&[40, 50, 60, 5_000, 5_010])), [0, 10, 20, 520, 530]);
        assert_eq!(schedule(&pieces(&[10, 5, 20])), [0, 0, 10], "a clock that went back");
        assert!(schedule(&[]).is_empty());
    }

    #[test]
    fn a_long_stream_is_replayed_within_its_bound() {
        let times: Vec<u32> = (0..1_000).map(|at| at * 100).collect();
        let schedule = schedule(&pieces(&times));
        assert_eq!(*schedule.last().unwrap(), LONGEST_MS);
        assert!(schedule.is_sorted());
    }
}
