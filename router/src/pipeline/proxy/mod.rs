//! Paths that the gateway doesn't model: passed on as they came, with the vendor's credential on top.
//!
//! The same line as any request: key, limits, provider permit, retries, fallback, timeouts, log row. What it costs is
//! only known where the answer says so, so keys with a money budget, or with some models of a provider only, may not
//! use them unless their owner says so. Guardrails can't read what is not modelled: a config with guardrails refuses
//! these paths unless it says `unguarded_passthrough`. Refuses to leave the provider's origin. Fails closed.

mod answer;
mod body;
mod may;
mod place;
mod request;
mod usage;

pub use place::{BadPath, Proxy};

pub(super) use answer::{Watch, answer};
pub(super) use body::RawBody;
pub(super) use may::{may_pass_guards, may_use};
pub(super) use request::encode;
