//! Mail: one message for each receiver, so that nobody sees the others and a retry reaches only who has none yet.

mod message;
mod outlet;
mod server;

pub(crate) use outlet::Mail;
