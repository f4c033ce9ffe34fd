//! OpenAI responses, both faces.
//!
//! [`ResponsesCodec`] serves clients of `POST /v1/responses` in front of vendors that have no such endpoint: the
//! call is read into the canonical model, answered over another wire, and the answer is written back as a
//! `response` object or its event stream.
//!
//! What needs a memory on the vendor's side (`previous_response_id`, `item_reference`, `conversation`, `prompt`,
//! `background`) and tools that the vendor runs itself are refused by name: silently leaving them out would
//! answer another question than the one asked. Members that only tune storage or delivery are ignored.
//!
//! Answers of vendors that have the endpoint are read as well, for those who must look into them. What the canonical
//! model can't say is lost when such an answer is written again: items of the vendor's own tools, annotations, log
//! probabilities, and the ids of items (a new answer has new ones; the ids of the response and of its calls stay).

mod call;
mod codec;
mod content;
mod decode;
mod fault;
mod frame;
mod input;
mod item;
mod members;
mod object;
mod read;
mod snapshot;
mod stream;
mod tools;
mod track;
mod write;

#[cfg(test)]
mod decode_laws;
#[cfg(test)]
mod decode_tests;
#[cfg(test)]
mod laws;

pub(crate) use snapshot::{error_of_event, error_of_response};

pub use codec::ResponsesCodec;
