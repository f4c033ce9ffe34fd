//! A loaded plugin, and the calls it answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::answer;
use crate::bindings::{Answer, Ask};
use crate::guest::Lent;
use crate::host::Host;
use crate::pool::call::{Job, call};
use crate::pool::instance::Code;
use crate::pool::shelf::{Owner, Shelf};
use crate::pool::slots::Slots;
use crate::quarantine::{Admission, Change, Outcome, Quarantine};
use crate::stats::{Counters, Kind, Recorder, State};
use crate::{
    CallError, CallView, CheckInfo, ConditionInfo, Grants, Instances, Judgement, Limits, Manifest, Setup,
    Statistics, StreamWindow, Subject, Terms, Verdict, WindowAnswer, WindowNeeds, WindowVerdict,
};

/// What loading made.
pub(crate) struct Parts {
    pub(crate) host: Arc<Host>,
    pub(crate) code: Code,
    pub(crate) slots: Slots,
    pub(crate) manifest: Manifest,
    pub(crate) digest: String,
    pub(crate) starts_slowly: bool,
    pub(crate) shelf: Arc<Shelf>,
}

/// A component that passed all tests of loading. Its code lives as long as somebody holds it.
pub struct Plugin {
    host: Arc<Host>,
    code: Code,
    slots: Slots,
    manifest: Manifest,
    digest: String,
    starts_slowly: bool,
    limits: Limits,
    lent: Arc<Lent>,
    /// What each check is shown, in the manifest's order.
    seen: Vec<Arc<Grants>>,
    shelf: Arc<Shelf>,
    reuses: bool,
    recorder: Recorder,
    standing: Mutex<Standing>,
    /// What checks of streams answered to `needs`, by name and parameters: nothing else can change it.
    needs: Mutex<HashMap<String, WindowNeeds>>,
}

/// So many answers to `needs` are kept: there are as many as attachments.
const MOST_NEEDS: usize = 256;

/// Whether it may be called, and since when.
struct Standing {
    quarantine: Quarantine,
    state: State,
    since_ms: u64,
}

impl Plugin {
    pub(crate) fn new(parts: Parts, setup: Setup) -> Self {
        let Parts { host, code, slots, manifest, digest, starts_slowly, shelf } = parts;
        let lent = Lent {
            plugin: manifest.id.clone(),
            config: setup.config,
            powers: setup.powers,
            grants: setup.grants.narrow(&manifest.wants),
            counters: Counters::default(),
        };
        let seen = manifest.checks.iter().map(|check| Arc::new(lent.grants.seen_by(check))).collect();
        let standing = Standing { quarantine: Quarantine::default(), state: State::Live, since_ms: now_ms() };
        Self {
            host,
            code,
            slots,
            manifest,
            digest,
            starts_slowly,
            limits: setup.limits,
            lent: Arc::new(lent),
            seen,
            shelf,
            reuses: matches!(setup.instances, Instances::Reuse { .. }),
            recorder: Recorder::default(),
            standing: Mutex::new(standing),
            needs: Mutex::default(),
        }
    }

    /// Returns what a call may cost at most.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns what the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the SHA-256 of the component's bytes, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Gives everything besides its bytes that decides how it judges: what it reads with `config`, what it is granted,
    /// its limits. The config may hold credentials: it is meant for a digest.
    pub fn setup(&self, give: &mut dyn FnMut(&[u8])) {
        for (name, value) in &self.lent.config {
            give(name.as_bytes());
            give(value.as_bytes());
        }
        give(format!("{:?} {:?}", self.lent.grants, self.limits).as_bytes());
    }

    /// Whether the plugin asks for something, in the manifest's words, and got it.
    #[must_use]
    pub fn wants(&self, what: &str) -> bool {
        self.lent.grants.allows(what)
    }

    /// Returns what a check is shown of a request besides its texts; `None` where there is no such check.
    #[must_use]
    pub fn seen_by(&self, check: &str) -> Option<&Arc<Grants>> {
        let at = self.manifest.checks.iter().position(|info| info.name == check)?;
        self.seen.get(at)
    }

    /// Returns a check by its name.
    #[must_use]
    pub fn check_info(&self, check: &str) -> Option<&CheckInfo> {
        self.manifest.checks.iter().find(|info| info.name == check)
    }

    /// Returns a condition by its name.
    #[must_use]
    pub fn condition_info(&self, condition: &str) -> Option<&ConditionInfo> {
        self.manifest.conditions.iter().find(|info| info.name == condition)
    }

    /// Returns what happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (state, since_ms) = {
            let standing = self.standing();
            (standing.state, standing.since_ms)
        };
        self.recorder.statistics(state, since_ms, &self.lent.counters)
    }

    /// Judges a whole input or output. `terms` are the attachment's, if it has its own.
    pub async fn check(
        self: &Arc<Self>,
        tenant: impl Into<Arc<str>>,
        check: impl Into<Arc<str>>,
        params: impl Into<Arc<str>>,
        subject: impl Into<Arc<Subject>>,
        terms: Option<&Terms>,
    ) -> Result<Judgement, CallError> {
        let (check, subject) = (check.into(), subject.into());
        let judged = async {
            let (info, granted) = self.find_check(&check)?;
            if !info.hooks.contains(&subject.hook) {
                return Err(CallError::NotDeclared("the hook"));
            }
            let subject_seen = if granted.covers(&subject) {
                subject.clone()
            } else {
                granted.strip_subject(&subject).into()
            };
            let ask = Ask::Check { check: check.clone(), params: params.into(), subject: subject_seen };
            self.ask(tenant.into(), ask, terms, |answer| match answer {
                Answer::Judgement(judged) => answer::judgement(judged, info, &subject),
                _ => Err(strange()),
            })
            .await
        }
        .await;
        self.count(judged, |judgement| match judgement.verdict {
            Verdict::Pass => Kind::Pass,
            Verdict::Mask(_) => Kind::Mask,
            Verdict::Rewrite(_) => Kind::Rewrite,
            Verdict::Fail(_) => Kind::Fail,
            Verdict::Block(_) => Kind::Block,
        })
    }

    /// Returns how much a check of streams must see around a position. It is asked once for the same parameters.
    pub async fn needs(
        self: &Arc<Self>,
        tenant: impl Into<Arc<str>>,
        check: impl Into<Arc<str>>,
        params: impl Into<Arc<str>>,
        terms: Option<&Terms>,
    ) -> Result<WindowNeeds, CallError> {
        let (check, params) = (check.into(), params.into());
        let key = format!("{check}\0{params}");
        let known = self.needs.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let needed = async {
            self.find_stream_check(&check)?;
            let ask = Ask::Needs { check: check.clone(), params: params.clone() };
            self.ask(tenant.into(), ask, terms, |answer| match answer {
                Answer::Needs(needs) => needs.map_err(CallError::Check),
                _ => Err(strange()),
            })
            .await
        }
        .await;
        match &needed {
            Ok(needed) => {
                let mut known = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= MOST_NEEDS {
                    known.clear();
                }
                known.insert(key, *needed);
            }
            Err(error) => self.recorder.error(error),
        }
        needed
    }

    /// Judges a window of a stream.
    pub async fn window(
        self: &Arc<Self>,
        tenant: impl Into<Arc<str>>,
        check: impl Into<Arc<str>>,
        params: impl Into<Arc<str>>,
        window: impl Into<Arc<StreamWindow>>,
        terms: Option<&Terms>,
    ) -> Result<WindowAnswer, CallError> {
        let (check, window) = (check.into(), window.into());
        let judged = async {
            let info = self.find_stream_check(&check)?;
            let ask = Ask::Window { check: check.clone(), params: params.into(), window: window.clone() };
            self.ask(tenant.into(), ask, terms, |answer| match answer {
                Answer::Window(judged) => answer::window(judged, info, &window),
                _ => Err(strange()),
            })
            .await
        }
        .await;
        self.count(judged, |answer| match answer.verdict {
            WindowVerdict::Pass => Kind::Pass,
            WindowVerdict::Mask(_) => Kind::Mask,
            WindowVerdict::Fail(_) => Kind::Fail,
            WindowVerdict::Block(_) => Kind::Block,
        })
    }

    /// Decides a routing condition.
    pub async fn matches(
        self: &Arc<Self>,
        tenant: impl Into<Arc<str>>,
        condition: impl Into<Arc<str>>,
        params: impl Into<Arc<str>>,
        call: &CallView,
        terms: Option<&Terms>,
    ) -> Result<bool, CallError> {
        let condition = condition.into();
        let decided = async {
            if self.condition_info(&condition).is_none() {
                return Err(CallError::Unknown { check: condition.to_string() });
            }
            let ask = Ask::Matches {
                condition: condition.clone(),
                params: params.into(),
                call: self.lent.grants.strip_call(call),
            };
            self.ask(tenant.into(), ask, terms, |answer| match answer {
                Answer::Matches(matches) => matches.map_err(CallError::Check),
                _ => Err(strange()),
            })
            .await
        }
        .await;
        self.count(decided, |matches| if *matches { Kind::True } else { Kind::False })
    }

    fn find_check(&self, check: &str) -> Result<(&CheckInfo, &Grants), CallError> {
        let mut checks = self.manifest.checks.iter().zip(&self.seen);
        let found = checks.find(|(info, _)| info.name == check);
        let (info, seen) = found.ok_or_else(|| CallError::Unknown { check: check.to_owned() })?;
        Ok((info, seen))
    }

    fn find_stream_check(&self, check: &str) -> Result<&CheckInfo, CallError> {
        let (info, _) = self.find_check(check)?;
        if info.streams { Ok(info) } else { Err(CallError::NotDeclared("a stream check")) }
    }

    fn count<T>(&self, result: Result<T, CallError>, kind: impl FnOnce(&T) -> Kind) -> Result<T, CallError> {
        match &result {
            Ok(answer) => self.recorder.verdict(kind(answer)),
            Err(error) => self.recorder.error(error),
        }
        result
    }

    /// Calls the guest, unless the plugin rests, and takes its answer. What `take` refuses is the guest's failure.
    async fn ask<T>(
        &self,
        tenant: Arc<str>,
        ask: Ask,
        terms: Option<&Terms>,
        take: impl FnOnce(Answer) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let limits = terms.and_then(|terms| terms.limits.as_ref()).unwrap_or(&self.limits);
        let reuses = terms.and_then(|terms| terms.reuse).unwrap_or(self.reuses);
        let input = answer::input_size(&ask);
        if input > limits.input {
            return Err(CallError::Input);
        }
        let now = Instant::now();
        let ticket = Ticket::take(self, now)?;
        let job = Job {
            code: self.code.clone(),
            lent: Arc::clone(&self.lent),
            shelf: reuses.then(|| (Arc::clone(&self.shelf), owner(&tenant, &ask))),
            tenant,
            ask,
            input,
            limits: limits.clone(),
            starts_slowly: self.starts_slowly,
        };
        let done = call(self.host.threads(), &self.slots, job, now).await;
        let taken = done.answer.and_then(|answer| {
            if answer::output_size(&answer) > limits.output { Err(CallError::Output) } else { take(answer) }
        });
        self.recorder.call(now.elapsed(), done.memory);
        ticket.settle(outcome(&taken));
        taken
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, admission: Admission, outcome: Outcome) {
        let change = {
            let mut standing = self.standing();
            let change = standing.quarantine.report(admission, outcome, Instant::now());
            if let Some(change) = change {
                standing.since_ms = now_ms();
                standing.state = match change {
                    Change::Rests => State::Quarantined,
                    Change::Returns => State::Live,
                };
            }
            change
        };
        let plugin = self.manifest.id.as_str();
        match change {
            Some(Change::Rests) => {
                tracing::warn!(plugin, digest = self.digest, "the plugin failed too often and rests");
            }
            Some(Change::Returns) => tracing::info!(plugin, digest = self.digest, "the plugin works again"),
            None => {}
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.manifest.id)
            .field("version", &self.manifest.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// The duty to tell the quarantine how a call ended, even if its caller goes away.
struct Ticket<'a> {
    plugin: &'a Plugin,
    admission: Admission,
    settled: bool,
}

impl<'a> Ticket<'a> {
    fn take(plugin: &'a Plugin, now: Instant) -> Result<Self, CallError> {
        match plugin.standing().quarantine.admit(now) {
            Admission::Refuse => Err(CallError::Quarantined),
            admission => Ok(Self { plugin, admission, settled: false }),
        }
    }

    fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.plugin.report(self.admission, outcome);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.plugin.report(self.admission, Outcome::Unknown);
        }
    }
}

fn outcome<T>(result: &Result<T, CallError>) -> Outcome {
    match result {
        Ok(_) | Err(CallError::Check(_)) => Outcome::Answered,
        Err(CallError::Busy) => Outcome::Unknown,
        Err(_) => Outcome::Failed,
    }
}

/// Names who reuses an instance: what one check keeps for its parameters, another must not find.
fn owner(tenant: &Arc<str>, ask: &Ask) -> Owner {
    let (name, params) = match ask {
        Ask::Check { check, params, .. }
        | Ask::Needs { check, params }
        | Ask::Window { check, params, .. } => (check.clone(), params.clone()),
        Ask::Matches { condition, params, .. } => (condition.clone(), params.clone()),
        Ask::Describe => (Arc::default(), Arc::default()),
    };
    Owner { tenant: tenant.clone(), name, params }
}

fn strange() -> CallError {
    CallError::Trap { message: "the host got an answer to another question".to_owned() }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
