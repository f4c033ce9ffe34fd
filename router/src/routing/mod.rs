//! Routing decisions, pure: time, chance and what plugins say are arguments.
//!
//! `walk` goes from the root of a plan to a target and, after a failure, to the next; `conditional`, `fallback` and
//! `loadbalance` decide at one node each; `retry` and `retry_after` say when a target is asked again, `retry_budget` whether that may be; `plans` keeps what was read.

pub mod conditional;
pub mod fallback;
pub mod loadbalance;
pub mod plans;
pub mod retry;
pub mod retry_after;
pub mod retry_budget;
pub mod walk;

pub use fallback::Verdict;
pub use walk::{Step, Walk};
