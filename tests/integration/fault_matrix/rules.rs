//! What must come of each case. Written from the product's documentation, not from its code.

use std::fmt;

use super::cases::{Case, Dialect, Fault, Strategy};

/// What one attempt at the faulty target comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    /// A status before any content; whether the vendor may have worked and is paid, and whether it is tried again.
    Fails { status: u16, outcome: &'static str, paid: bool, again: Again },
    /// Content, then an error in the stream.
    Breaks { status: u16, outcome: &'static str },
    /// A complete answer.
    Complete,
}

/// Whether a retry follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
    /// It would, but the vendor asks for a longer wait than anybody waits for.
    TooLate,
}

/// What the client, the vendors and the log see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// Type of the error, of the answer or in its stream.
    pub(super) error: Option<String>,
    pub(super) text: &'static str,
    pub(super) calls: (usize, usize),
    pub(super) retries: String,
    pub(super) target: String,
    pub(super) outcome: String,
    pub(super) paid: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error.as_ref().map_or(String::new(), |error| format!(" {error}"));
        let (a, b) = self.calls;
        let paid = if self.paid { "paid" } else { "free" };
        write!(
            formatter,
            "{}{error} · {} · A×{a} B×{b} · retries {} · {} · {} · {paid}",
            self.status, self.text, self.retries, self.target, self.outcome
        )
    }
}

fn alone(case: &Case) -> Alone {
    let unreachable = |paid| Alone::Fails {
        status: 502,
        outcome: "upstream_unreachable",
        paid,
        // Network failures are tried again, whatever the list of statuses says.
        again: Again::Yes,
    };
    let answered = |status, again| Alone::Fails { status, outcome: "upstream_error", paid: false, again };
    // 408 is not in the default list of a retry. A vendor that is slow works and bills all the same.
    let late = Alone::Fails { status: 408, outcome: "upstream_timeout", paid: true, again: Again::No };
    match case.fault {
        Fault::Refused | Fault::Reset | Fault::Tls => unreachable(false),
        Fault::StallBeforeHead => late,
        Fault::LimitedSeconds | Fault::LimitedDate | Fault::LimitedMs | Fault::LimitedXMs => {
            answered(429, Again::Yes)
        }
        Fault::LimitedTooLong => answered(429, Again::TooLate),
        Fault::Status500 => answered(500, Again::Yes),
        // Part of a whole answer is none: the vendor is paid for what it made, and its error is a status.
        Fault::StallMidStream if !case.stream => late,
        Fault::CutBefore | Fault::CutAfter if !case.stream => unreachable(true),
        // What is no answer is as good as none: not paid, and tried again.
        Fault::Malformed if !case.stream => unreachable(false),
        Fault::ErrorEvent if !case.stream => answered(503, Again::Yes),
        // Before the commit point a stream's error is a status as well.
        Fault::CutBefore => unreachable(false),
        Fault::StallMidStream => Alone::Breaks { status: 408, outcome: "upstream_timeout" },
        Fault::CutAfter => Alone::Breaks { status: 502, outcome: "upstream_unreachable" },
        Fault::Malformed => Alone::Breaks { status: 502, outcome: "upstream_error" },
        Fault::ErrorEvent => Alone::Breaks { status: 0, outcome: "upstream_error" },
        Fault::NoDone | Fault::NoUsage | Fault::Huge => Alone::Complete,
    }
}

/// The type of an error in the client's dialect.
fn kind(case: &Case, status: u16) -> String {
    let openai = match (case.fault, status) {
        (_, 408) => "timeout_error",
        // The scripted vendor's own words.
        (Fault::ErrorEvent, 0) => "server_error",
        // The same: a client of the vendor's own dialect gets its errors untouched.
        (_, 429) => "requests",
        (_, 500 | 503) => "server_error",
        _ => "upstream_error",
    };
    let anthropic = match (case.fault, status) {
        (_, 408) => "timeout_error",
        (Fault::ErrorEvent, 0) => "overloaded_error",
        (_, 429) => "rate_limit_error",
        _ => "api_error",
    };
    if case.dialect == Dialect::OpenAi { openai.to_owned() } else { anthropic.to_owned() }
}

pub(super) fn expected(case: &Case) -> Seen {
    let alone = alone(case);
    let several = !matches!(case.strategy, Strategy::None | Strategy::Retry);
    let place = |index: usize| match several {
        true => format!("targets[{index}]"),
        false => "config".to_owned(),
    };
    let seen = |status, text, target| Seen {
        status,
        error: None,
        text,
        calls: (1, 0),
        retries: "0".to_owned(),
        target,
        outcome: "ok".to_owned(),
        paid: true,
    };
    // Only a fallback has another target to go to; a balancer does not pick again.
    let falls = matches!(case.strategy, Strategy::Fallback | Strategy::Hedge | Strategy::Continue);
    match alone {
        Alone::Complete => seen(200, "complete", place(0)),
        // Nobody else is asked after the commit point, but to continue.
        Alone::Breaks { .. } if case.strategy == Strategy::Continue => {
            Seen { calls: (1, 1), ..seen(200, "joined", place(1)) }
        }
        Alone::Breaks { status, outcome } => Seen {
            error: Some(kind(case, status)),
            outcome: outcome.to_owned(),
            ..seen(200, "begun", place(0))
        },
        Alone::Fails { .. } if falls => Seen { calls: (1, 1), ..seen(200, "from B", place(1)) },
        Alone::Fails { status, outcome, paid, again } => {
            let retried = case.strategy == Strategy::Retry && again == Again::Yes;
            let given_up = case.strategy == Strategy::Retry && again != Again::No;
            Seen {
                error: Some(kind(case, status)),
                calls: (1 + usize::from(retried), 0),
                retries: if given_up { "-1" } else { "0" }.to_owned(),
                outcome: outcome.to_owned(),
                paid,
                ..seen(status, "nothing", place(0))
            }
        }
    }
}
