//! Harness for tests of the whole gateway.
//!
//! * [`mock`]: a scripted upstream that speaks the dialects of OpenAI, Azure OpenAI, Anthropic and Gemini, misbehaves
//!   on demand and records what it was asked, and when its client left.
//! * [`Gateway`]: the real `tidegate` binary in a process of its own, with a data folder that survives a restart.
//! * [`Client`]: an HTTP client that streams, and hangs up when the answer is dropped.
//!
//! Nothing here sleeps and hopes: [`wait::until`] polls a condition and panics with what it saw when its deadline ends.

pub mod client;
mod files;
pub mod gateway;
pub mod mock;
pub mod settings;
pub mod sse;
pub mod wait;

pub use client::{Answer, Client, Request};
pub use gateway::Gateway;
pub use mock::Mock;
pub use settings::Settings;
