//! What the gateway lends to plugins: HTTP to granted hosts, a store, models through the gateway itself, log lines.
//!
//! The host has checked already that a plugin asks for a power and got it. What is checked here is what only the
//! gateway knows: private addresses, whose key pays, how much there is for all.

mod http;
mod kv;
mod lender;
mod models;
#[cfg(test)]
mod tests;

pub(crate) use lender::Lender;
