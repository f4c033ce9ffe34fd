//! Which guardrails are bound to a target, for explanations.

use tidegate_config::HookKind;

use super::Guards;
use super::side::{BoundCheck, BoundHook, Side};
use crate::pipeline::explain::{CheckView, GuardView};

impl Guards {
    /// Shows the bound hooks with the plugins in force.
    pub(in crate::pipeline) fn shown(&self) -> Vec<GuardView> {
        let sides: [(&Side, &str); 4] = [
            (&self.before, "input"),
            (&self.informing.0, "input"),
            (&self.after, "output"),
            (&self.informing.1, "output"),
        ];
        let shown = sides.iter().flat_map(|(side, word)| side.hooks.iter().map(|hook| guard(hook, word)));
        shown.collect()
    }
}

fn guard(bound: &BoundHook, side: &str) -> GuardView {
    let hook = &bound.hook;
    let kind = match hook.kind {
        HookKind::Guardrail => "guardrail",
        HookKind::Mutator => "mutator",
    };
    let ways = [
        (hook.deny, "denies"),
        (hook.asynchronous, "only informs"),
        (hook.sequential, "one check after the other"),
        (hook.speculative, "judges while the vendor is asked"),
    ];
    GuardView {
        id: hook.id.clone(),
        side: side.to_owned(),
        kind: kind.to_owned(),
        ways: ways.iter().filter(|(is, _)| *is).map(|(_, way)| (*way).to_owned()).collect(),
        path: hook.path.clone(),
        checks: bound.checks.iter().map(check).collect(),
    }
}

fn check(check: &BoundCheck) -> CheckView {
    let plugin = check.plugin.as_ref();
    CheckView {
        id: check.id.to_string(),
        version: plugin.map(|plugin| plugin.manifest().version.to_string()),
        digest: plugin.map(|plugin| plugin.digest().to_owned()),
    }
}
