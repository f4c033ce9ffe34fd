//! OpenAI's chat completions and legacy completions.
//!
//! [`ChatCodec`] is the wire that most vendors and clients speak: it reads every request shape that clients send
//! in practice and every answer shape of compatible vendors, and writes only what OpenAI documents.
//! [`CompletionsCodec`] reads legacy completions as chat calls of one user message, and their answers as choices of
//! nothing but text. Both are pure; they refuse,
//! with the JSON path, what they can't carry over without changing its meaning.
//!
//! ```
//! use tidegate_providers::{Inbound, Outbound, openai::ChatCodec};
//!
//! let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stop": "END"});
//! let call = ChatCodec.read_call(&body).unwrap();
//! assert_eq!(call.stop, ["END"]);
//! assert_eq!(ChatCodec.write_call(&call).unwrap()["messages"], body["messages"]);
//! ```

mod chat;
mod completions;
mod completions_encoder;
mod cut;
mod decoder;
mod encoder;
mod errors;
mod finish;
mod frame;
mod json;
mod lenient;
mod media;
mod read_answer;
mod read_call;
mod read_messages;
mod tool_deltas;
mod usage;
mod write_answer;
mod write_call;
mod write_messages;

#[cfg(test)]
mod tests;

pub(crate) use errors::{bad_gateway, error_from_body, error_inside_answer, shorten};
pub(crate) use json::{count, json_text};
pub(crate) use usage::{scan_usage, usage_from, usage_from_text};

pub use chat::ChatCodec;
pub use completions::CompletionsCodec;
pub use cut::cut;
