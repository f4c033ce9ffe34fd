//! Counters, for a page of metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::settings::ChannelKind;

/// What became of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Events that a channel wanted and nobody had been told.
    pub accepted: u64,
    /// Events held back because an equal one had been sent.
    pub repeated: u64,
    /// Events that found no room before they reached a channel.
    pub dropped: u64,
    /// One for each channel, in the order of the settings.
    pub channels: Vec<ChannelStatistics>,
}

/// What became of the notifications of a channel. A mail to each receiver is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStatistics {
    /// Name of the channel.
    pub name: String,
    /// Where it leads.
    pub kind: ChannelKind,
    /// Taken by the receiver.
    pub sent: u64,
    /// Given up: refused by the receiver, or too old.
    pub failed: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Without room in the queue, or left at the end.
    pub dropped: u64,
    /// In the queue, or on the way.
    pub waiting: usize,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one and returns the sum.
    pub(crate) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add_many(&self, many: usize) {
        self.0.fetch_add(many as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
