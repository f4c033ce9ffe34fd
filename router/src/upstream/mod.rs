//! Towards vendors: addresses that may be called, and one HTTP client a worker.

pub mod address;
pub mod body;
mod call;
mod client;
mod connect;
mod exchange;
mod framing;
mod head;
mod outgoing;
mod pool;
mod reply;
#[cfg(test)]
mod tests;
pub(crate) mod unpack;

pub use call::{Call, Envelope};
pub use client::{Client, ConnectFailure};
pub use exchange::{Broken, Incoming};
#[cfg(test)]
pub(crate) use reply::tests::headers;
pub use reply::{Headers, Reply};
pub(crate) use reply::{is_visible, visible};
