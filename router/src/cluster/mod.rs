//! Several gateways as one: the node's life in the Redis that they share, and the way of its budgets and limits to it.
//!
//! Budgets lease parts of their limit ([`tidegate_leases`]); admission takes from the lease, here, and asks Redis only
//! when it is used up. What is spent goes to Redis behind the requests. Without Redis a node goes on for as long as its
//! lease is sure to be its own, then it refuses: limits that can't be checked fail closed.

mod gate;
mod node;

pub use gate::{SharedGate, Silent};
pub use node::{Books, Cluster, Polled};
