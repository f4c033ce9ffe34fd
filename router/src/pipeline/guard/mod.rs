//! Guardrails and mutators around a target: input before the vendor is asked, output before the client sees it.
//!
//! A request's hooks are bound once to the plugins in force ([`Guards::bind`]) and keep those versions to the end. The
//! same hooks judge whole bodies ([`Guards::before`], [`Guards::after`]) and running streams ([`StreamGuard`]). What an
//! error of a check means follows Portkey: it passes, unless the attachment or the operator says `failOnError`.

mod after;
mod before;
mod channel;
#[cfg(test)]
mod channel_tests;
mod data;
mod digest;
mod exhibit;
mod held;
mod key;
mod masks;
mod nesting;
mod queue;
mod results;
mod scene;
mod shown;
mod side;
mod stream;
pub(super) mod summary;
mod watcher;

pub(super) use after::Outcome;
pub(super) use results::HookResults;
pub(super) use scene::Scene;
pub(super) use stream::StreamGuard;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use futures_util::future::{LocalBoxFuture, Shared};

use side::Side;
use tidegate_config::{Hook, Hooks};

use tidegate_store::KeyRecord;

use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;

/// What Portkey says when a guardrail denies.
const DENIED: &str = "The guardrail checks defined in the config failed. You can find more information in the \
                      `hook_results` object.";

/// Whose state plugins keep for keys without a workspace.
static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| "default".into());

/// What the hooks before the request said, or will have said by the time the answer is there.
#[derive(Clone)]
pub(super) enum Early<'a> {
    /// They have judged.
    Ready(HookResults),
    /// They judge while the vendor is asked.
    Running(Judging<'a>),
}

/// A judgement on its way; every attempt may wait for it.
pub(super) type Judging<'a> = Shared<LocalBoxFuture<'a, Result<HookResults, GatewayError>>>;

/// The hooks of one request.
pub(super) struct Guards {
    before: Side,
    after: Arc<Side>,
    /// Hooks that only inform, of both sides.
    informing: (Arc<Side>, Arc<Side>),
    scene: Arc<Scene>,
}

impl Guards {
    /// Binds a target's hooks. Waits where plugins are still being loaded.
    pub(super) async fn bind(
        gateway: &Gateway,
        key: &KeyRecord,
        hooks: &Hooks,
        scene: Scene,
    ) -> Result<Self, GatewayError> {
        let settings = gateway.settings();
        let defaults = gateway.objects.rules().defaults(key).cloned().unwrap_or_default();
        let before = saved(gateway, key, &with(defaults.input, &hooks.saved.0), &hooks.before, true)?;
        let after = saved(gateway, key, &with(defaults.output, &hooks.saved.1), &hooks.after, false)?;
        let checks = || before.iter().chain(&*after).flat_map(|hook| &hook.checks);
        let wanted = || checks().filter_map(|check| check.id.split_once('.').map(|(plugin, _)| plugin));
        let set = gateway.plugins.ready(wanted).await;
        let tenant = tenant(gateway, key);
        let by_default = settings.fail_on_error;
        let mut before = Side::bind(&before, &set, &tenant, by_default);
        let mut after = Side::bind(&after, &set, &tenant, by_default);
        let none = Arc::new(Side::none(&tenant));
        let shared = |side: Side| if side.is_empty() { none.clone() } else { Arc::new(side) };
        let informing = (shared(before.split_asynchronous()), shared(after.split_asynchronous()));
        Ok(Self { before, after: shared(after), informing, scene: Arc::new(scene) })
    }

    /// Returns whether the vendor may be asked before the hooks have judged: all of them allow it, and none of their
    /// checks could change what is sent.
    pub(super) fn speculates(&self) -> bool {
        !self.before.is_empty()
            && self.before.hooks.iter().all(|bound| bound.hook.speculative)
            && !self.before.hooks.iter().flat_map(|bound| &bound.checks).any(side::BoundCheck::mutates)
    }

    /// Returns whether answers must be judged.
    pub(super) fn judge_answers(&self) -> bool {
        !self.after.is_empty() || !self.informing.1.is_empty()
    }

    /// Returns whether requests must be judged.
    pub(super) fn judge_requests(&self) -> bool {
        !self.before.is_empty() || !self.informing.0.is_empty()
    }

    /// Prepares the guards of a streamed answer. `in_order`: the client's dialect writes one text after the other.
    pub(super) async fn stream(&self, in_order: bool, before: HookResults) -> StreamGuard {
        StreamGuard::new(self.after.clone(), self.informing.1.clone(), self.scene.clone(), in_order, before)
            .await
    }
}

/// Returns whose state plugins keep apart: the key's workspace's.
pub(super) fn tenant(gateway: &Gateway, key: &KeyRecord) -> Arc<str> {
    match gateway.objects.rules().workspace_id(key) {
        "" => DEFAULT.clone(),
        workspace => workspace.into(),
    }
}

/// Returns whether a request is judged: by its target's hooks, or by its workspace's.
pub(super) fn judged(gateway: &Gateway, key: &KeyRecord, hooks: &Hooks) -> bool {
    !hooks.is_empty() || gateway.objects.rules().defaults(key).is_some()
}

/// Puts guardrails of every request before those that a config names; none judges twice.
fn with(mut defaults: Vec<String>, named: &[String]) -> Vec<String> {
    for id in named {
        if !defaults.contains(id) {
            defaults.push(id.clone());
        }
    }
    defaults
}

/// Puts saved guardrails before a side's own hooks.
fn saved<'a>(
    gateway: &Gateway,
    key: &KeyRecord,
    ids: &[String],
    own: &'a [Arc<Hook>],
    before: bool,
) -> Result<Cow<'a, [Arc<Hook>]>, GatewayError> {
    if ids.is_empty() {
        return Ok(Cow::Borrowed(own));
    }
    let invalid = |message| GatewayError::new(ErrorKind::Invalid, message).at("x-portkey-config");
    let mut all = Vec::new();
    for id in ids {
        let (settings, rules) = (gateway.settings(), gateway.objects.rules());
        let hooks = match (settings.guardrails.get(id), rules.guardrail(id, rules.workspace_id(key))) {
            (Some(hooks), _) | (None, Some(Ok(hooks))) => hooks,
            (None, Some(Err(error))) => return Err(invalid(format!("Guardrail {id}: {error}"))),
            (None, None) => return Err(invalid(format!("Following guardrails are not valid: {id}"))),
        };
        all.extend(if before { &hooks.before } else { &hooks.after }.iter().cloned());
    }
    all.extend(own.iter().cloned());
    Ok(Cow::Owned(all))
}

/// Makes the error of a denied request or answer.
pub(super) fn denied(results: &HookResults) -> GatewayError {
    // Behind Portkey's sentence: clients that show no `hook_results` show this.
    let message = format!("{DENIED}{}", results.denial());
    let mut error = GatewayError::new(ErrorKind::Guardrail, message);
    error.hook_results = Some(Box::new(results.to_json()));
    error
}

/// Writes results as an event of a stream, in Portkey's form; `named`: for Anthropic's clients.
pub(super) fn results_frame(results: &HookResults, before: bool, named: bool) -> bytes::Bytes {
    let name = if named { "event: hook_results\n" } else { "" };
    format!("{name}data: {{\"hook_results\":{}}}\n\n", results.one_side(before)).into()
}
