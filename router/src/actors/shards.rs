//! Where actors live: on control arbiters, threads that run actors and nothing else, so that a parse on one worker never
//! delays a limit that another waits for. With a single worker nobody else waits: actors move in with it, and no
//! request pays for waking another thread.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};
use arc_swap::ArcSwapOption;

use super::news::News;
use crate::cluster::Cluster;

/// The threads of actors. An actor lives on one of them for life.
#[derive(Clone)]
pub struct Shards {
    arbiters: Arc<Vec<ArbiterHandle>>,
    /// The only worker, where there is one.
    home: Arc<ArcSwapOption<ArbiterHandle>>,
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
        Self { arbiters: Arc::new(arbiters), home: Arc::default(), news: Arc::default(), cluster }
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

    /// Lets actors that start from now on live on the thread of the only worker, which calls this. Nodes of a cluster
    /// keep theirs apart: their leases outlive the worker.
    pub fn move_in(&self) {
        if self.cluster.is_none() {
            self.home.store(Arbiter::try_current().map(Arc::new));
        }
    }

    /// Lets actors that start from now on live on control arbiters again: the worker has stopped.
    pub fn move_out(&self) {
        self.home.store(None);
    }

    /// Returns where the actor of an id lives that has requests wait for it.
    #[must_use]
    pub fn near(&self, id: &str) -> ArbiterHandle {
        self.home.load_full().map_or_else(|| self.of(id), |home| ArbiterHandle::clone(&home))
    }

    /// Returns the control arbiter of an id.
    #[must_use]
    pub fn of(&self, id: &str) -> ArbiterHandle {
        // A fixed hasher: the shard of an id must not change between respawns.
        let mut hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().build_hasher();
        hasher.write(id.as_bytes());
        let at = usize::try_from(hasher.finish() % self.arbiters.len() as u64).unwrap_or(0);
        self.arbiters[at].clone()
    }
}
