//! Answers that a test writes piece by piece: the exact text of every choice, its reasoning, its refusal and its tool
//! calls, cut where the test says. `[[plan=7]]` asks for the seventh one; every dialect renders the same plan, as a
//! stream or whole.

use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Which text of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What it says.
    Text,
    /// What it thinks.
    Reasoning,
    /// How it declines.
    Refusal,
    /// Arguments of a tool call, by its number in the choice.
    Arguments(u32),
}

/// One piece of a planned answer: an event of its own on the wire.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which choice.
    pub choice: u32,
    /// Which text of it.
    pub kind: Kind,
    /// What is added to that text.
    pub text: String,
    /// How long upstream waits before it.
    pub pause: Duration,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order in which they are sent.
    pub pieces: Vec<Piece>,
    /// Cuts the bytes of the stream into these many for each write, whatever events they cut; the last size repeats.
    pub writes: Vec<usize>,
    /// How long upstream waits before each of those writes but the first.
    pub pause: Duration,
    /// Every text piece of a chat comes with log probabilities, which spell the text again.
    pub logprobs: bool,
}

impl Plan {
    /// Nothing yet.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Adds a piece of the first choice.
    #[must_use]
    pub fn say(self, kind: Kind, text: &str) -> Plan {
        self.piece(0, kind, text, Duration::ZERO)
    }

    /// Adds a piece of the first choice that comes after a pause.
    #[must_use]
    pub fn then(self, kind: Kind, text: &str, pause: Duration) -> Plan {
        self.piece(0, kind, text, pause)
    }

    /// Adds any piece. Empty ones are left out.
    #[must_use]
    pub fn piece(mut self, choice: u32, kind: Kind, text: &str, pause: Duration) -> Plan {
        if !text.is_empty() {
            self.pieces.push(Piece { choice, kind, text: text.to_owned(), pause });
        }
        self
    }

    /// The whole texts, choice by choice, each in the order in which they begin.
    pub fn texts(&self) -> Vec<(u32, Kind, String)> {
        let mut texts: Vec<(u32, Kind, String)> = Vec::new();
        for piece in &self.pieces {
            let known = texts.iter_mut().find(|known| (known.0, known.1) == (piece.choice, piece.kind));
            match known {
                Some(known) => known.2.push_str(&piece.text),
                None => texts.push((piece.choice, piece.kind, piece.text.clone())),
            }
        }
        texts.sort_by_key(|text| text.0);
        texts
    }

    /// How many choices it has: one at least.
    pub(super) fn choices(&self) -> u32 {
        self.pieces.iter().map(|piece| piece.choice + 1).max().unwrap_or(1)
    }

    /// Whether a choice calls a tool.
    pub(super) fn calls(&self, choice: u32) -> bool {
        let mut pieces = self.pieces.iter().filter(|piece| piece.choice == choice);
        pieces.any(|piece| matches!(piece.kind, Kind::Arguments(_)))
    }
}

/// All plans of one upstream.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Vec<Arc<Plan>>>);

impl Plans {
    pub(super) fn add(&self, plan: Plan) -> usize {
        let mut plans = self.0.lock().expect("plans");
        plans.push(Arc::new(plan));
        plans.len() - 1
    }

    pub(super) fn get(&self, id: usize) -> Arc<Plan> {
        let plans = self.0.lock().expect("plans");
        Arc::clone(plans.get(id).unwrap_or_else(|| panic!("there is no plan {id}")))
    }
}
