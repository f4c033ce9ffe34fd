//! Routing decisions, pure: time, chance and what plugins say are arguments.
//!
//! `walk` goes from the root of a plan to a target and, after a failure, to the next; `conditional`, `fallback`,
//! `loadbalance`, `balance`, `sticky` and `priority` decide at one node each, looking at what an `outlook` shows;
//! `race` is a fallback that hedges;
//! `breakers` remember which targets failed of late; `retry` and `retry_after` say when a target is asked again, `retry_budget` whether that may be; `plans` keeps what was read.

mod balance;
pub mod breakers;
pub mod conditional;
pub mod fallback;
pub mod loadbalance;
pub mod outlook;
pub mod plans;
mod priority;
pub mod race;
pub mod reasons;
pub mod retry;
pub mod retry_after;
pub mod retry_budget;
mod shelf;
pub mod sticky;
pub mod walk;

pub use fallback::Verdict;
pub use outlook::Outlook;
pub use walk::{Step, Walk};

#[cfg(test)]
mod choice_laws;
#[cfg(test)]
mod choice_tests;
