//! The durable store, and the ledgers through which nodes write to it: in order, late, and cut off when a node dies.

use std::collections::{BTreeMap, VecDeque};

use tidegate_leases::Holder;

/// An entry of a ledger.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Hold { request: u64, pool: usize, holder: Holder, amount: i64 },
    Settle { request: u64, pool: usize, holder: Holder, spent: i64 },
}

/// What a process has not written yet. The first entry is on its way once it has a time.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    at_ms: Option<i64>,
}

impl Ledger {
    pub(super) fn append(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sends the first entry, which arrives after so long.
    pub(super) fn send(&mut self, now_ms: i64, delay_ms: i64) {
        if !self.entries.is_empty() && self.at_ms.is_none() {
            self.at_ms = Some(now_ms + delay_ms);
        }
    }

    /// Returns the entry that arrives now.
    pub(super) fn arrived(&mut self, now_ms: i64) -> Option<Entry> {
        self.at_ms.filter(|at| *at <= now_ms)?;
        self.at_ms = None;
        self.entries.pop_front()
    }

    /// What is left of it when its process is killed: what is on its way arrives.
    pub(super) fn killed(mut self) -> Self {
        self.entries.truncate(usize::from(self.at_ms.is_some()));
        self
    }
}

/// A hold as the durable store has it, with the life of the process that wrote it.
#[derive(Clone, Copy, Debug)]
struct Open {
    life: u64,
    pool: usize,
    holder: Holder,
    amount: i64,
}

/// The durable store.
#[derive(Debug, Default)]
pub(super) struct Store {
    open: BTreeMap<u64, Open>,
    spent: BTreeMap<(usize, Holder), i64>,
}

impl Store {
    pub(super) fn write(&mut self, life: u64, entry: Entry) {
        match entry {
            Entry::Hold { request, pool, holder, amount } => {
                self.open.insert(request, Open { life, pool, holder, amount });
            }
            Entry::Settle { request, pool, holder, spent } => {
                self.open.remove(&request);
                *self.spent.entry((pool, holder)).or_default() += spent;
            }
        }
    }

    /// Settles what a dead process left open, at its held amount.
    pub(super) fn recover(&mut self, is_dead: impl Fn(u64) -> bool) {
        let (dead, open) =
            std::mem::take(&mut self.open).into_iter().partition(|(_, open)| is_dead(open.life));
        self.open = open;
        let dead: BTreeMap<u64, Open> = dead;
        for open in dead.values() {
            *self.spent.entry((open.pool, open.holder)).or_default() += open.amount;
        }
    }

    pub(super) fn has(&self, request: u64) -> bool {
        self.open.contains_key(&request)
    }

    pub(super) fn held(&self, pool: usize, holder: Holder) -> i64 {
        let of = |open: &&Open| open.pool == pool && open.holder == holder;
        self.open.values().filter(of).map(|open| open.amount).sum()
    }

    pub(super) fn spent(&self, pool: usize, holder: Holder) -> i64 {
        self.spent.get(&(pool, holder)).copied().unwrap_or_default()
    }

    /// Returns what all but some spent and hold.
    pub(super) fn of_others(&self, pool: usize, members: &[Holder]) -> i64 {
        let counts = |of: usize, holder: &Holder| of == pool && !members.contains(holder);
        let spent = self.spent.iter().filter(|((of, holder), _)| counts(*of, holder));
        let held = self.open.values().filter(|open| counts(open.pool, &open.holder));
        spent.map(|(_, spent)| spent).sum::<i64>() + held.map(|open| open.amount).sum::<i64>()
    }
}
