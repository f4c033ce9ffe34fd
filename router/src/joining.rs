//! Joins a cluster: leases are renewed, pools opened from what the store knows, and what dead nodes left is settled.
//!
//! Failure behaviour: closed. While the store does not answer, pools stay shut and what the dead had stays spent.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tidegate_leases::{Holder, PoolId};
use tokio::sync::watch;

use crate::actors::pool::{is_after_reset, pool_period};
use crate::cluster::{Books, Cluster};
use crate::gateway::Gateway;

/// How often a process says that it lives, and looks for the dead.
const EVERY: Duration = Duration::from_secs(1);
/// Older news of who lives settles nothing: a process may have joined since.
const BELIEVED: Duration = Duration::from_secs(2);

/// Who lives, as Redis said at a time.
type Living = Option<(Instant, Vec<String>)>;

/// Begins a node's life among others. Must run inside an actix System.
pub(crate) fn join(gateway: &Arc<Gateway>, cluster: &Arc<Cluster>) {
    cluster.set_books(Box::new(Store(Arc::downgrade(gateway))));
    let (tell, living) = watch::channel(None);
    actix_web::rt::spawn(cluster.clone().run());
    // Apart from what waits for the store: a process whose store is slow is not dead.
    actix_web::rt::spawn(live(cluster.clone(), tell));
    actix_web::rt::spawn(settle_for_the_dead(Arc::downgrade(gateway), cluster.clone(), living));
}

/// Says that the process lives, until nobody listens.
async fn live(cluster: Arc<Cluster>, tell: watch::Sender<Living>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let living = cluster.living().await.ok().flatten().map(|living| (asked, living));
        if tell.send(living).is_err() {
            return;
        }
    }
}

/// Settles what dead nodes left open, at its held amount; then tells Redis what they spent in all.
async fn settle_for_the_dead(
    gateway: Weak<Gateway>,
    cluster: Arc<Cluster>,
    mut living: watch::Receiver<Living>,
) {
    while living.changed().await.is_ok() {
        let Some((asked, living)) = living.borrow_and_update().clone() else { continue };
        let Some(gateway) = gateway.upgrade() else { return };
        let recover = gateway.book.write(move |store| match asked.elapsed() < BELIEVED {
            true => store.recover(&living),
            false => Ok(0),
        });
        match recover.await {
            Ok(0) => {}
            Ok(recovered) => {
                tracing::warn!(recovered, "requests of a dead node were settled at their held amount")
            }
            Err(error) => tracing::warn!(%error, "what dead nodes left open could not be settled"),
        }
        match cluster.credit_the_dead().await {
            Ok(0) => {}
            Ok(leases) => tracing::info!(leases, "what a dead node had leased and not spent goes to others"),
            Err(error) => tracing::warn!(error, "what dead nodes had leased stays spent for now"),
        }
    }
}

/// The gateway's store, as shared budgets ask it.
struct Store(Weak<Gateway>);

impl Books for Store {
    fn base(
        &self,
        budget: String,
        period_start: i64,
        members: Vec<Holder>,
    ) -> BoxFuture<'static, Result<i64, String>> {
        let gateway = self.0.upgrade();
        Box::pin(async move {
            let gateway = gateway.ok_or("the gateway stops")?;
            // Our own settlements first: what we spent without a member's name must be in what is read.
            gateway.ledger.flush().await;
            let read = gateway.book.read(move |store| {
                // In this order: what is settled in between is counted twice, not missed.
                let held = store.held_by(&budget, period_start)?;
                let spent = store.spent_by(&budget, period_start)?;
                Ok(spent.into_iter().chain(held).collect::<Vec<_>>())
            });
            let all = read.await.map_err(|error| error.to_string())?;
            let members: Vec<String> = members.iter().map(ToString::to_string).collect();
            Ok(all.iter().filter(|(by, _)| !members.contains(by)).map(|(_, amount)| amount).sum())
        })
    }

    fn spent(
        &self,
        pool: PoolId,
        holders: Vec<Holder>,
    ) -> BoxFuture<'static, Result<Vec<(Holder, i64)>, String>> {
        let gateway = self.0.upgrade();
        Box::pin(async move {
            let gateway = gateway.ok_or("the gateway stops")?;
            let read = gateway.book.read(move |store| {
                let (budget, period_start) = (pool.name.as_ref(), pool_period(&pool).0);
                // In this order: a hold that ends is spent.
                let held = store.held_by(budget, period_start)?;
                let spent = store.spent_by(budget, period_start)?;
                // A reset forgets what was spent before it, and with it this pool.
                if !is_after_reset(&pool, store.last_reset(budget)?) {
                    return Ok(Vec::new());
                }
                let known = holders.into_iter().map(|holder| (holder, holder.to_string()));
                let ended = known.filter(|(_, name)| held.iter().all(|(by, _)| by != name));
                let sum = |name: &String| spent.iter().filter(|(by, _)| by == name).map(|(_, it)| it).sum();
                Ok(ended.map(|(holder, name)| (holder, sum(&name))).collect())
            });
            read.await.map_err(|error| error.to_string())
        })
    }
}
