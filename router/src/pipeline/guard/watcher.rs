//! Checks that judge windows: what each said so far, and one round of windows over the texts of a stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tidegate_plugin_host::{CallError, Hook, StreamWindow, WindowAnswer, WindowVerdict};

use super::channel::{Channel, Needs, Window};
use super::data::Data;
use super::key::Key;
use super::masks::Mask;
use super::results::CheckResult;
use super::side::{BoundCheck, Side};

/// A check of a stream.
pub(super) struct Watcher {
    /// Place of its hook in the side.
    pub(super) hook: usize,
    /// Place in its hook.
    pub(super) check: usize,
    /// What it needs around a position.
    pub(super) needs: Needs,
    /// What it said so far.
    pub(super) result: CheckResult,
    /// Whether it forbids to go on, whatever its hook says.
    pub(super) blocked: bool,
    spent: Duration,
    /// Nothing it could say would change anything.
    settled: bool,
}

/// Returns whether a check judges windows of answers.
pub(super) fn knows_windows(check: &BoundCheck) -> bool {
    let info = check.plugin.as_ref().and_then(|plugin| plugin.check_info(&check.name));
    info.is_some_and(|info| info.streams && info.hooks.contains(&Hook::Output))
}

impl Watcher {
    /// Asks a check what it needs. A check that can't say is one that errs on every text.
    pub(super) async fn new(hook: usize, check: usize, bound: &BoundCheck, tenant: &Arc<str>) -> Self {
        let started = Instant::now();
        let needs = match &bound.plugin {
            Some(plugin) => {
                let (tenant, name, params) = (tenant.clone(), bound.name.clone(), bound.params.clone());
                plugin.needs(tenant, name, params, Some(&bound.terms)).await
            }
            None => Err(CallError::Unknown { check: bound.id.to_string() }),
        };
        let mut watcher = Self {
            hook,
            check,
            needs: Needs::default(),
            result: bound.fresh(started),
            blocked: false,
            spent: started.elapsed(),
            settled: false,
        };
        match needs {
            Ok(needs) => {
                watcher.needs =
                    Needs { lookahead: needs.lookahead as usize, overlap: needs.overlap as usize };
            }
            Err(error) => {
                bound.erred(&mut watcher.result, &error);
                watcher.settled = true;
            }
        }
        watcher
    }

    /// Notes an answer and returns its masks and state.
    fn heard(
        &mut self,
        bound: &BoundCheck,
        deny: bool,
        answer: Result<WindowAnswer, CallError>,
    ) -> (Vec<Mask>, Vec<u8>) {
        let (mut masks, mut state) = (Vec::new(), Vec::new());
        match answer {
            Ok(answer) => {
                state = answer.state;
                if self.result.verdict && answer.data_json.is_some() {
                    self.result.data = Data::of(answer.data_json);
                }
                match answer.verdict {
                    WindowVerdict::Pass => {}
                    WindowVerdict::Mask(spans) => {
                        self.result.transformed |= !spans.is_empty();
                        masks.extend(spans.into_iter().map(Mask::from));
                    }
                    WindowVerdict::Fail(reason) => {
                        self.result.verdict = false;
                        self.result.data.explain(&reason.message);
                    }
                    WindowVerdict::Block(reason) => {
                        self.result.verdict = false;
                        self.blocked = true;
                        self.result.data.explain(&reason.message);
                    }
                }
            }
            Err(error) => bound.erred(&mut self.result, &error),
        }
        self.settled = !self.result.verdict && !deny && !bound.mutates();
        (masks, state)
    }

    /// Returns the result with the time it took.
    pub(super) fn result(&self) -> CheckResult {
        let execution_time = u64::try_from(self.spent.as_millis()).unwrap_or(u64::MAX);
        CheckResult { execution_time, ..self.result.clone() }
    }

    /// Returns whether it failed, errors included where they are failures.
    fn failed(&self) -> bool {
        !self.result.verdict && (self.result.error.is_none() || self.result.fail_on_error)
    }
}

/// An answer: place of the channel, of the check, what it was shown, how long it took.
type Heard = (usize, usize, Window, Duration, Result<WindowAnswer, CallError>);

/// Shows every watcher what is new in the channels that `wanted` names. Returns true when a verdict forbids to go on.
pub(super) async fn round(
    side: &Arc<Side>,
    watchers: &mut [Watcher],
    channels: &mut [(Key, Channel)],
    wanted: &dyn Fn(Key) -> bool,
    last: bool,
) -> bool {
    let mut shown = Vec::new();
    for (place, (key, channel)) in channels.iter_mut().enumerate() {
        if !wanted(*key) {
            continue;
        }
        for (index, watcher) in watchers.iter().enumerate() {
            let Some(window) = channel.window(index, last) else { continue };
            if watcher.settled {
                channel.judged(index, &window, last, Vec::new(), Vec::new());
                continue;
            }
            shown.push((place, *key, index, window));
        }
    }
    let bound = |watcher: &Watcher| &side.hooks[watcher.hook].checks[watcher.check];
    let mut heard = |watchers: &mut [Watcher], (place, index, window, spent, answer): Heard| {
        let watcher = &mut watchers[index];
        let deny = side.hooks[watcher.hook].hook.deny;
        watcher.spent += spent;
        let (masks, state) = watcher.heard(bound(watcher), deny, answer);
        if watcher.blocked || (watcher.failed() && deny) {
            return true;
        }
        channels[place].1.judged(index, &window, last, masks, state);
        false
    };
    let ask = |check, (place, key, index, window): (usize, Key, usize, Window)| async move {
        let started = Instant::now();
        let answer = ask(check, &side.tenant, key, &window, last).await;
        (place, index, window, started.elapsed(), answer)
    };
    if shown.len() == 1
        && let Some(window) = shown.pop()
    {
        // As in most rounds: nothing runs beside it, so it needs no place of its own in memory.
        let answer = ask(bound(&watchers[window.2]), window).await;
        if heard(watchers, answer) {
            return true;
        }
    } else {
        let asked = shown.into_iter().map(|window| ask(bound(&watchers[window.2]), window));
        let mut running: FuturesUnordered<_> = asked.collect();
        while let Some(answer) = running.next().await {
            if heard(watchers, answer) {
                // First block wins; the others are stopped where they are.
                return true;
            }
        }
    }
    watchers.iter().any(|watcher| watcher.failed() && side.hooks[watcher.hook].hook.deny)
}

async fn ask(
    bound: &BoundCheck,
    tenant: &Arc<str>,
    key: Key,
    window: &Window,
    last: bool,
) -> Result<WindowAnswer, CallError> {
    let Some(plugin) = &bound.plugin else {
        return Err(CallError::Unknown { check: bound.id.to_string() });
    };
    let shown = StreamWindow {
        text: window.text.clone(),
        overlap: u32::try_from(window.overlap).unwrap_or(u32::MAX),
        last,
        kind: key.kind.word().to_owned(),
        index: key.choice,
        state: window.state.clone(),
    };
    let (tenant, name, params) = (tenant.clone(), bound.name.clone(), bound.params.clone());
    plugin.window(tenant, name, params, shown, Some(&bound.terms)).await
}
