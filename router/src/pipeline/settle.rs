//! The end of an attempt: one message per holder, whatever happened.
//!
//! A [`Settlement`] is made at admission and travels with the answer's body. It ends by [`Settlement::finish`], or
//! by being dropped, which is how a client that left is settled. The key's permit and the log row are the request's:
//! they lie in its docket, where the settlement notes what its [`Attempt`] came to.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tidegate_prices::Price;
use tidegate_providers::{Fields, Usage};
use tidegate_store::{GuardRow, HoldRecord, LedgerEntry, Payment, Unit};

use super::admit::Admission;
use super::attempt_row::{Attempt, Share};
use super::bill::Owed;
use super::estimate;
use crate::actors::permit::{Hold, LimiterPermit, ProviderPermit};
use crate::actors::provider::Outcome;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::limits::Exhausted;
use crate::money::{self, Quantities};
use crate::routing::breakers::Ended;
use crate::settings::Durability;

/// Output tokens a stream's extension asks for at first, and at most; each asks twice as many as the last.
const SLICE: u64 = 128;
/// More tokens than any model reads or writes in one call.
const MOST_TOKENS: u64 = 100_000_000;
/// Largest body that is kept for an exact count.
const LARGEST_KEPT: usize = 256 << 10;
const LARGEST_SLICE: u64 = 1_024;
/// Who holds so many tokens has more than almost any answer says: the body would be kept for nothing.
const AMPLE: u64 = 65_536;
/// Output of a fast vendor. Vendors bill what they made before they noticed that nobody listens.
const TOKENS_PER_SECOND: u64 = 300;

/// Outcome of an attempt whose answer nobody waits for any more.
pub(super) const GONE: &str = "client_gone";

/// How a request ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    /// `ok`, or what went wrong.
    pub outcome: &'static str,
    /// HTTP status sent.
    pub status: u16,
    /// Error sentence.
    pub error: Option<String>,
    /// Tokens that the vendor reported.
    pub usage: Option<Usage>,
    /// Output tokens counted here.
    pub counted_output: u64,
    /// Whether the answer was broken off, so that the vendor may have made more than was received.
    pub unfinished: bool,
    /// Whether nothing is to be paid because the vendor refused or was never reached.
    pub unpaid: bool,
    /// Whether the vendor is at fault.
    pub fault: bool,
    /// The vendor's status, where it answered with an error.
    pub vendor_status: Option<u16>,
}

impl Ending {
    /// Returns what the attempt says of its vendor, towards the target's breaker and the provider's.
    fn ended(&self, (target, provider): (bool, bool)) -> (Ended, Ended) {
        let ended = match self.vendor_status {
            Some(status) => Ended::Answered(status),
            None if self.fault => Ended::Broke,
            None if self.outcome == "ok" => Ended::Answered(200),
            None => Ended::Nothing,
        };
        let timed_out = ended == Ended::Broke && self.outcome == "upstream_timeout";
        let counted = |counts: bool| if timed_out && !counts { Ended::Nothing } else { ended };
        (counted(target), counted(provider))
    }
}

/// Everything that must be given back or written down at the end of an attempt.
pub(super) struct Settlement {
    gateway: Arc<Gateway>,
    attempt: Option<Attempt>,
    provider: Option<ProviderPermit>,
    holds: Vec<Hold>,
    /// What limits of workspace, integration and policies let in.
    permits: Vec<LimiterPermit>,
    price: Option<Arc<Price>>,
    likely_input: u64,
    /// The body, for counting its tokens, and whose tokens they are; only where a stream is metered.
    input: Option<(Bytes, &'static str)>,
    owed: Owed,
    slice: u64,
    metered: bool,
    /// The path is not modelled: only the answer can say what it costs.
    unmeasured: bool,
    quantities: Quantities,
    started: Instant,
    asked_us: u64,
    first_byte_us: Option<u64>,
    durable: bool,
    asked: bool,
    paid: Option<i64>,
    finished: bool,
}

impl Settlement {
    /// Takes over what admission granted.
    #[must_use]
    pub(super) fn new(
        gateway: Arc<Gateway>,
        admission: Admission,
        quantities: Quantities,
        attempt: Attempt,
        started: Instant,
    ) -> Self {
        Self {
            gateway,
            attempt: Some(attempt),
            provider: None,
            metered: admission.metered,
            unmeasured: admission.unmeasured,
            holds: admission.holds,
            permits: admission.permits,
            price: admission.price,
            likely_input: admission.likely_input,
            input: None,
            owed: admission.owed,
            slice: SLICE,
            quantities,
            started,
            asked_us: 0,
            first_byte_us: None,
            durable: false,
            asked: false,
            paid: None,
            finished: false,
        }
    }

    /// Keeps the body of a metered stream, so that its tokens can be counted exactly should the budget get tight.
    pub(super) fn keep_input(&mut self, body: &Bytes, vendor: &'static str) {
        if self.metered && body.len() <= LARGEST_KEPT && self.affords() < AMPLE {
            self.input = Some((body.clone(), vendor));
        }
    }

    /// Notes that the vendor is about to be asked: from here on the request counts. With `durability = "each"`
    /// waits until the hold is on disk.
    ///
    /// # Errors
    /// 503 when the hold can't be written.
    pub(super) async fn ask(&mut self, provider: ProviderPermit) -> Result<(), GatewayError> {
        self.provider = Some(provider);
        let Some(attempt) = &self.attempt else {
            return Err(GatewayError::new(ErrorKind::Bug, "the request ended before it was sent"));
        };
        attempt.count();
        if self.gateway.settings().durability == Durability::Each && !self.durable && !self.holds.is_empty() {
            let (budgets, nano_usd) = (self.payments(Hold::amount), self.held_nano_usd());
            let row = self.attempt.as_mut().map(Attempt::hold).unwrap_or_default();
            let hold = HoldRecord { budgets, nano_usd, row };
            // From here on a row may be on disk, also if this future is dropped meanwhile.
            self.durable = true;
            self.gateway.ledger.append_durable(LedgerEntry::Hold(Box::new(hold))).await?;
            self.look_again().await?;
        }
        self.asked_us = micros(self.started);
        if let Some(attempt) = &self.attempt {
            attempt.ready(self.asked_us);
        }
        self.asked = true;
        Ok(())
    }

    /// Notes what guardrails said.
    pub(super) fn judged(&mut self, rows: Vec<GuardRow>) {
        if !rows.is_empty()
            && let Some(attempt) = &self.attempt
        {
            attempt.judged(rows);
        }
    }

    /// Notes the first byte of the answer.
    pub(super) fn first_byte(&mut self) {
        self.first_byte_us.get_or_insert_with(|| micros(self.started));
    }

    /// Notes that the vendor's answer began well: whoever waited for that need wait no longer.
    pub(super) fn began(&self) {
        if let Some(entry) = self.attempt.as_ref().and_then(|attempt| attempt.entry.as_ref()) {
            entry.began();
        }
        if let Some(provider) = &self.provider {
            provider.began();
        }
    }

    /// Notes what was made, where the answer tells.
    pub(super) fn quantities(&mut self) -> &mut Quantities {
        &mut self.quantities
    }

    /// Returns how many tokens the input is likely to have.
    #[must_use]
    pub(super) fn likely_input(&self) -> u64 {
        self.likely_input
    }

    /// Returns what the attempt cost, once it is finished and where there is a price.
    #[must_use]
    pub(super) fn paid(&self) -> Option<i64> {
        self.paid
    }

    /// Returns whether output must be counted against holds while it streams.
    #[must_use]
    pub(super) fn is_metered(&self) -> bool {
        self.metered
    }

    /// Returns how many output tokens the holds afford.
    #[must_use]
    pub(super) fn affords(&self) -> u64 {
        self.holds.iter().map(|hold| self.owed.affords(hold, self.price.as_deref())).min().unwrap_or(u64::MAX)
    }

    /// Extends every hold so that `tokens` of output are afforded, and some more if there is room.
    ///
    /// # Errors
    /// The refusing budget's 412, or 503.
    pub(super) async fn extend(&mut self, tokens: u64) -> Result<(), GatewayError> {
        let price = self.price.clone();
        let slice = self.slice;
        self.slice = (slice * 2).min(LARGEST_SLICE);
        let (mut added, mut refused) = (vec![0; self.holds.len()], None);
        let before = self.held_nano_usd();
        for (hold, added) in self.holds.iter_mut().zip(&mut added) {
            let least = self.owed.of(hold.unit(), price.as_deref(), tokens);
            let best = self.owed.of(hold.unit(), price.as_deref(), tokens + slice);
            if hold.amount() >= least {
                continue;
            }
            let (need, want) = (least - hold.amount(), best - hold.amount());
            match hold.extend(need, want).await? {
                Ok(more) => *added = more,
                Err(exhausted) => {
                    refused = Some(refusal(hold, &exhausted));
                    break;
                }
            }
        }
        if let Some(refused) = refused
            && !self.recount(tokens).await
        {
            return Err(refused);
        }
        if self.durable && added.iter().any(|more| *more > 0) {
            let entry = match &self.attempt {
                // In full: a node that was taken for dead has no hold there any more, or holds for another tenure too.
                Some(attempt) if self.holds.iter().any(Hold::is_leased) => {
                    let (budgets, nano_usd) = (self.payments(Hold::amount), self.held_nano_usd());
                    LedgerEntry::Hold(Box::new(HoldRecord { budgets, nano_usd, row: attempt.hold_again() }))
                }
                attempt => {
                    let request = attempt.as_ref().map(Attempt::hold_name).unwrap_or_default();
                    let nano_usd = self.held_nano_usd() - before;
                    LedgerEntry::Extend { request, amounts: added, nano_usd }
                }
            };
            self.gateway.ledger.append_durable(entry).await?;
            self.look_again().await?;
        }
        Ok(())
    }

    /// Looks whether what is durable now may be acted on: meanwhile others may have taken this node for dead.
    ///
    /// # Errors
    /// 503.
    async fn look_again(&mut self) -> Result<(), GatewayError> {
        for hold in &mut self.holds {
            if !hold.may_send().await {
                return Err(crate::actors::Unavailable.into());
            }
        }
        Ok(())
    }

    /// Counts the input exactly, once, and gives what was held too much for it to the output. Returns whether that
    /// affords `tokens`.
    async fn recount(&mut self, tokens: u64) -> bool {
        let Some((body, vendor)) = self.input.take() else { return false };
        let counting = tokio::task::spawn_blocking(move || {
            Fields::parse(&body).map_or(u64::MAX, |fields| estimate::exact(&fields, vendor))
        });
        let exact = counting.await.unwrap_or(u64::MAX);
        if let Some(price) = &self.price {
            self.owed.input_cost = self.owed.input_cost.min(price.input_bound(exact).as_i64());
        }
        self.owed.input_tokens = self.owed.input_tokens.min(i64::try_from(exact).unwrap_or(i64::MAX));
        self.affords() >= tokens
    }

    /// Ends the attempt.
    pub(super) fn finish(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let counts = self.attempt.as_ref().map_or((true, true), |attempt| attempt.timeouts_count);
        let (target, provider_ended) = ending.ended(counts);
        // Dropped because another target was faster, not because the client left.
        let outrun = ending.outcome == GONE && self.attempt.as_ref().is_some_and(Attempt::is_outrun);
        let mut share = Share {
            outcome: if outrun { "outrun" } else { ending.outcome },
            status: ending.status,
            error: ending.error,
            asked: self.asked,
            first_byte_us: self.first_byte_us,
            ..Share::default()
        };
        if !self.asked {
            // Nothing was asked of the vendor: everything is given back by drop.
            self.provider = None;
            self.holds.clear();
            self.permits.clear();
            self.end(share);
            return;
        }
        let counted =
            if ending.unfinished { self.unseen(ending.counted_output) } else { ending.counted_output };
        let reported = ending.usage.map(|usage| Usage { output: usage.output.max(counted), ..usage });
        let usage =
            self.usage(if ending.unfinished { &reported } else { &ending.usage }, counted, ending.unpaid);
        share.cost = match &self.price {
            // Nobody knows what it cost.
            _ if self.unmeasured && ending.usage.is_none() && !ending.unpaid => None,
            Some(price) if !ending.unpaid => Some(money::cost(price, &usage, &self.quantities).as_i64()),
            Some(_) => Some(0),
            None => None,
        };
        self.paid = share.cost;
        share.estimated = ending.usage.is_none() && !ending.unpaid && usage.total() > 0;
        share.usage = usage;
        let cost = share.cost.unwrap_or(0);
        let tokens = i64::try_from(usage.total()).unwrap_or(i64::MAX);
        let paid = |unit: Unit| match unit {
            Unit::Cost => cost,
            Unit::Tokens => tokens,
            Unit::Requests => i64::from(!ending.unpaid),
        };
        share.budgets = self.payments(|hold| paid(hold.unit()));
        for hold in &mut self.holds {
            hold.settle(paid(hold.unit()));
        }
        self.holds.clear();
        for permit in self.permits.drain(..) {
            permit.settle(usage.total());
        }
        if let Some(entry) = self.attempt.as_mut().and_then(|attempt| attempt.entry.take()) {
            entry.settle(clock::uptime(), target);
        }
        if let Some(provider) = self.provider.take() {
            // The provider's own time: what earlier attempts took is not its fault. An error is quick, and no answer.
            let answered = ending.vendor_status.is_none() && !ending.fault;
            let first_byte_us = self.first_byte_us.filter(|_| answered);
            let first_byte_us = first_byte_us.map(|us| us.saturating_sub(self.asked_us));
            let asked = self.attempt.as_ref().map(Attempt::asks).filter(|_| provider.is_watched());
            let asked = asked.map(|(model, stream)| (model.into(), stream));
            let sign = provider_ended.sign(None);
            provider.settle(Outcome { tokens: usage.total(), first_byte_us, sign, asked });
        }
        self.end(share);
    }

    fn end(&mut self, share: Share) {
        if let Some(attempt) = self.attempt.take() {
            attempt.note(share);
        }
    }

    /// Returns the output to pay for a broken-off answer: what was counted, or, where output is made out of sight
    /// (whole answers, hidden reasoning), what a fast vendor makes in the time it had, up to what is held.
    fn unseen(&self, counted: u64) -> u64 {
        if self.metered
            || self.unmeasured
            || self.holds.is_empty()
            || self.quantities != Quantities::default()
        {
            return counted;
        }
        let ms = micros(self.started).saturating_sub(self.asked_us) / 1_000;
        counted.max((ms * TOKENS_PER_SECOND).div_ceil(1_000).min(self.affords()))
    }

    fn usage(&self, reported: &Option<Usage>, counted: u64, unpaid: bool) -> Usage {
        match reported {
            Some(usage) => plausible(usage),
            None if unpaid || self.quantities != Quantities::default() => Usage::default(),
            None => Usage { input: self.likely_input, output: counted, ..Usage::default() },
        }
    }

    fn payments(&self, amount: impl Fn(&Hold) -> i64) -> Vec<Payment> {
        let now = clock::unix();
        let mut payments = Vec::with_capacity(self.holds.len());
        for hold in &self.holds {
            let (budget, amount) = (hold.budget(), amount(hold));
            let period_start = budget.period_start(now);
            let pay = |by: String, amount| Payment { budget: budget.id().clone(), period_start, amount, by };
            match hold.payers(amount) {
                payers if payers.is_empty() => payments.push(pay(String::new(), amount)),
                payers => {
                    payments.extend(payers.into_iter().map(|(by, pays)| pay(by.as_ref().to_owned(), pays)))
                }
            }
        }
        payments
    }

    /// Returns the most that money budgets hold for it, in nano-dollars.
    fn held_nano_usd(&self) -> i64 {
        let money = self.holds.iter().filter(|hold| hold.unit() == Unit::Cost);
        money.map(Hold::amount).max().unwrap_or(0)
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(Ending { outcome: GONE, status: 499, unfinished: true, ..Ending::default() });
        }
    }
}

/// Bounds what a vendor reports: no call reads or writes more, and a broken figure must not break the books.
fn plausible(usage: &Usage) -> Usage {
    let bounded = |tokens: u64| tokens.min(MOST_TOKENS);
    Usage {
        input: bounded(usage.input),
        cached_input: bounded(usage.cached_input),
        cache_write: bounded(usage.cache_write),
        cache_write_1h: bounded(usage.cache_write_1h),
        audio_input: bounded(usage.audio_input),
        image_input: bounded(usage.image_input),
        output: bounded(usage.output),
        reasoning: bounded(usage.reasoning),
        audio_output: bounded(usage.audio_output),
        image_output: bounded(usage.image_output),
    }
}

fn refusal(hold: &Hold, exhausted: &Exhausted) -> GatewayError {
    let others = Exhausted { held: exhausted.held - hold.amount(), ..*exhausted };
    super::refusals::budget_refusal(hold.budget(), &others, None)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
