//! The hooks of one side of a target, bound to the plugins that will judge: one version throughout a request.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tidegate_config::{Hook, Instances};
use tidegate_plugin_host::{
    CallError, Grants, Judgement, Limits, Plugin, PluginSet, Subject, Terms, Verdict,
};

use super::data::Data;
use super::exhibit::{Exhibit, Frame};
use super::masks::Mask;
use super::results::{CheckFailure, CheckResult, HookResult, Stamp};

/// Class of the error of a check that nobody knows.
const UNKNOWN: &str = "CheckNotFound";

/// A check of a hook with the plugin that answers for it.
pub(super) struct BoundCheck {
    /// `plugin.check`
    pub(super) id: Arc<str>,
    /// Name within the plugin.
    pub(super) name: Arc<str>,
    /// `None`: no plugin knows it.
    pub(super) plugin: Option<Arc<Plugin>>,
    /// What it is shown besides texts; `None` without a plugin.
    seen: Option<Arc<Grants>>,
    /// Parameters as JSON text.
    pub(super) params: Arc<str>,
    /// What the attachment decides.
    pub(super) terms: Terms,
    /// Whether its errors are failures.
    pub(super) fail_on_error: bool,
}

/// A hook with its enabled checks.
pub(super) struct BoundHook {
    /// As configured.
    pub(super) hook: Arc<Hook>,
    /// In the config's order.
    pub(super) checks: Vec<BoundCheck>,
}

/// All hooks of one side.
pub(in crate::pipeline) struct Side {
    pub(super) hooks: Vec<BoundHook>,
    pub(super) tenant: Arc<str>,
}

/// What a check's answer does to what it judged.
#[derive(Default)]
pub(super) struct Effect {
    /// Masks, by piece.
    masks: Vec<(usize, Mask)>,
    /// A whole new body.
    rewrite: Option<String>,
    /// Forbids to go on, whatever its hook says.
    blocked: bool,
}

/// What hooks said of whole texts.
#[derive(Default)]
pub(super) struct Judged {
    /// Results to show, in the order of the hooks.
    pub(super) results: Vec<HookResult>,
    /// Whether it must not go on.
    pub(super) denied: bool,
    /// Whether a check wrote the body anew: it is the exhibit's now.
    pub(super) rewritten: bool,
}

impl Judged {
    fn apply(&mut self, effect: Effect, exhibit: &mut Exhibit, frame: &dyn Frame) {
        exhibit.mask(&effect.masks);
        let Some(body) = effect.rewrite else { return };
        match frame.show(body) {
            Some(anew) => {
                *exhibit = anew;
                self.rewritten = true;
            }
            None => {
                tracing::warn!("a check wrote a body anew that can't be read, or where there is none");
                self.denied = true;
            }
        }
    }
}

impl BoundCheck {
    /// Binds a configured check to its plugin.
    pub(super) fn bind(call: &tidegate_config::CheckCall, set: &PluginSet, fail_on_error: bool) -> Self {
        let plugin = call.id.split_once('.').and_then(|(plugin, _)| set.get(plugin));
        let seen = plugin.and_then(|plugin| plugin.seen_by(&call.name)).cloned();
        let plugin = plugin.filter(|_| seen.is_some()).cloned();
        if plugin.is_none() {
            tracing::warn!(check = &*call.id, "no plugin has this check: it judges nothing");
        }
        let limits = call.limits.as_ref().and_then(|wanted| {
            let plugin = plugin.as_ref()?;
            Some(tightened(plugin.limits(), wanted))
        });
        Self {
            id: call.id.clone(),
            name: call.name.clone(),
            plugin,
            seen,
            params: call.parameters.clone(),
            terms: Terms { limits, reuse: call.instances.map(|instances| instances == Instances::Reuse) },
            fail_on_error: call.fail_on_error || fail_on_error,
        }
    }

    /// Returns whether it wants, and may see, something.
    pub(super) fn sees(&self, what: &str) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.allows(what))
    }

    /// Returns whether its answers may change what they judge.
    pub(super) fn mutates(&self) -> bool {
        self.plugin.as_ref().and_then(|plugin| plugin.check_info(&self.name)).is_some_and(|info| info.mutates)
    }

    /// Asks the plugin.
    pub(super) async fn ask(&self, tenant: &Arc<str>, subject: &Arc<Subject>) -> (CheckResult, Effect) {
        let started = Instant::now();
        let answer = match &self.plugin {
            Some(plugin) => {
                let (tenant, name, params) = (tenant.clone(), self.name.clone(), self.params.clone());
                plugin.check(tenant, name, params, subject.clone(), Some(&self.terms)).await
            }
            None => Err(CallError::Unknown { check: self.id.to_string() }),
        };
        self.result(started, answer)
    }

    fn result(&self, started: Instant, answer: Result<Judgement, CallError>) -> (CheckResult, Effect) {
        let mut effect = Effect::default();
        let mut result = self.fresh(started);
        match answer {
            Ok(judgement) => {
                result.data = Data::of(judgement.data_json);
                match judgement.verdict {
                    Verdict::Pass => {}
                    Verdict::Mask(masks) => {
                        for mask in masks {
                            let piece = mask.piece as usize;
                            effect.masks.extend(mask.spans.into_iter().map(|span| (piece, span.into())));
                        }
                        result.transformed = !effect.masks.is_empty();
                    }
                    Verdict::Rewrite(body) => {
                        effect.rewrite = Some(body);
                        result.transformed = true;
                    }
                    Verdict::Fail(reason) => {
                        result.verdict = false;
                        result.data.explain(&reason.message);
                    }
                    Verdict::Block(reason) => {
                        result.verdict = false;
                        effect.blocked = true;
                        result.data.explain(&reason.message);
                    }
                }
            }
            Err(error) => {
                // What is too large to be judged does not go on as if it had been.
                result.fail_on_error |= error == CallError::Input;
                effect.blocked = error == CallError::Input && self.mutates();
                self.erred(&mut result, &error);
            }
        }
        (result, effect)
    }

    /// Makes the result of a check that has nothing to say yet.
    pub(super) fn fresh(&self, started: Instant) -> CheckResult {
        CheckResult {
            data: Data::default(),
            verdict: true,
            id: self.id.clone(),
            error: None,
            execution_time: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            transformed: false,
            created_at: Stamp::now(),
            fail_on_error: self.fail_on_error,
        }
    }

    /// Notes an error.
    pub(super) fn erred(&self, result: &mut CheckResult, error: &CallError) {
        tracing::debug!(check = &*self.id, %error, "a check could not judge");
        let (name, message) = match error {
            CallError::Check(error) => {
                result.data = Data::of(error.data_json.clone());
                (error.name.clone(), error.message.clone())
            }
            CallError::Unknown { .. } => (UNKNOWN.to_owned(), format!("No plugin has a check {}", self.id)),
            other => (other.name().to_owned(), other.to_string()),
        };
        result.verdict = false;
        result.error = Some(CheckFailure { name, message });
    }
}

impl From<tidegate_plugin_host::Span> for Mask {
    fn from(span: tidegate_plugin_host::Span) -> Self {
        Self { range: span.start as usize..span.end as usize, replacement: span.replacement }
    }
}

impl Side {
    /// Binds hooks to the plugins of a set. `fail_on_error`: the operator's default.
    pub(in crate::pipeline) fn bind(
        hooks: &[Arc<Hook>],
        set: &PluginSet,
        tenant: &Arc<str>,
        fail_on_error: bool,
    ) -> Self {
        let hooks = hooks
            .iter()
            // Portkey skips these: a change that nobody waits for has no effect.
            .filter(|hook| !(hook.asynchronous && hook.kind == tidegate_config::HookKind::Mutator))
            .map(|hook| {
                let enabled = hook.checks.iter().filter(|check| check.enabled);
                let checks = enabled.map(|check| BoundCheck::bind(check, set, fail_on_error)).collect();
                BoundHook { hook: hook.clone(), checks }
            });
        Self { hooks: hooks.collect(), tenant: tenant.clone() }
    }

    /// Makes a side without hooks.
    pub(super) fn none(tenant: &Arc<str>) -> Self {
        Self { hooks: Vec::new(), tenant: tenant.clone() }
    }

    /// Returns whether there is nothing to run.
    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Returns whether a check wants, and may see, something.
    pub(super) fn wants(&self, what: &str) -> bool {
        self.checks().any(|check| check.sees(what))
    }

    /// Returns the checks of all hooks.
    pub(super) fn checks(&self) -> impl Iterator<Item = &BoundCheck> {
        self.hooks.iter().flat_map(|hook| &hook.checks)
    }

    /// Takes out the hooks that only inform.
    pub(super) fn split_asynchronous(&mut self) -> Self {
        if !self.hooks.iter().any(|hook| hook.hook.asynchronous) {
            return Self::none(&self.tenant);
        }
        let (informing, deciding) =
            std::mem::take(&mut self.hooks).into_iter().partition(|hook| hook.hook.asynchronous);
        self.hooks = deciding;
        Self { hooks: informing, tenant: self.tenant.clone() }
    }

    /// Judges whole texts: hooks in parallel on one snapshot, their masks merged; then sequential hooks, each check
    /// on what the one before made. A denial ends it at once.
    pub(super) async fn judge(&self, exhibit: &mut Exhibit, frame: &dyn Frame) -> Judged {
        if let [bound] = &self.hooks[..]
            && let [check] = &bound.checks[..]
        {
            return self.judge_alone(bound, check, exhibit, frame).await;
        }
        let mut judged = Judged::default();
        let mut slots: Vec<Option<HookResult>> = self.hooks.iter().map(|_| None).collect();
        let effects = self.in_parallel(&exhibit.subject, &mut slots, &mut judged).await;
        if !judged.denied {
            self.combine(effects, exhibit, frame, &mut judged).await;
        }
        for (at, bound) in self.hooks.iter().enumerate() {
            if judged.denied || !bound.hook.sequential {
                continue;
            }
            let started = Instant::now();
            let (mut checks, mut blocked) = (Vec::with_capacity(bound.checks.len()), false);
            for check in &bound.checks {
                let (result, effect) = self.ask_on(check, exhibit, frame, &mut judged).await;
                blocked |= effect.blocked;
                checks.push(result);
                judged.apply(effect, exhibit, frame);
            }
            let result = HookResult::new(&bound.hook, checks, blocked, millis(started));
            judged.denied |= result.deny;
            slots[at] = Some(result);
        }
        judged.results = slots.into_iter().flatten().collect();
        judged
    }

    /// Asks the only check there is, as most requests have it: nothing runs beside it, and nothing comes behind it.
    async fn judge_alone(
        &self,
        bound: &BoundHook,
        check: &BoundCheck,
        exhibit: &mut Exhibit,
        frame: &dyn Frame,
    ) -> Judged {
        let (result, effect) = check.ask(&self.tenant, &exhibit.subject).await;
        // Both begin and end together.
        let (took_ms, at) = (result.execution_time, result.created_at);
        let result = HookResult::made_at(at, &bound.hook, vec![result], effect.blocked, took_ms);
        let mut judged = Judged { denied: result.deny || effect.blocked, ..Judged::default() };
        if !judged.denied {
            judged.apply(effect, exhibit, frame);
        }
        judged.results.push(result);
        judged
    }

    /// Asks a check about what earlier ones made, the whole body included.
    async fn ask_on(
        &self,
        check: &BoundCheck,
        exhibit: &mut Exhibit,
        frame: &dyn Frame,
        judged: &mut Judged,
    ) -> (CheckResult, Effect) {
        if check.sees("body")
            && exhibit.is_changed()
            && let Some(folded) = frame.write(exhibit).and_then(|body| frame.show(body))
        {
            *exhibit = folded;
            judged.rewritten = true;
        }
        check.ask(&self.tenant, &exhibit.subject).await
    }

    /// Lets the effects of checks that judged side by side all take effect. Where one wrote the body anew, the others
    /// that change something are asked again about the new one.
    async fn combine(
        &self,
        effects: Vec<(usize, usize, Effect)>,
        exhibit: &mut Exhibit,
        frame: &dyn Frame,
        judged: &mut Judged,
    ) {
        let writer = effects.iter().find(|(_, _, effect)| effect.rewrite.is_some());
        let Some(writer) = writer.map(|(hook, check, _)| (*hook, *check)) else {
            let masks: Vec<_> = effects.into_iter().flat_map(|(_, _, effect)| effect.masks).collect();
            exhibit.mask(&masks);
            return;
        };
        let mut again = Vec::new();
        for (hook, check, effect) in effects {
            if (hook, check) == writer {
                judged.apply(effect, exhibit, frame);
            } else {
                again.push(&self.hooks[hook].checks[check]);
            }
        }
        for check in again.into_iter().filter(|check| check.mutates()) {
            if judged.denied {
                return;
            }
            let (_, effect) = self.ask_on(check, exhibit, frame, judged).await;
            judged.apply(effect, exhibit, frame);
        }
    }

    async fn in_parallel(
        &self,
        subject: &Arc<Subject>,
        slots: &mut [Option<HookResult>],
        judged: &mut Judged,
    ) -> Vec<(usize, usize, Effect)> {
        let started = Instant::now();
        let parallel = self.hooks.iter().enumerate().filter(|(_, bound)| !bound.hook.sequential);
        let asked = parallel.flat_map(|(at, bound)| {
            bound.checks.iter().enumerate().map(move |(index, check)| (at, index, check))
        });
        let mut running = FuturesUnordered::new();
        for (at, index, check) in asked {
            // Boxed once instead of moved about: a call of a plugin is large.
            running.push(Box::pin(async move { (at, index, check.ask(&self.tenant, subject).await) }));
        }
        let mut open: Vec<(Vec<Option<CheckResult>>, bool)> =
            self.hooks.iter().map(|bound| (bound.checks.iter().map(|_| None).collect(), false)).collect();
        let mut effects = Vec::new();
        while let Some((at, index, (result, effect))) = running.next().await {
            let bound = &self.hooks[at];
            let failed = !result.verdict && (result.error.is_none() || result.fail_on_error);
            let blocked = effect.blocked;
            effects.push((at, index, effect));
            open[at].1 |= blocked;
            open[at].0[index] = Some(result);
            if blocked || (failed && bound.hook.deny && !bound.hook.asynchronous) {
                judged.denied = true;
                // First block wins; the rest is stopped where it is.
                break;
            }
        }
        drop(running);
        for (at, (checks, blocked)) in open.into_iter().enumerate() {
            let bound = &self.hooks[at];
            let finished: Vec<CheckResult> = checks.into_iter().flatten().collect();
            let nothing = finished.is_empty() && !bound.checks.is_empty();
            if !bound.hook.sequential && !nothing {
                slots[at] = Some(HookResult::new(&bound.hook, finished, blocked, millis(started)));
            }
        }
        // The order of the config decides, not who was first.
        effects.sort_by_key(|(hook, check, _)| (*hook, *check));
        effects
    }
}

/// Returns limits that an attachment makes tighter; what the operator allows is the most.
fn tightened(most: &Limits, wanted: &Value) -> Limits {
    let number = |name: &str| wanted.get(name).and_then(Value::as_u64);
    let bytes = |name: &str| number(name).and_then(|mib| usize::try_from(mib.saturating_mul(1 << 20)).ok());
    let least = |wanted: Option<u64>, most: u64| wanted.map_or(most, |wanted| wanted.clamp(1, most));
    let least_bytes =
        |wanted: Option<usize>, most: usize| wanted.map_or(most, |wanted| wanted.clamp(1, most));
    Limits {
        deadline_ms: least(number("deadline_ms"), most.deadline_ms),
        total_ms: least(number("total_ms"), most.total_ms),
        memory: least_bytes(bytes("memory_mb"), most.memory),
        input: least_bytes(bytes("input_mb"), most.input),
        output: least_bytes(bytes("output_mb"), most.output),
        host_calls: number("host_calls")
            .map_or(most.host_calls, |calls| u32::try_from(calls).unwrap_or(u32::MAX).min(most.host_calls)),
        ..most.clone()
    }
}

/// Returns the milliseconds since a moment.
pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
