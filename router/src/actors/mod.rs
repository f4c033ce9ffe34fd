//! The actors: each key, provider and budget owns its limits and state; the ledger owns the open batch.
//!
//! A request costs one parallel ask to admit and one unanswered settlement per holder. Stream bytes never come
//! here. Handlers are synchronous, take microseconds and never wait for another actor.

pub mod address_book;
pub mod budget;
mod crowd;
mod health;
pub mod key;
pub mod ledger;
pub mod limiter;
pub mod news;
mod owner;
pub mod permit;
pub mod plugins;
pub(crate) mod pool;
pub mod provider;
#[cfg(test)]
mod provider_tests;
pub mod shards;

pub use owner::Unavailable;

impl From<crate::cluster::Silent> for Unavailable {
    fn from(_silent: crate::cluster::Silent) -> Self {
        Self
    }
}
