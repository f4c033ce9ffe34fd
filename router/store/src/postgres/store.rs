//! The trait on PostgreSQL.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Count, Link, Writing};
use super::session::{Fault, Session};
use super::url::Target;
use super::{configs, control, governance, ledger, migrate};
use crate::audit::{AuditCheck, AuditFilter, AuditRecord, AuditRow, Chain};
use crate::config::{ConfigRecord, ConfigVersion};
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{
    BudgetRecord, Change, ChangeKind, KeyHash, KeyRecord, LedgerEntry, LogFilter, LogRow, ProviderRecord,
};
use crate::store::{KeyFilter, Store, StoreError, Write};

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for what is done once, or by hand: migrations, recovery, imports.
const LONG: Duration = Duration::from_secs(120);
/// Rows of the audit log looked at by one question.
const AUDIT_PAGE: i64 = 2_000;

/// A store in a PostgreSQL database that several nodes share.
pub struct PostgresStore {
    link: Link,
    node: Arc<str>,
    within: Duration,
    /// Number of the newest transaction of this connection.
    number: Cell<i64>,
    /// Number of its newest batch of the ledger.
    batch: i64,
    /// The batch that failed last, which may be written all the same, and its number.
    failed: Option<(i64, Arc<[LedgerEntry]>)>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("node", &self.node).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects and brings the schema up to date. `node` names this incarnation of the process: what it spends and
    /// holds is kept under it.
    ///
    /// # Errors
    /// [`StoreError`] when the URL is wrong, the server can't be reached or was used by a newer version.
    pub fn open(url: &str, node: &str) -> Result<Self, StoreError> {
        Self::open_within(url, node, WITHIN)
    }

    /// As [`PostgresStore::open`], with the longest wait for an answer.
    ///
    /// # Errors
    /// [`StoreError`] when the URL is wrong, the server can't be reached or was used by a newer version.
    pub fn open_within(url: &str, node: &str, within: Duration) -> Result<Self, StoreError> {
        Self::open_at(url, node, within, migrate::MIGRATIONS)
    }

    pub(super) fn open_at(
        url: &str,
        node: &str,
        within: Duration,
        migrations: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        let link = Link::start(Target::parse(url)?, node.to_owned(), within)?;
        link.read(LONG, async move |session| migrate::run(session, migrations).await)?;
        Ok(Self { link, node: node.into(), within, number: Cell::new(0), batch: 0, failed: None })
    }

    fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: AsyncFn(&Session) -> Result<T, Fault> + Send + 'static,
    {
        self.link.read(self.within, work)
    }

    /// Runs a transaction that notes changes.
    fn change<T, W>(&self, within: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: AsyncFn(&Session) -> Result<T, Fault> + Send + 'static,
    {
        self.transaction(within, true, work)
    }

    fn transaction<T, W>(&self, within: Duration, feed: bool, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: AsyncFn(&Session) -> Result<T, Fault> + Send + 'static,
    {
        let number = self.number.get() + 1;
        self.number.set(number);
        let done = self.link.write(Writing { count: Count::Others, number, feed, within }, work)?;
        done.ok_or_else(|| StoreError::Database("PostgreSQL: a transaction's number was used before".into()))
    }
}

impl Store for PostgresStore {
    fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyRecord>, StoreError> {
        let hash = *hash;
        self.read(async move |session| control::key_by_hash(session, &hash).await)
    }

    fn key_by_id(&self, id: &str) -> Result<Option<(KeyHash, KeyRecord)>, StoreError> {
        let id = id.to_owned();
        self.read(async move |session| control::key_by_id(session, &id).await)
    }

    fn keys_starting_with(&self, prefix: &str) -> Result<Vec<(KeyHash, KeyRecord)>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(async move |session| control::keys_starting_with(session, &prefix).await)
    }

    fn keys(&self, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(async move |session| control::keys(session, limit).await)
    }

    fn put_keys(&mut self, keys: &[(KeyHash, KeyRecord)]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.change(LONG.max(self.within), async move |session| {
            control::put_keys(session, &keys).await?;
            control::note_keys(session, &keys).await
        })
    }

    fn budgets(&self, now: i64) -> Result<Vec<(BudgetRecord, i64)>, StoreError> {
        self.read(async move |session| control::budgets(session, now).await)
    }

    fn budget(&self, id: &str, now: i64) -> Result<Option<(BudgetRecord, i64)>, StoreError> {
        let id = id.to_owned();
        self.read(async move |session| control::budget(session, &id, now).await)
    }

    fn put_budget(&mut self, budget: &BudgetRecord) -> Result<(), StoreError> {
        self.write(&[Write::PutBudget(budget.clone())], None)
    }

    fn delete_budget(&mut self, id: &str) -> Result<(), StoreError> {
        self.write(&[Write::DeleteBudget(id.to_owned())], None)
    }

    fn prune_logs(&mut self, before_ms: i64, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.transaction(self.within, false, async move |session| {
            ledger::prune_logs(session, before_ms, limit).await
        })
    }

    fn reset_budget(&mut self, id: &str, now: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.change(self.within, async move |session| {
            let Some((budget, _)) = control::budget(session, &id, now).await? else {
                let reason = "there is no such budget".to_owned();
                return Err(StoreError::Record { id: id.clone(), reason }.into());
            };
            control::reset_budget(session, &id, budget.period_start(now)).await
        })
    }

    fn providers(&self) -> Result<Vec<ProviderRecord>, StoreError> {
        self.read(async move |session| control::providers(session).await)
    }

    fn put_provider(&mut self, provider: &ProviderRecord) -> Result<(), StoreError> {
        self.write(&[Write::PutProvider(Box::new(provider.clone()))], None)
    }

    fn delete_provider(&mut self, slug: &str) -> Result<bool, StoreError> {
        let slug = slug.to_owned();
        self.change(self.within, async move |session| control::delete_provider(session, &slug).await)
    }

    fn configs(&self) -> Result<Vec<(ConfigRecord, ConfigVersion)>, StoreError> {
        self.read(async move |session| configs::configs(session).await)
    }

    fn config(&self, slug: &str) -> Result<Option<(ConfigRecord, ConfigVersion)>, StoreError> {
        let slug = slug.to_owned();
        self.read(async move |session| configs::config(session, &slug).await)
    }

    fn config_versions(&self, slug: &str) -> Result<Vec<ConfigVersion>, StoreError> {
        let slug = slug.to_owned();
        self.read(async move |session| configs::versions(session, &slug).await)
    }

    fn put_config(
        &mut self,
        config: &ConfigRecord,
        version: Option<&ConfigVersion>,
    ) -> Result<(), StoreError> {
        let (config, version) = (Box::new(config.clone()), version.cloned().map(Box::new));
        self.write(&[Write::PutConfig { config, version }], None)
    }

    fn delete_config(&mut self, slug: &str) -> Result<bool, StoreError> {
        let slug = slug.to_owned();
        self.change(self.within, async move |session| configs::delete(session, &slug).await)
    }

    fn keys_with_config(&self, config: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let config = config.to_owned();
        self.read(async move |session| configs::keys_with(session, &config, limit).await)
    }

    fn write(&mut self, writes: &[Write], audit: Option<&AuditRecord>) -> Result<(), StoreError> {
        let (writes, audit) = (writes.to_vec(), audit.cloned());
        self.change(self.within, async move |session| {
            governance::write(session, &writes, audit.as_ref()).await
        })
    }

    fn list_keys(&self, filter: &KeyFilter) -> Result<(Vec<KeyRecord>, usize), StoreError> {
        let filter = filter.clone();
        self.read(async move |session| control::list_keys(session, &filter).await)
    }

    fn last_reset(&self, budget: &str) -> Result<i64, StoreError> {
        let id = budget.to_owned();
        self.read(async move |session| control::last_reset(session, &id).await)
    }

    fn held_by(&self, budget: &str, period_start: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let id = budget.to_owned();
        self.read(async move |session| ledger::held_by(session, &id, period_start).await)
    }

    fn keys_with_dates(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(async move |session| control::keys_with_dates(session).await)
    }

    fn reseal(
        &mut self,
        prefix: &str,
        reseal: &mut dyn FnMut(&str) -> Result<String, String>,
        audit: Option<&AuditRecord>,
    ) -> Result<usize, StoreError> {
        let wanted = prefix.to_owned();
        let found = self.read(async move |session| super::reseal::find(session, &wanted).await)?;
        let (mut changes, mut counts) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
        for (table, text) in found {
            let (anew, count) =
                crate::secrets::rewrite(super::reseal::TABLES[table].0, &text, prefix, reseal)?;
            changes.push((table, text, anew));
            counts.push(count);
        }
        let (within, audit) = (LONG.max(self.within), audit.cloned());
        // Rows of the audit log follow each other under the lock of the feed.
        let met = self.transaction(within, audit.is_some(), async move |session| {
            let met = super::reseal::replace(session, &changes).await?;
            governance::write(session, &[], audit.as_ref()).await?;
            Ok(met)
        })?;
        let rows = met.iter().map(|rows| usize::try_from(*rows).unwrap_or(0));
        Ok(rows.zip(counts).map(|(rows, count)| rows * count).sum())
    }

    fn objects(&self, kind: ObjectKind) -> Result<Vec<ObjectRecord>, StoreError> {
        self.read(async move |session| governance::objects(session, kind).await)
    }

    fn object(&self, kind: ObjectKind, id: &str) -> Result<Option<ObjectRecord>, StoreError> {
        let id = id.to_owned();
        self.read(async move |session| governance::object(session, kind, &id).await)
    }

    fn object_versions(&self, kind: ObjectKind, id: &str) -> Result<Vec<ObjectRecord>, StoreError> {
        let id = id.to_owned();
        self.read(async move |session| governance::object_versions(session, kind, &id).await)
    }

    fn spent_by(&self, budget: &str, period_start: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let budget = budget.to_owned();
        self.read(async move |session| governance::spent_by(session, &budget, period_start).await)
    }

    fn spends(&self, prefix: &str) -> Result<Vec<(String, i64, i64)>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(async move |session| governance::spends(session, &prefix).await)
    }

    fn audit(&self, filter: &AuditFilter) -> Result<(Vec<AuditRow>, usize), StoreError> {
        let filter = filter.clone();
        self.read(async move |session| governance::audit(session, &filter).await)
    }

    fn check_audit(&self) -> Result<AuditCheck, StoreError> {
        let (mut chain, mut last) = (Chain::default(), i64::MIN);
        loop {
            // Rows are only ever added at the end, so pages are as good as one look.
            let after = last;
            let rows =
                self.read(async move |session| governance::audit_texts(session, after, AUDIT_PAGE).await)?;
            match governance::follow(&mut chain, &rows) {
                Some(seq) => last = seq,
                None => return Ok(chain.end()),
            }
        }
    }

    fn tell_once(&mut self, dedup_key: &str, until_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
        let key = dedup_key.to_owned();
        self.transaction(self.within, false, async move |session| {
            governance::tell_once(session, &key, until_ms, now_ms).await
        })
    }

    fn commit(&mut self, batch: &[LedgerEntry]) -> Result<(), StoreError> {
        // The same batch again is the same transaction: it changes nothing if it was written after all.
        let (number, batch) = match self.failed.take() {
            Some((number, known)) if *known == *batch => (number, known),
            _ => (self.batch + 1, Arc::from(batch)),
        };
        self.batch = number;
        let (entries, node) = (batch.clone(), self.node.clone());
        let writing = Writing { count: Count::Batches, number, feed: false, within: self.within };
        let done =
            self.link.write(writing, async move |session| ledger::commit(session, &entries, &node).await);
        if done.is_err() {
            self.failed = Some((number, batch));
        }
        done.map(|_| ())
    }

    fn recover(&mut self, living: &[String]) -> Result<usize, StoreError> {
        let (living, node) = (living.to_vec(), self.node.clone());
        self.transaction(LONG.max(self.within), false, async move |session| {
            ledger::recover(session, &living, &node).await
        })
    }

    fn open_holds(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        self.read(async move |session| ledger::open_holds(session).await)
    }

    fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRow>, StoreError> {
        let filter = filter.clone();
        self.read(async move |session| ledger::logs(session, &filter).await)
    }

    fn changes_since(&self, seq: i64) -> Result<Vec<Change>, StoreError> {
        self.read(async move |session| control::changes_since(session, seq).await)
    }

    fn last_change(&self) -> Result<i64, StoreError> {
        self.read(async move |session| control::last_change(session).await)
    }

    fn note_change(&mut self, kind: ChangeKind, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.change(self.within, async move |session| control::note_change(session, kind, &id).await)
    }

    fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(async move |session| control::meta(session, &name).await)
    }

    fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.transaction(self.within, false, async move |session| {
            control::set_meta(session, &name, &value).await
        })
    }
}
