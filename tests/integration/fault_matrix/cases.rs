//! What is tried.

/// What is wrong with the first target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Refused,
    Reset,
    Tls,
    StallBeforeHead,
    StallMidStream,
    LimitedSeconds,
    LimitedDate,
    LimitedMs,
    LimitedXMs,
    LimitedTooLong,
    Status500,
    Malformed,
    CutBefore,
    CutAfter,
    ErrorEvent,
    NoDone,
    NoUsage,
    Huge,
}

/// How the gateway is to meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    None,
    Retry,
    Fallback,
    Balance,
    Hedge,
    Continue,
}

/// The client's dialect, and the vendor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) number: usize,
    pub(super) fault: Fault,
    pub(super) strategy: Strategy,
    pub(super) stream: bool,
    pub(super) dialect: Dialect,
}

impl Fault {
    pub(super) const ALL: [Fault; 18] = [
        Fault::Refused,
        Fault::Reset,
        Fault::Tls,
        Fault::StallBeforeHead,
        Fault::StallMidStream,
        Fault::LimitedSeconds,
        Fault::LimitedDate,
        Fault::LimitedMs,
        Fault::LimitedXMs,
        Fault::LimitedTooLong,
        Fault::Status500,
        Fault::Malformed,
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::ErrorEvent,
        Fault::NoDone,
        Fault::NoUsage,
        Fault::Huge,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Refused => "connection refused",
            Fault::Reset => "connection reset",
            Fault::Tls => "TLS failure",
            Fault::StallBeforeHead => "stall before the head",
            Fault::StallMidStream => "stall in the middle",
            Fault::LimitedSeconds => "429, `retry-after: 1`",
            Fault::LimitedDate => "429, `retry-after` as a date",
            Fault::LimitedMs => "429, `retry-after-ms: 50`",
            Fault::LimitedXMs => "429, `x-ms-retry-after-ms: 50`",
            Fault::LimitedTooLong => "429, `retry-after: 61`",
            Fault::Status500 => "500",
            Fault::Malformed => "malformed event",
            Fault::CutBefore => "cut before content",
            Fault::CutAfter => "cut after content",
            Fault::ErrorEvent => "error after content",
            Fault::NoDone => "no end marker",
            Fault::NoUsage => "no usage",
            Fault::Huge => "huge event",
        }
    }

    /// What the scripted upstream is told.
    pub(super) fn script(self, stream: bool) -> String {
        match self {
            Fault::Refused | Fault::Reset | Fault::Tls => String::new(),
            Fault::StallBeforeHead => "head_delay_ms=60000".to_owned(),
            Fault::StallMidStream => "chunks=9&stall_after=2".to_owned(),
            Fault::LimitedSeconds => "status=429&retry_after=1".to_owned(),
            Fault::LimitedDate => "status=429&reply_header=retry-after:{date}".to_owned(),
            Fault::LimitedMs => "status=429&reply_header=retry-after-ms:50".to_owned(),
            Fault::LimitedXMs => "status=429&reply_header=x-ms-retry-after-ms:50".to_owned(),
            Fault::LimitedTooLong => "status=429&retry_after=61".to_owned(),
            Fault::Status500 => "status=500".to_owned(),
            Fault::Malformed => "chunks=9&malformed_after=2".to_owned(),
            Fault::CutBefore => "chunks=9&close_after=0".to_owned(),
            Fault::CutAfter => "chunks=9&close_after=2".to_owned(),
            // A whole answer has no events; its error is a status.
            Fault::ErrorEvent if stream => "chunks=9&error_after=2".to_owned(),
            Fault::ErrorEvent => "status=503".to_owned(),
            Fault::NoDone => "chunks=9&no_done".to_owned(),
            Fault::NoUsage => "chunks=9&no_usage".to_owned(),
            Fault::Huge => "big=2000000&chunks=2".to_owned(),
        }
    }
}

impl Strategy {
    pub(super) const ALL: [Strategy; 6] = [
        Strategy::None,
        Strategy::Retry,
        Strategy::Fallback,
        Strategy::Balance,
        Strategy::Hedge,
        Strategy::Continue,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Strategy::None => "none",
            Strategy::Retry => "retry",
            Strategy::Fallback => "fallback",
            Strategy::Balance => "balance",
            Strategy::Hedge => "hedge",
            Strategy::Continue => "continue",
        }
    }
}

impl Dialect {
    pub(super) fn name(self) -> &'static str {
        match self {
            Dialect::OpenAi => "OpenAI",
            Dialect::Anthropic => "Anthropic",
        }
    }
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for fault in Fault::ALL {
        for strategy in Strategy::ALL {
            for stream in [true, false] {
                for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
                    cases.push(Case { number: cases.len(), fault, strategy, stream, dialect });
                }
            }
        }
    }
    cases
}
