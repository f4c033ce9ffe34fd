//! Wire formats and vendor dialects: pure translation between what clients send and what vendors expect.
//!
//! Sans-I/O: nothing in this package opens a socket, reads a clock or spawns a task. The router reads bytes,
//! this package says what they mean.
//!
//! Two ideas carry everything:
//!
//! - A **wire** ([`Wire`]) is a payload format of conversational endpoints. Each wire can be read into, and
//!   written from, one canonical model ([`ChatCall`], [`Answer`], [`Event`]), so N wires need N codecs and not
//!   N × N converters.
//! - A **provider** ([`Provider`]) is a vendor: where its endpoints are, how it wants its credential, which wire
//!   it speaks, and its quirks.
//!
//! When client and vendor speak the same wire nothing is translated: [`Fields`] edits the few top-level members
//! that must change and leaves every other byte as it came, and [`look`] reads usage and errors in passing.
//!
//! # Add a provider in five steps
//!
//! 1. Does the vendor speak OpenAI's wire? Add **one row** to `compatible/table.rs` (slug, host, key variable,
//!    endpoints, quirks) and go to step 4.
//! 2. Otherwise make a folder named after the vendor with `mod.rs` (an `impl Provider`), `encode.rs`
//!    ([`ChatCall`] → body), `decode.rs` (body → [`Answer`]), `stream.rs` (SSE data → [`Event`]).
//! 3. Add **one line** to `registry.rs`.
//! 4. Put recorded or documented payloads in `fixtures/<slug>/`: `request.json`, `response.json`, `stream.sse`,
//!    `error_*.json`. `conformance/` finds them by name and runs the same suite over every provider.
//! 5. Run `cargo test -p tidegate-providers`, mend what it names, add a line to `CHANGELOG.md`.

pub mod answer;
pub mod call;
pub mod codec;
pub mod error;
pub mod event;
pub mod fields;
pub mod json_text;
pub mod look;
pub mod provider;
pub mod registry;
pub mod scan;
pub mod surrogates;
pub mod texts;
pub mod usage;

pub use answer::{Answer, Choice};
pub use call::{ChatCall, Media, Message, Part, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice};
pub use codec::{Decoder, EncodeOptions, Encoder, Inbound, Outbound};
pub use error::{ErrorBody, InvalidCall, UpstreamError};
pub use event::{Event, FinishReason};
pub use fields::Fields;
pub use provider::{Credential, Endpoint, Lane, Provider, Wire};
pub use scan::{Scan, plain_length};
pub use usage::Usage;

pub mod anthropic;
pub mod azure;
pub mod compatible;
pub mod gemini;
pub mod openai;
pub mod responses;

mod look_whole;
mod text;

#[cfg(test)]
mod conformance;
