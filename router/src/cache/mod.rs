//! Answers kept for requests that are asked again: in this process, or in a Redis that several gateways share.
//!
//! What makes two requests the same, and who may have an answer, is the pipeline's business; here an entry is bytes
//! under a digest. Memory is bounded by bytes, everywhere: entries, vectors, and answers that are still being
//! recorded. Failure behaviour: whatever goes wrong is a miss.

mod counts;
mod digest;
mod entry;
mod flights;
mod index;
mod memory;
mod projection;
mod service;
mod shared;

pub use counts::Status;
pub use digest::{Digest, Digester, Key};
pub use entry::{Entry, Piece};
pub use flights::{Joined, Lead, Stage};
pub use service::{Cache, Room};
