//! OpenAI responses: the wire towards clients.
//!
//! [`ResponsesCodec`] serves clients of `POST /v1/responses` in front of vendors that have no such endpoint: the
//! call is read into the canonical model, answered over another wire, and the answer is written back as a
//! `response` object or its event stream.
//!
//! What needs a memory on the vendor's side (`previous_response_id`, `item_reference`, `conversation`, `prompt`,
//! `background`) and tools that the vendor runs itself are refused by name: silently leaving them out would
//! answer another question than the one asked. Members that only tune storage or delivery are ignored.

mod call;
mod codec;
mod content;
mod fault;
mod frame;
mod input;
mod item;
mod members;
mod object;
mod stream;
mod tools;
mod write;

#[cfg(test)]
mod laws;

pub use codec::ResponsesCodec;
