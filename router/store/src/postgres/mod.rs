//! PostgreSQL, for several nodes: one connection for each store.
//!
//! Poolers must keep sessions (not transactions): statements are prepared.

mod configs;
mod connection;
mod control;
mod governance;
mod ledger;
mod migrate;
mod reseal;
mod session;
mod store;
mod tls;
mod url;

#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod proxy;
#[cfg(test)]
pub(crate) mod server;

pub use store::PostgresStore;
