//! Portkey's config JSON: read leniently, resolved strictly into a [`Plan`].
//!
//! Lenient: snake and camel case, `load-balance`, both spellings of the retry flag, unknown members (kept out of the
//! way and listed by [`Plan::notes`]). Strict: what could fail while a request waits is refused when the config is
//! read, with its JSON path and what is accepted. A plan is immutable, has at least one target, and every strategy in
//! it can choose one; only a conditional without a default may find nothing, which it says.

mod balance;
mod cache;
mod condition;
mod feedback;
mod hedge;
mod hooks;
mod inherit;
mod members;
mod params;
mod pattern;
mod plan;
mod query;
mod read;
mod strategy;
mod timeouts;
mod trace;
mod vendor;

pub use condition::{Condition, Facts, PluginCondition, Query};
pub use hedge::Hedge;
pub use hooks::{CheckCall, Hook, HookKind, Hooks, Instances};
pub use params::DropPath;
pub use pattern::Pattern;
pub use plan::{
    Breaker, By, Cache, CacheMode, ConfigError, Node, Note, Plan, Reference, Replay, Retry, Secret, Sticky,
    Strategy, Target,
};
pub use timeouts::Timeouts;
pub use trace::Seen;
