#![doc = include_str!("../README.md")]

mod call;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
pub mod host;
pub mod http;
pub mod kv;
mod manifest;
pub mod models;
mod params;
pub mod patterns;
mod plugin;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod verdict;
mod window;
#[cfg(test)]
mod wit;

pub use call::{CallView, Hook, Message, Piece, Subject, ToolCall};
pub use manifest::{CheckInfo, ConditionInfo, Manifest};
pub use params::Params;
pub use plugin::Plugin;
pub use serde_json::json;
pub use verdict::{CheckError, Judgement, Mask, Reason, Span, SpanError, Verdict, masked};
pub use window::{StreamWindow, WindowAnswer, WindowNeeds, WindowVerdict};
