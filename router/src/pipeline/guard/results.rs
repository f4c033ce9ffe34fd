//! Results of hooks as Portkey shows them (`hook_results`), member by member in its order.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use tidegate_config::{Hook, HookKind};
use time::OffsetDateTime;

use super::data::Data;

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CheckResult {
    /// What the check says beside its verdict.
    pub data: Data,
    /// Whether it passed. A check that erred did not, and counts as passed all the same unless told otherwise.
    pub verdict: bool,
    /// `plugin.check`
    pub id: Arc<str>,
    /// Why it could not judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CheckFailure>,
    /// Milliseconds.
    pub execution_time: u64,
    /// Whether it changed what it judged.
    pub transformed: bool,
    /// When it was known.
    pub created_at: Stamp,
    /// Always null, as Portkey's.
    pub log: Value,
    /// Whether an error of the check is a failure.
    pub fail_on_error: bool,
}

/// Why a check could not judge.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CheckFailure {
    /// A class.
    pub name: String,
    /// A sentence.
    pub message: String,
}

/// What one hook found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HookResult {
    /// Whether every check passed or erred.
    pub verdict: bool,
    /// The hook's id.
    pub id: String,
    /// Whether a check changed what it judged.
    pub transformed: bool,
    /// Its checks, in the order of the config.
    pub checks: Vec<CheckResult>,
    /// The configured feedback, with lists of checks by outcome.
    pub feedback: Value,
    /// Milliseconds.
    pub execution_time: u64,
    /// Whether it only informs.
    pub r#async: bool,
    /// `guardrail` or `mutator`
    pub r#type: &'static str,
    /// When it was known.
    pub created_at: Stamp,
    /// Whether it failed and forbids to go on.
    pub deny: bool,
}

impl HookResult {
    /// Sums up the checks of a hook. `blocked`: a check forbids to go on, whatever the hook says.
    pub(super) fn new(hook: &Hook, checks: Vec<CheckResult>, blocked: bool, execution_time: u64) -> Self {
        Self::made_at(Stamp::now(), hook, checks, blocked, execution_time)
    }

    /// The same as it was known at some time.
    pub(super) fn made_at(
        created_at: Stamp,
        hook: &Hook,
        checks: Vec<CheckResult>,
        blocked: bool,
        execution_time: u64,
    ) -> Self {
        let verdict = !blocked
            && checks.iter().all(|check| check.verdict || (check.error.is_some() && !check.fail_on_error));
        let feedback = if verdict { &hook.on_success } else { &hook.on_fail };
        Self {
            verdict,
            id: hook.id.clone(),
            transformed: checks.iter().any(|check| check.transformed),
            feedback: feedback.as_ref().map_or(Value::Null, |feedback| with_lists(feedback, &checks)),
            checks,
            execution_time,
            r#async: hook.asynchronous,
            r#type: match hook.kind {
                HookKind::Guardrail => "guardrail",
                HookKind::Mutator => "mutator",
            },
            created_at,
            deny: !verdict && !hook.asynchronous && (hook.deny || blocked),
        }
    }
}

/// Adds the three lists to a feedback's metadata.
fn with_lists(feedback: &Value, checks: &[CheckResult]) -> Value {
    let list = |wanted: &dyn Fn(&CheckResult) -> bool| {
        let ids: Vec<&str> = checks.iter().filter(|check| wanted(check)).map(|check| &*check.id).collect();
        Value::from(ids.join(", "))
    };
    let mut metadata: Map<String, Value> =
        feedback.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.insert("successfulChecks".into(), list(&|check| check.verdict && check.error.is_none()));
    metadata.insert("failedChecks".into(), list(&|check| !check.verdict && check.error.is_none()));
    metadata.insert("erroredChecks".into(), list(&|check| check.error.is_some()));
    json!({
        "value": feedback.get("value").cloned().unwrap_or_default(),
        "weight": feedback.get("weight").cloned().unwrap_or_default(),
        "metadata": metadata,
    })
}

/// A time as JavaScript prints it (RFC 3339): UTC with milliseconds, `2026-11-23T03:00:00.000Z`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp([u8; 24]);

impl Stamp {
    /// Returns the time it is.
    pub(super) fn now() -> Self {
        Self::of(OffsetDateTime::now_utc())
    }

    fn of(time: OffsetDateTime) -> Self {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, digits: usize, mut number: u32| {
            for digit in text[end - digits..end].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(4, 4, u32::try_from(time.year()).unwrap_or(0));
        put(7, 2, u32::from(u8::from(time.month())));
        put(10, 2, u32::from(time.day()));
        put(13, 2, u32::from(time.hour()));
        put(16, 2, u32::from(time.minute()));
        put(19, 2, u32::from(time.second()));
        put(23, 3, u32::from(time.millisecond()));
        Self(text)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// The results of one request, as they stand in answers.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::pipeline) struct HookResults {
    /// Shared: each attempt has them.
    before_request_hooks: Arc<Vec<HookResult>>,
    after_request_hooks: Vec<HookResult>,
}

impl HookResults {
    /// Adds results of hooks before the request.
    pub(super) fn before(&mut self, results: Vec<HookResult>) {
        Arc::make_mut(&mut self.before_request_hooks).extend(results);
    }

    /// Adds results of hooks after the request.
    pub(super) fn after(&mut self, results: Vec<HookResult>) {
        self.after_request_hooks.extend(results);
    }

    /// Returns whether no hook has a result to show.
    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        self.before_request_hooks.is_empty() && self.after_request_hooks.is_empty()
    }

    /// Returns whether a hook failed: Portkey's status 246.
    pub(in crate::pipeline) fn failed(&self) -> bool {
        self.before_request_hooks.iter().chain(&self.after_request_hooks).any(|hook| !hook.verdict)
    }

    /// Returns the results of one side.
    pub(super) fn side(&self, before: bool) -> &[HookResult] {
        if before { &self.before_request_hooks } else { &self.after_request_hooks }
    }

    /// Returns whether a check after the request could not judge, so that the answer passed unseen.
    pub(in crate::pipeline) fn erred(&self) -> bool {
        self.after_request_hooks.iter().flat_map(|hook| &hook.checks).any(|check| check.error.is_some())
    }

    /// Returns both lists as JSON.
    pub(in crate::pipeline) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns one list alone as JSON, as streams show it.
    pub(in crate::pipeline) fn one_side(&self, before: bool) -> Value {
        if before {
            json!({ "before_request_hooks": self.before_request_hooks })
        } else {
            json!({ "after_request_hooks": self.after_request_hooks })
        }
    }

    /// Returns whether there are results of hooks before the request.
    pub(in crate::pipeline) fn has_before(&self) -> bool {
        !self.before_request_hooks.is_empty()
    }

    /// Returns whether there are results of hooks after the request.
    pub(in crate::pipeline) fn has_after(&self) -> bool {
        !self.after_request_hooks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_reads_as_in_javascript() {
        for (time, text) in [
            (datetime!(2026-11-23 03:07:09.041 UTC), "2026-11-23T03:07:09.041Z"),
            (datetime!(1999-01-02 23:59:59.999_999 UTC), "1999-01-02T23:59:59.999Z"),
        ] {
            assert_eq!(serde_json::to_value(Stamp::of(time)).unwrap(), text);
        }
    }
}
