//! How several gateways share one limit through Redis, so that admission stays local to a node.

pub mod ids;
pub mod model;
pub mod pool;
pub mod protocol;
pub mod wire;

pub use ids::{Epoch, Holder, HolderError, NodeId, PoolId};
pub use model::{Model, Surroundings};
