//! Towards vendors: addresses that may be called, and one HTTP client a worker.

pub mod address;
pub mod body;
mod client;

pub use client::{Client, ConnectFailure};
