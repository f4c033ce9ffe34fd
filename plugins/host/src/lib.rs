//! Runs Tidegate's plugins: WebAssembly components in a sandbox.
//!
//! [`Host`] owns the engine, [`Host::load`] turns bytes into a [`Plugin`], and a plugin answers [`Plugin::check`],
//! [`Plugin::window`] and [`Plugin::matches`]. Whatever a guest does (loop, trap, eat memory, flood the host, answer
//! nonsense), it ends as a [`CallError`] within its limits, and the next call works.
//!
//! The package refuses to know actors, HTTP clients or providers: what a plugin may reach beyond its own memory is
//! lent to it by [`Powers`]. It decides nothing about failure either: whether an error lets a request pass is the
//! business of whoever attached the plugin.

mod answer;
mod background;
mod bindings;
mod cache;
mod capability;
mod clock;
mod engine;
mod error;
mod guest;
mod host;
mod http;
mod inspect;
mod limits;
mod loader;
mod manifest;
mod plugin;
mod pool;
mod powers;
mod quarantine;
mod set;
mod setup;
mod spans;
mod stats;
mod ticker;

pub use bindings::since_v0_1::exports::tidegate::plugin::guardrail_stream::{StreamWindow, WindowAnswer};
pub use bindings::since_v0_1::tidegate::plugin::host::Level;
pub use bindings::since_v0_1::tidegate::plugin::http::{HttpRequest, HttpResponse};
pub use bindings::since_v0_1::tidegate::plugin::types::{
    CallView, CheckError, CheckInfo, ConditionInfo, Hook, Judgement, Manifest, Mask, Message, Piece, Reason,
    Span, Subject, ToolCall, Verdict, WindowNeeds, WindowVerdict,
};
pub use capability::Grants;
pub use error::{CallError, HostError, LoadError};
pub use host::{Host, HostOptions};
pub use limits::Limits;
pub use plugin::Plugin;
pub use powers::{BoxFuture, NoPowers, Powers};
pub use set::PluginSet;
pub use setup::{Instances, Setup, Terms};
pub use stats::{State, Statistics};
