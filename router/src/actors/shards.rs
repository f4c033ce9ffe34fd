//! Control arbiters: threads that run actors and nothing else, so that a parse on a worker never delays a limit.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};

use super::news::News;
use crate::cluster::Cluster;

/// The control arbiters. An actor lives on the shard of its id for life.
#[derive(Clone)]
pub struct Shards {
    arbiters: Arc<Vec<ArbiterHandle>>,
    news: Arc<News>,
    cluster: Option<Arc<Cluster>>,
}

impl Shards {
    /// Starts `count` control threads (at least one). Must run inside an actix System.
    #[must_use]
    pub fn start(count: usize) -> Self {
        Self::start_in(count, None)
    }

    /// The same for a node of a cluster.
    #[must_use]
    pub fn start_in(count: usize, cluster: Option<Arc<Cluster>>) -> Self {
        let arbiters = (0..count.max(1)).map(|_| Arbiter::new().handle()).collect();
        Self { arbiters: Arc::new(arbiters), news: Arc::default(), cluster }
    }

    /// Returns where actors tell what happened.
    #[must_use]
    pub fn news(&self) -> &Arc<News> {
        &self.news
    }

    /// Returns the cluster that this node belongs to.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// Returns the shard of an id.
    #[must_use]
    pub fn of(&self, id: &str) -> ArbiterHandle {
        // A fixed hasher: the shard of an id must not change between respawns.
        let mut hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().build_hasher();
        hasher.write(id.as_bytes());
        let at = usize::try_from(hasher.finish() % self.arbiters.len() as u64).unwrap_or(0);
        self.arbiters[at].clone()
    }
}
