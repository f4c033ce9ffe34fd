//! Rate limits that nodes share: a few tokens at a time come here and are used here.
//!
//! The owner's own limits hold beside them, so that a node alone is never looser than without a cluster.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_leases::{Batch, ClientError, RateLimit, RateOp, RateRefusal};
use tidegate_store::{LimitRecord, OnStoreLoss, Window};

use super::node::Cluster;
use crate::clock;
use crate::limits::{RateKind, Refusal};

/// Redis did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// How often Redis is asked for one request: others may take what came.
const TRIES: usize = 3;

struct Shared {
    bucket: String,
    kind: RateKind,
    amount: u32,
    per: Window,
    limit: RateLimit,
    on_store_loss: OnStoreLoss,
    batch: Mutex<Batch>,
    debt: Mutex<Debt>,
}

/// What was let in while Redis did not answer, as far as it would still be missing from the shared bucket.
#[derive(Debug, Default)]
struct Debt {
    /// When time has paid it off, in microseconds of the node's clock.
    until_us: i64,
}

impl Debt {
    /// Adds so many tokens, each of which takes `token_us` to come again.
    fn add(&mut self, now_us: i64, count: i64, token_us: i64) {
        self.until_us = self.until_us.max(now_us).saturating_add(count.saturating_mul(token_us));
    }

    /// Returns how many tokens it still is, a begun one in full, and forgets it.
    fn take(&mut self, now_us: i64, token_us: i64) -> i64 {
        let rest = (std::mem::take(&mut self.until_us) - now_us).max(0);
        rest / token_us + i64::from(rest % token_us > 0)
    }
}

/// The shared rate limits of one owner.
pub struct SharedGate {
    cluster: Arc<Cluster>,
    shared: Vec<Shared>,
}

impl SharedGate {
    /// Makes the shared side of these limits. Concurrency is counted by each node.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>, owner: &str, limits: &[LimitRecord]) -> Self {
        let shared = limits.iter().filter_map(|limit| {
            let (kind, amount, per, on_store_loss) = match *limit {
                LimitRecord::Requests { amount, per, on_store_loss } => {
                    (RateKind::Requests, amount, per, on_store_loss)
                }
                LimitRecord::Tokens { amount, per, on_store_loss } => {
                    (RateKind::Tokens, amount, per, on_store_loss)
                }
                LimitRecord::Concurrent { .. } => return None,
            };
            let period_ms = i64::try_from(per.seconds() * 1_000).ok()?;
            // Of 0 nothing is let in by the owner itself.
            let rate = RateLimit::new(i64::from(amount), period_ms, i64::from(amount)).ok()?;
            let word = if kind == RateKind::Requests { "requests" } else { "tokens" };
            Some(Shared {
                bucket: format!("{owner}:{word}:{amount}:{}", per.seconds()),
                kind,
                amount,
                per,
                limit: rate,
                on_store_loss,
                batch: Mutex::new(Batch::new(rate)),
                debt: Mutex::new(Debt::default()),
            })
        });
        Self { shared: shared.collect(), cluster }
    }

    /// Takes a request with about `tokens` from every limit, or nothing from any. Limits that are open on store loss
    /// let in what can't be checked: the owner's own limits, which are as large, hold on each node.
    ///
    /// # Errors
    /// [`Silent`] when Redis can't be asked; inside, the first limit that refuses.
    pub async fn take(&self, tokens: u32) -> Result<Result<(), Refusal>, Silent> {
        for (at, shared) in self.shared.iter().enumerate() {
            let count = shared.units(tokens);
            match shared.take(&self.cluster, count).await {
                Ok(Ok(())) => {}
                Err(Silent) if shared.on_store_loss == OnStoreLoss::Open => {
                    shared.debt().add(now_us(), count, shared.token_us());
                    self.cluster.let_in("rate limit", &shared.bucket);
                }
                other => {
                    for taken in &self.shared[..at] {
                        taken.put_back(taken.units(tokens));
                    }
                    return other;
                }
            }
        }
        Ok(Ok(()))
    }

    /// Gives back what was taken for a request that never started.
    pub fn give_back(&self, tokens: u32) {
        for shared in &self.shared {
            shared.put_back(shared.units(tokens));
        }
    }

    /// Charges what a request used beyond the estimate, or puts back what it did not use. Behind the request: nobody
    /// waits for it.
    pub fn settle(&self, estimated: u32, used: u64) {
        for shared in self.shared.iter().filter(|shared| shared.kind == RateKind::Tokens) {
            let taken = shared.units(estimated);
            let used = i64::try_from(used).unwrap_or(i64::MAX);
            if used <= taken {
                shared.put_back(taken - used);
                continue;
            }
            let (cluster, bucket, limit) = (self.cluster.clone(), shared.bucket.clone(), shared.limit);
            let more = (used - taken).min(limit.burst());
            // What is not there is not waited for: a request that took longer than it said is past.
            let charge = async move {
                let _charged = cluster.take(&bucket, &limit, &RateOp::Take { want: more, need: 1 }).await;
            };
            behind(charge);
        }
    }
}

/// Returns the node's monotonic clock, in microseconds.
fn now_us() -> i64 {
    i64::try_from(clock::uptime().as_micros()).unwrap_or(i64::MAX)
}

/// Does something that nobody waits for.
#[expect(clippy::disallowed_methods, reason = "it ends by itself within the client's deadline")]
fn behind(work: impl Future<Output = ()> + Send + 'static) {
    if tokio::runtime::Handle::try_current().is_ok() {
        drop(tokio::spawn(work));
    }
}

impl Shared {
    fn units(&self, tokens: u32) -> i64 {
        match self.kind {
            RateKind::Requests => 1,
            // More than the whole limit needs the whole limit, as with the owner's own.
            RateKind::Tokens => i64::from(tokens.min(self.amount)),
        }
    }

    /// Returns how long a token takes to come again, in microseconds.
    fn token_us(&self) -> i64 {
        (self.limit.token_ns() / 1_000).max(1)
    }

    fn debt(&self) -> std::sync::MutexGuard<'_, Debt> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges the shared bucket with what was let in while it could not be asked. Behind the request that found it
    /// answering again.
    fn report(&self, cluster: &Arc<Cluster>) {
        let owed = self.debt().take(now_us(), self.token_us()).min(self.limit.burst());
        if owed > 0 {
            let (cluster, bucket, limit) = (cluster.clone(), self.bucket.clone(), self.limit);
            behind(async move {
                // As much as is there: others may have taken it, or time paid it off.
                let _charged = cluster.take(&bucket, &limit, &RateOp::Take { want: owed, need: 1 }).await;
            });
        }
    }

    fn batch(&self) -> std::sync::MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_back(&self, count: i64) {
        if count > 0 {
            let taken = tidegate_leases::Taken { count, at_us: 0 };
            // Used here within a second by others, or lost: never looser than the limit.
            self.batch().fill(Cluster::now_ms(), &taken);
        }
    }

    async fn take(&self, cluster: &Arc<Cluster>, count: i64) -> Result<Result<(), Refusal>, Silent> {
        for _ in 0..TRIES {
            let now_ms = Cluster::now_ms();
            let (spent, stale) = {
                let mut batch = self.batch();
                let stale = batch.stale(now_ms);
                (batch.spend(now_ms, count), stale)
            };
            if let Some(RateOp::GiveBack { count, at_us }) = stale
                && at_us > 0
            {
                let (cluster, bucket, limit) = (cluster.clone(), self.bucket.clone(), self.limit);
                behind(async move {
                    let _sent_once = cluster.take(&bucket, &limit, &RateOp::GiveBack { count, at_us }).await;
                });
            }
            let Err(op) = spent else { return Ok(Ok(())) };
            match cluster.take(&self.bucket, &self.limit, &op).await {
                Ok(taken) => {
                    self.batch().fill(now_ms, &taken);
                    self.report(cluster);
                }
                Err(ClientError::Rate(RateRefusal::Wait(ms))) => {
                    let wait = Duration::from_millis(u64::try_from(ms.max(1)).unwrap_or(1));
                    return Ok(Err(Refusal::Rate {
                        kind: self.kind,
                        limit: self.amount,
                        per: self.per,
                        wait,
                    }));
                }
                Err(ClientError::Rate(RateRefusal::Never)) => {
                    let wait = Duration::from_secs(self.per.seconds());
                    return Ok(Err(Refusal::Rate {
                        kind: self.kind,
                        limit: self.amount,
                        per: self.per,
                        wait,
                    }));
                }
                Err(error) => {
                    if self.on_store_loss == OnStoreLoss::Closed {
                        tracing::warn!(%error, "a shared rate limit could not be checked");
                    }
                    return Err(Silent);
                }
            }
        }
        let wait = Duration::from_millis(50);
        Ok(Err(Refusal::Rate { kind: self.kind, limit: self.amount, per: self.per, wait }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_pays_off_what_was_let_in() {
        let mut debt = Debt::default();
        (0..3).for_each(|_| debt.add(1_000, 1, 100));
        assert_eq!(debt.take(1_050, 100), 3);
        assert_eq!(debt.take(1_050, 100), 0, "it is reported once");
        debt.add(2_000, 5, 100);
        assert_eq!(debt.take(2_400, 100), 1);
        debt.add(3_000, 5, 100);
        assert_eq!(debt.take(9_000, 100), 0);
    }
}
