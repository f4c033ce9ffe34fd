//! What guardrails said, short enough for the log: no check's data, which may be what somebody wrote.

use serde_json::Value;
use tidegate_store::GuardRow;

use super::results::{HookResult, HookResults};

/// Sums up results.
pub(in crate::pipeline) fn of(results: &HookResults, before: bool) -> Vec<GuardRow> {
    let all = results.side(before);
    if all.is_empty() {
        return Vec::new();
    }
    let side = if before { "input" } else { "output" };
    all.iter().map(|hook| row(hook, side)).collect()
}

fn row(hook: &HookResult, side: &'static str) -> GuardRow {
    let ids = |wanted: &dyn Fn(&super::results::CheckResult) -> bool| {
        hook.checks.iter().filter(|check| wanted(check)).map(|check| check.id.to_string()).collect()
    };
    GuardRow {
        id: hook.id.clone(),
        side: side.into(),
        verdict: hook.verdict,
        denied: hook.deny,
        transformed: hook.transformed,
        failed: ids(&|check| !check.verdict && check.error.is_none()),
        erred: ids(&|check| check.error.is_some()),
    }
}

/// Sums up results as they stand in an error's answer.
pub(in crate::pipeline) fn of_json(results: &Value) -> Vec<GuardRow> {
    let mut rows = Vec::new();
    for (list, side) in [("before_request_hooks", "input"), ("after_request_hooks", "output")] {
        for hook in results[list].as_array().into_iter().flatten() {
            let checks = hook["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
            let ids = |erred: bool| {
                let wanted = |check: &&Value| {
                    check.get("error").is_some() == erred && (erred || check["verdict"] == false)
                };
                checks
                    .iter()
                    .filter(wanted)
                    .filter_map(|check| Some(check["id"].as_str()?.to_owned()))
                    .collect()
            };
            rows.push(GuardRow {
                id: hook["id"].as_str().unwrap_or_default().to_owned(),
                side: side.into(),
                verdict: hook["verdict"] == true,
                denied: hook["deny"] == true,
                transformed: hook["transformed"] == true,
                failed: ids(false),
                erred: ids(true),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_denial_is_summed_up_without_what_was_found() {
        let results = json!({"before_request_hooks": [{"id": "g", "verdict": false, "deny": true, "transformed": false,
            "checks": [{"id": "default.contains", "verdict": false, "data": {"foundWords": ["hello"]}},
                       {"id": "a.b", "verdict": false, "error": {"name": "x", "message": "y"}},
                       {"id": "c.d", "verdict": true}]}], "after_request_hooks": []});
        let rows = of_json(&results);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].id.as_str(), &*rows[0].side, rows[0].denied), ("g", "input", true));
        assert_eq!(
            (&rows[0].failed[..], &rows[0].erred[..]),
            (&["default.contains".to_owned()][..], &["a.b".to_owned()][..])
        );
        assert!(!format!("{rows:?}").contains("hello"));
    }
}
