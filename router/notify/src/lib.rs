//! Tells people and programs what happened in a gateway: signed webhooks, Slack-compatible webhooks, mail.
//!
//! An [`Event`] is given to a [`Notifier`], which never makes the giver wait. Each [`Channel`] that wants the event
//! has a queue of its own, retries on its own and never delays another. [`schedule`] and [`threshold`] say which
//! events are due; they are pure.
//!
//! Refuses to know: HTTP servers, stores, keys, budgets. Failure behaviour: a receiver that fails is tried for a day; a
//! full queue drops the oldest of the least important; queues are in memory, and what waits when the process dies is
//! lost, even if others share its [`Memory`]. Events are sent at most once to a receiver that answers, and may come twice to one whose answer is lost: the
//! id stays the same.

mod channel;
mod event;
mod failure;
mod filter;
mod hidden;
mod line;
mod mail;
mod memory;
mod notifier;
mod poster;
mod queue;
mod retry;
pub mod schedule;
mod settings;
mod sign;
mod slack;
mod statistics;
mod text;
pub mod threshold;
mod webhook;

#[cfg(test)]
mod delivery_tests;

pub use channel::Channel;
pub use event::{Event, Kind, Level, SubjectKind};
pub use failure::{Failure, Next};
pub use hidden::Hidden;
pub use memory::{InMemory, Memory};
pub use notifier::{Notifier, Options};
pub use retry::Retry;
pub use settings::{ChannelKind, ChannelSettings, StartTls};
pub use statistics::{ChannelStatistics, Statistics};
