//! Portkey's config JSON: read leniently, resolved strictly into a [`Plan`].
//!
//! This version plans configs that come down to one target: a bare target, or strategies whose lists hold one. A
//! config with several targets is refused with its path, never run in part.

mod hooks;
mod members;
mod plan;
mod read;

pub use hooks::{CheckCall, Hook, HookKind, Hooks, Instances};
pub use plan::{ConfigError, Plan, Target};
