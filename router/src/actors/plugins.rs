//! The plugins' actor.
//!
//! - **owns** which versions of plugins there are and which are in force.
//! - **answers** `Change` by swapping the whole published [`PluginSet`], `Observe` with all it owns.
//! - **never** reads files, compiles, or runs a plugin: what it is told is loaded already.
//!
//! Requests read the published set and keep it: what they started with lives until the last of them ends.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use arc_swap::ArcSwap;
use tidegate_plugin_host::{Plugin, PluginSet};

use super::Unavailable;
use super::owner::Owner;
use super::shards::Shards;
use crate::clock;
use crate::versions::{Shelf, Step, Version};

/// Changes come one at a time; observers and first uses of bundled plugins come in between.
const MAILBOX: usize = 64;

/// What the actor published last; outlives it.
#[derive(Default)]
struct Published {
    set: ArcSwap<PluginSet>,
    shelf: ArcSwap<Shelf<Plugin>>,
}

/// Where the plugins are reached.
pub struct PluginsHandle {
    published: Arc<Published>,
    owner: Owner<PluginsActor>,
}

impl PluginsHandle {
    /// Starts with no plugin.
    #[must_use]
    pub(crate) fn start(shards: &Shards) -> Self {
        let published = Arc::new(Published::default());
        let shard = shards.of("plugins");
        let state = published.clone();
        let spawn = move || {
            let published = state.clone();
            PluginsActor::start_in_arbiter(&shard, move |_| PluginsActor {
                shelf: Shelf::clone(&published.shelf.load()),
                published,
            })
        };
        Self { published, owner: Owner::new(spawn) }
    }

    /// Returns the plugins in force.
    #[must_use]
    pub fn set(&self) -> Arc<PluginSet> {
        self.published.set.load_full()
    }

    /// Returns what the actor published last. Changes come one at a time: who makes one sees no older state.
    pub(crate) fn shelf(&self) -> Arc<Shelf<Plugin>> {
        self.published.shelf.load_full()
    }

    /// Makes changes together and returns the ids that have another version in force now.
    pub(crate) async fn change(&self, steps: Vec<Step<Plugin>>) -> Result<Vec<String>, Unavailable> {
        self.owner.ask(Change(steps)).await
    }

    /// Returns all that is known.
    pub(crate) async fn observe(&self) -> Result<Arc<Shelf<Plugin>>, Unavailable> {
        self.owner.ask(Observe).await
    }
}

/// The actor.
struct PluginsActor {
    shelf: Shelf<Plugin>,
    published: Arc<Published>,
}

impl Actor for PluginsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Vec<String>")]
struct Change(Vec<Step<Plugin>>);

impl Handler<Change> for PluginsActor {
    type Result = Vec<String>;

    fn handle(&mut self, order: Change, _context: &mut Self::Context) -> Self::Result {
        let changed = self.shelf.apply(order.0, clock::unix_ms());
        let in_force = self.shelf.entries().filter_map(|(_, entry)| entry.in_force());
        let set = in_force.fold(PluginSet::default(), |set, (_, plugin)| set.with(plugin.clone()));
        self.published.shelf.store(Arc::new(self.shelf.clone()));
        self.published.set.store(Arc::new(set));
        for id in &changed {
            match self.shelf.entry(id).and_then(|entry| entry.in_force()) {
                Some((source, plugin)) => tracing::info!(
                    plugin = id.as_str(),
                    version = plugin.version(),
                    digest = plugin.digest(),
                    ?source,
                    "plugin in force"
                ),
                None => tracing::info!(plugin = id.as_str(), "plugin out of force"),
            }
        }
        changed
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Arc<Shelf<Plugin>>")]
struct Observe;

impl Handler<Observe> for PluginsActor {
    type Result = Arc<Shelf<Plugin>>;

    fn handle(&mut self, _question: Observe, _context: &mut Self::Context) -> Self::Result {
        // As published: whoever looks at it later sees one moment, not two.
        self.published.shelf.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::Upload;

    #[derive(Clone, Message)]
    #[rtype(result = "()")]
    struct Panic;

    impl Handler<Panic> for PluginsActor {
        type Result = ();
        fn handle(&mut self, _order: Panic, _context: &mut Self::Context) {
            panic!("asked to");
        }
    }

    #[actix::test]
    async fn a_panicked_actor_comes_back_with_what_it_knew() {
        let plugins = PluginsHandle::start(&Shards::start(1));
        let upload = Upload { digest: "d".to_owned(), version: "1.0.0".to_owned(), bytes: 1, at_ms: 1 };
        plugins.change(vec![Step::Stored { id: "a".to_owned(), uploads: vec![upload] }]).await.unwrap();
        assert!(plugins.owner.address().send(Panic).await.is_err());
        let shelf = plugins.observe().await.unwrap();
        assert_eq!(shelf.entry("a").unwrap().uploads.len(), 1);
    }
}
