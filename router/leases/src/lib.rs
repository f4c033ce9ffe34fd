//! How several gateways share one limit through Redis, so that admission stays local to a node.
//!
//! A limit is a *pool*. Redis hands out *leases* of it; requests hold parts of their node's lease without asking
//! anybody. What was spent, what is leased and what was burnt with dead nodes never add up to more than the limit,
//! whatever is lost, late, doubled, or forgotten by Redis; `README.md` says how, and what each fault costs.
//!
//! | On the node, pure | In Redis | In tests, or in one process |
//! |---|---|---|
//! | [`Node`]: when to be heard, until when to trust | `pool.lua` | [`Model`] |
//! | [`Share`]: holds, slices, what to send | `pool.lua` | [`Model`] |
//! | [`Batch`]: a few tokens of a rate limit | `rate.lua` | [`Bucket`] |
//!
//! [`Client`] carries what they say.
//!
//! It refuses to know what is counted, and why. Failure behaviour: closed. Without Redis a node uses what it has
//! for as long as it may, and then nothing.

mod batch;
mod client;
pub mod ids;
pub mod model;
pub mod node;
pub mod pool;
pub mod protocol;
pub mod rate;
mod share;
mod talk;
mod tenure;
pub mod wire;

pub use batch::{Batch, USE_WITHIN_MS};
pub use client::{Client, ClientError, Legacy};
pub use ids::{Epoch, Holder, HolderError, NodeId, PoolId, Tenures};
pub use model::{Model, Surroundings};
pub use node::{Node, Standing, Timing};
pub use rate::{Bucket, RateLimit, RateLimitError, RateOp, RateRefusal, Taken};
pub use share::{Rules, Share, Short};
pub use talk::Outcome;
pub use tenure::Held;
