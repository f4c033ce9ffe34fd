//! Anthropic messages: the wire towards clients and vendors, and the vendor.
//!
//! [`MessagesCodec`] reads and writes the Messages wire in both directions; [`Anthropic`] says where the vendor is
//! and how it wants its credential. Facts about single models (output limits, which way of thinking they accept)
//! are in `model.rs` and nowhere else.
//!
//! Failure behaviour: a client's body that can't be understood is refused with the path of the member; unknown
//! block types in a conversation are skipped, because vendors add them faster than gateways learn them; a
//! vendor's unreadable answer is an error with status 502.

mod answer;
mod codec;
mod content_read;
mod content_write;
mod decode;
mod encode;
mod error;
mod frames;
mod frames_out;
mod model;
mod provider;
mod read;
mod thinking;
mod tools;
mod write;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;

pub(crate) use error::inside_stream as error_inside_stream;
pub(crate) use frames::usage_from;

pub use codec::MessagesCodec;
pub use frames_out::cut;
pub use provider::Anthropic;
