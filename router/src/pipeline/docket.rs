//! What a request owes until it ends: its key's permit, what its attempts cost so far, and its log row.
//!
//! There is one [`Docket`] per request, shared by the walk and by every [`Attempt`] that has begun; hedged attempts run
//! side by side. Each attempt notes what it came to, once. When the last holder lets go (the walk is over, no answer
//! streams any more, or the client left), the row is written and the permit given back, exactly once.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidegate_store::{
    AttemptRow, ChoiceRow, DecisionRow, LedgerEntry, LogRow, Payment, SettleRecord, SpendRecord,
};

use super::attempt_row::{Attempt, Share, Way};
use super::guard::summary;
use super::resolve::Route;
use super::shape::Shape;
use crate::actors::permit::{KeyPermit, LimiterPermit};
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::limits::RateView;

/// What an attempt cost and the ledger does not know yet.
struct Due {
    budgets: Vec<Payment>,
    /// Name of the hold that is on disk for it, if one is.
    hold: Option<String>,
}

/// What a request owes. Clones are the same docket; the last one dropped writes it down.
#[derive(Clone)]
pub(super) struct Docket {
    open: Arc<Mutex<Open>>,
    way: Arc<Way>,
}

struct Open {
    gateway: Arc<Gateway>,
    permit: Option<KeyPermit>,
    /// What limits of its workspace let in.
    limiters: Vec<LimiterPermit>,
    row: LogRow,
    started: Instant,
    asked: bool,
    tokens: u64,
    dues: Vec<Due>,
    /// Whether a hold with the request's own name is on disk or about to be.
    holding: bool,
    /// Whether the walk came to its end; else the client left.
    walked: bool,
    /// Whether nothing is to be written.
    dry: bool,
    /// Whether the client wants nothing logged that it said of itself.
    quiet: bool,
    /// Whether the log keeps figures and names only: sentences of vendors may repeat what was asked.
    bare: bool,
}

impl Docket {
    /// Opens a request's docket.
    #[must_use]
    pub(super) fn new(gateway: Arc<Gateway>, row: LogRow, started: Instant) -> Self {
        let open = Open {
            gateway,
            permit: None,
            limiters: Vec::new(),
            row,
            started,
            asked: false,
            tokens: 0,
            dues: Vec::new(),
            holding: false,
            walked: false,
            dry: false,
            quiet: false,
            bare: false,
        };
        Self { open: Arc::new(Mutex::new(open)), way: Arc::default() }
    }

    /// Opens the docket of a request that is only thought of: nothing is written, what it is granted is given back.
    #[must_use]
    pub(super) fn dry(gateway: Arc<Gateway>) -> Self {
        let docket = Self::new(gateway, LogRow::default(), Instant::now());
        docket.open().dry = true;
        docket
    }

    /// Keeps what the client says of itself out of the log.
    pub(super) fn hush(&self) {
        self.open().quiet = true;
    }

    /// Keeps sentences out of the log.
    pub(super) fn strip(&self) {
        self.open().bare = true;
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn branch(&self, change: impl FnOnce(&mut Way)) -> Self {
        let Way { racing, hedged, continued, continuable, .. } = *self.way;
        let parent = Some(self.way.clone());
        let mut way = Way { racing, hedged, continued, continuable, outrun: AtomicBool::new(false), parent };
        change(&mut way);
        Self { open: self.open.clone(), way: Arc::new(way) }
    }

    /// Returns the docket for attempts at a target that starts beside another one, or as the first of those.
    #[must_use]
    pub(super) fn beside(&self, hedged: bool) -> Self {
        self.branch(|way| {
            way.racing = true;
            way.hedged |= hedged;
        })
    }

    /// Returns the docket for attempts that continue a stream.
    #[must_use]
    pub(super) fn continuing(&self) -> Self {
        self.branch(|way| way.continued = true)
    }

    /// Returns the docket for attempts whose stream another target may continue.
    #[must_use]
    pub(super) fn continuable(&self) -> Self {
        self.branch(|way| way.continuable = true)
    }

    /// Returns whether another target may continue the stream.
    #[must_use]
    pub(super) fn is_continuable(&self) -> bool {
        self.way.continuable
    }

    /// Returns whether other targets may start beside it.
    #[must_use]
    pub(super) fn is_racing(&self) -> bool {
        self.way.racing
    }

    /// Returns whether its attempts begin beside others.
    #[must_use]
    pub(super) fn is_hedged(&self) -> bool {
        self.way.hedged
    }

    /// Notes that another target was faster than the attempts of this way, which are about to be dropped.
    pub(super) fn outrun(&self) {
        self.way.outrun.store(true, Relaxed);
    }

    /// Begins an attempt.
    #[must_use]
    pub(super) fn begin(&self, route: &Route, retry: u32, shape: &Shape) -> Attempt {
        let mut open = self.open();
        // What earlier ones cost is written down: this one may be paid from other budgets.
        open.pay();
        let started_us = open.micros();
        let user = shape.user.as_ref().filter(|_| !open.quiet);
        let row = &mut open.row;
        row.provider.clone_from(&route.provider.record().slug);
        row.model.clone_from(&route.model);
        row.option_index.clone_from(&route.option_index);
        row.stream = shape.stream;
        if let Some(user) = user {
            row.metadata.entry("_user".to_owned()).or_insert_with(|| user.clone());
        }
        let row = AttemptRow {
            option_index: route.option_index.clone(),
            provider: row.provider.clone(),
            model: row.model.clone(),
            retry,
            hedged: self.way.hedged,
            continued: self.way.continued,
            started_us,
            ..AttemptRow::default()
        };
        drop(open);
        Attempt::new(self.clone(), row, shape.stream)
    }

    /// Returns whether the key let the request in.
    #[must_use]
    pub(super) fn is_admitted(&self) -> bool {
        self.open().permit.is_some()
    }

    /// Keeps the key's permit and those of its workspace. Second ones, of an attempt that asked at the same time, are
    /// given back.
    pub(super) fn admitted(&self, permit: KeyPermit, limiters: Vec<LimiterPermit>) {
        let mut open = self.open();
        if open.permit.is_none() {
            open.permit = Some(permit);
            open.limiters = limiters;
        }
    }

    /// Returns the tightest limits of the request, those that let this attempt in among them.
    #[must_use]
    pub(super) fn views(&self, of_attempt: &[LimiterPermit]) -> Vec<RateView> {
        let open = self.open();
        let mut tightest = open.permit.as_ref().map(|permit| permit.views.clone()).unwrap_or_default();
        for view in open.limiters.iter().chain(of_attempt).flat_map(|permit| &permit.views) {
            match tightest.iter_mut().find(|known| known.kind == view.kind) {
                Some(known) if known.remaining <= view.remaining => {}
                Some(known) => *known = *view,
                None => tightest.push(*view),
            }
        }
        tightest
    }

    /// Returns whether another target was faster.
    pub(super) fn is_outrun(&self) -> bool {
        self.way.is_outrun()
    }

    /// Counts an attempt: its vendor is about to be asked.
    pub(super) fn count(&self) {
        self.open().row.attempts += 1;
    }

    /// Notes when the gateway's own work was done, if this is the first attempt.
    pub(super) fn ready(&self, us: u64) {
        let mut open = self.open();
        if open.row.attempts == 1 {
            open.row.gateway_us = us;
        }
    }

    /// Adds to the record of the request's decisions.
    pub(super) fn decision(&self, add: impl FnOnce(&mut DecisionRow)) {
        add(self.open().row.decision.get_or_insert_default());
    }

    /// Notes what was found in the cache.
    pub(super) fn note_cache(&self, status: &str) {
        let mut open = self.open();
        status.clone_into(&mut open.row.cache);
        open.row.decision.get_or_insert_default().cache = Some(status.to_owned());
    }

    /// Notes that the cache answers, which spares so much; the request counts although no vendor is asked.
    pub(super) fn kept(&self, status: &str, saved_nano_usd: i64) {
        self.note_cache(status);
        let mut open = self.open();
        open.asked = true;
        open.row.saved_nano_usd = saved_nano_usd;
        // What failed attempts at other targets cost stays.
        open.row.cost_nano_usd.get_or_insert(0);
    }

    /// Notes choices, where there were some.
    pub(super) fn chose(&self, made: Vec<ChoiceRow>) {
        if !made.is_empty() {
            self.decision(|decision| decision.choices.extend(made));
        }
    }

    /// Notes what guardrails said that refused a request.
    pub(super) fn judged(&self, error: &GatewayError) {
        if let Some(results) = &error.hook_results {
            let rows = summary::of_json(results);
            self.decision(|decision| decision.guards.extend(rows));
        }
    }

    /// Returns the row to write with a hold. The request's own name goes to one hold at a time, others get one derived
    /// from it.
    pub(super) fn row_of_hold(&self) -> LogRow {
        let mut open = self.open();
        let mut row = open.row.clone();
        if std::mem::replace(&mut open.holding, true) {
            row.id = format!("{}#{}", row.id, row.attempts);
        }
        row
    }

    /// Returns the row as known so far.
    #[must_use]
    pub(super) fn row(&self) -> LogRow {
        self.open().row.clone()
    }

    /// Notes how an attempt ended.
    pub(super) fn note(&self, attempt: AttemptRow, hold: Option<String>, share: Share) {
        self.open().note(&self.way, attempt, hold, share);
    }

    /// Notes an answer of the gateway's own: the request counts although no vendor is asked.
    pub(super) fn answered(&self, status: u16) {
        let mut open = self.open();
        open.asked = true;
        open.conclude(status, "ok", None);
    }

    /// Sets what the request comes to when that is not what its last attempt came to.
    pub(super) fn conclude(&self, status: u16, outcome: &'static str, error: Option<String>) {
        self.open().conclude(status, outcome, error);
    }

    /// Writes down what attempts cost so far: another one follows, maybe after a wait.
    pub(super) fn carry_on(&self) {
        self.open().pay();
    }

    /// Notes that the walk is over: from here on the request ends as its last attempt was noted.
    pub(super) fn walked(&self) {
        self.open().walked = true;
    }
}

impl Open {
    fn conclude(&mut self, status: u16, outcome: &'static str, error: Option<String>) {
        self.row.status = status;
        self.row.outcome = outcome.into();
        self.row.error = error.filter(|_| !self.bare);
    }

    fn note(&mut self, way: &Way, mut attempt: AttemptRow, hold: Option<String>, share: Share) {
        self.asked |= share.asked;
        self.tokens += share.usage.total();
        let error = share.error.filter(|_| !self.bare);
        let took_us = self.micros().saturating_sub(attempt.started_us);
        let row = &mut self.row;
        if !way.is_outrun() {
            row.provider.clone_from(&attempt.provider);
            row.model.clone_from(&attempt.model);
            row.option_index.clone_from(&attempt.option_index);
            row.status = share.status;
            row.outcome = share.outcome.into();
            row.error.clone_from(&error);
            // The client saw the first byte of the stream that this one continues.
            let earlier = if way.continued { row.first_byte_us } else { None };
            row.first_byte_us = earlier.or(share.first_byte_us);
        }
        row.estimated |= share.estimated;
        row.input_tokens += share.usage.input;
        row.cached_input_tokens += share.usage.cached_input;
        row.output_tokens += share.usage.output;
        row.reasoning_tokens += share.usage.reasoning;
        if share.asked {
            row.cost_nano_usd = match (row.cost_nano_usd, share.cost) {
                (Some(before), Some(now)) => Some(before.saturating_add(now)),
                (before, now) => before.or(now),
            };
            // One attempt's names of a budget are one text in memory; those of earlier ones may be others.
            let earlier = row.budgets.len();
            row.budgets.reserve_exact(share.budgets.len());
            for Payment { budget, .. } in &share.budgets {
                let (before, now) = row.budgets.split_at(earlier);
                if !before.contains(budget) && !now.iter().any(|known| Arc::ptr_eq(known, budget)) {
                    row.budgets.push(budget.clone());
                }
            }
        }
        if hold.as_ref() == Some(&row.id) {
            self.holding = false;
        }
        attempt.asked = share.asked;
        attempt.status = share.status;
        attempt.outcome = share.outcome.into();
        attempt.error = error;
        attempt.cost_nano_usd = if share.asked { share.cost } else { Some(0) };
        attempt.took_us = took_us;
        // Most have one.
        row.tried.reserve_exact(1);
        row.tried.push(attempt);
        if hold.is_some() || share.budgets.iter().any(|payment| payment.amount != 0) {
            self.dues.push(Due { budgets: share.budgets, hold });
        }
    }

    fn pay(&mut self) {
        for due in std::mem::take(&mut self.dues) {
            let paid = SpendRecord {
                held: due.hold.is_some(),
                request: due.hold.unwrap_or_else(|| self.row.id.clone()),
                budgets: due.budgets,
            };
            self.gateway.ledger.append(LedgerEntry::Spend(Box::new(paid)));
        }
    }

    fn write(&mut self) {
        let own = |due: &Due| due.hold.as_ref().is_none_or(|hold| *hold == self.row.id);
        if self.dues.len() > 1 || !self.dues.iter().all(own) {
            self.pay();
        }
        let total_us = self.micros();
        match self.permit.take() {
            Some(permit) if self.asked => {
                permit.settle(self.tokens);
                for limiter in self.limiters.drain(..) {
                    limiter.settle(self.tokens);
                }
            }
            // Dropped: a request that nobody was asked for is given back.
            _ => {}
        }
        if !self.asked {
            self.row.cost_nano_usd = Some(0);
        }
        self.row.total_us = total_us;
        if self.row.attempts == 0 {
            self.row.gateway_us = total_us;
        }
        if self.row.decision.as_ref().is_some_and(|decision| decision.is_empty()) {
            self.row.decision = None;
        }
        if self.row.tried.len() < 2 {
            // The row itself says it all.
            self.row.tried.clear();
        }
        let (budgets, held) =
            self.dues.pop().map_or_else(Default::default, |due| (due.budgets, due.hold.is_some()));
        self.gateway.ledger.append(LedgerEntry::Settle(Box::new(SettleRecord {
            budgets,
            held,
            row: (&self.row).into(),
        })));
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.dry {
            return;
        }
        if !self.walked {
            // The walk's future was dropped: the client left.
            self.conclude(499, "client_gone", None);
        }
        self.write();
    }
}
