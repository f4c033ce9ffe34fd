//! One attempt as the docket knows it: how it began, what it came to, and the name of its hold on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tidegate_providers::Usage;
use tidegate_store::{AttemptRow, GuardRow, LogRow, Payment};

use super::docket::Docket;
use crate::error::GatewayError;
use crate::routing::breakers::Entry;

/// What one attempt came to.
#[derive(Default)]
pub(super) struct Share {
    /// `ok`, or what went wrong.
    pub outcome: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Error sentence.
    pub error: Option<String>,
    /// Whether the vendor was asked.
    pub asked: bool,
    /// Tokens used.
    pub usage: Usage,
    /// Whether they were counted here.
    pub estimated: bool,
    /// Cost, where there is a price.
    pub cost: Option<i64>,
    /// Budgets that pay it.
    pub budgets: Vec<Payment>,
    /// Microseconds from the request's start to the first byte.
    pub first_byte_us: Option<u64>,
}

/// How a request's attempts go: one after the other, or some beside others.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Another target may start beside it, or did.
    pub(super) racing: bool,
    /// Begun beside another target that is slow.
    pub(super) hedged: bool,
    /// Continues a stream that broke off.
    pub(super) continued: bool,
    /// Another target continues its stream, should that break off.
    pub(super) continuable: bool,
    /// Another one was faster: what becomes of these attempts does not become of the request.
    pub(super) outrun: AtomicBool,
    /// The way that this one branched off.
    pub(super) parent: Option<Arc<Way>>,
}

impl Way {
    /// Returns whether another target was faster than this way, or than the one it branched off.
    pub(super) fn is_outrun(&self) -> bool {
        self.outrun.load(Relaxed) || self.parent.as_ref().is_some_and(|parent| parent.is_outrun())
    }
}

/// An attempt that has begun. What it comes to is noted once; one that is dropped without was never in the row.
pub(super) struct Attempt {
    docket: Docket,
    row: AttemptRow,
    /// Name of its hold on disk.
    hold: Option<String>,
    /// Whether its answer is streamed.
    stream: bool,
    /// The pass of the target's breaker; one that is not settled says nothing of the vendor.
    pub(super) entry: Option<Entry>,
    /// Whether running out of time counts against the target's breaker and the provider's.
    pub(super) timeouts_count: (bool, bool),
}

impl Attempt {
    /// Begins one.
    pub(super) fn new(docket: Docket, row: AttemptRow, stream: bool) -> Self {
        Self { docket, row, hold: None, stream, entry: None, timeouts_count: (true, true) }
    }

    /// Returns the vendor's model, and whether the answer is streamed.
    #[must_use]
    pub(super) fn asks(&self) -> (&str, bool) {
        (&self.row.model, self.stream)
    }

    /// Returns whether another target was faster.
    #[must_use]
    pub(super) fn is_outrun(&self) -> bool {
        self.docket.is_outrun()
    }

    /// Notes what guardrails said.
    pub(super) fn judged(&self, rows: Vec<GuardRow>) {
        self.docket.decision(|decision| decision.guards.extend(rows));
    }

    /// Counts it: its vendor is about to be asked.
    pub(super) fn count(&self) {
        self.docket.count();
    }

    /// Notes when the gateway's own work was done, if this is the first.
    pub(super) fn ready(&self, us: u64) {
        self.docket.ready(us);
    }

    /// Names its hold, which is about to be written, and returns the row to write with it: what is kept if the process
    /// dies.
    #[must_use]
    pub(super) fn hold(&mut self) -> LogRow {
        let row = self.docket.row_of_hold();
        self.hold = Some(row.id.clone());
        row
    }

    /// Returns the row to write with a hold that is on disk already.
    #[must_use]
    pub(super) fn hold_again(&self) -> LogRow {
        LogRow { id: self.hold_name(), ..self.docket.row() }
    }

    /// Returns the name of its hold.
    #[must_use]
    pub(super) fn hold_name(&self) -> String {
        self.hold.clone().unwrap_or_default()
    }

    /// Notes how it ended.
    pub(super) fn note(self, share: Share) {
        let Self { docket, row, hold, .. } = self;
        docket.note(row, hold, share);
    }

    /// Notes a refusal: nothing was asked of a vendor.
    pub(super) fn refused(self, error: &GatewayError) {
        self.note(Share {
            outcome: error.outcome(),
            status: error.status(),
            error: Some(error.message.clone()),
            ..Share::default()
        });
    }

    /// Ends it with an answer of the gateway's own: the request counts although no vendor is asked.
    pub(super) fn answered(self, status: u16) {
        self.docket.answered(status);
    }
}
