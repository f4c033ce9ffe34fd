//! Google Gemini `generateContent`: the wire towards the vendor, and the vendor.
//!
//! [`GeminiCodec`] writes canonical calls as `generateContent` bodies and reads whole and streamed answers.
//! [`Gemini`] is the Gemini Developer API (`generativelanguage.googleapis.com`).
//!
//! Failure behaviour: what the vendor can't be told is refused with [`crate::InvalidCall`] where leaving it out
//! would change the conversation (media in instructions, an unknown vendor tool), and left out where it is a
//! preference (`parallel_tool_calls`, `user`, `metadata`). Unreadable answers are errors with status 502, never
//! empty answers.
//!
//! ```
//! use tidegate_providers::gemini::GeminiCodec;
//! use tidegate_providers::{ChatCall, Message, Outbound, Part, Role};
//!
//! let mut call = ChatCall { model: "gemini-2.5-pro".into(), ..ChatCall::default() };
//! call.messages.push(Message { role: Role::User, name: None, parts: vec![Part::text("Hello")] });
//! let body = GeminiCodec.write_call(&call).unwrap();
//! assert_eq!(body.to_string(), r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#);
//! ```

mod config;
mod decode;
mod embeddings;
mod encode;
mod errors;
mod images;
mod model;
mod provider;
mod schema;
mod stream;
mod tools;

pub use provider::{Gemini, GeminiCodec};
