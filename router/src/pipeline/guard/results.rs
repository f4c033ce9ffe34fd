//! Results of hooks as Portkey shows them (`hook_results`), member by member in its order.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidegate_config::{Hook, HookKind};
use tidegate_store::json_text;
use time::OffsetDateTime;

use super::data::Data;

/// Checks that the sentence of a denial names, and characters of the reason of each.
const MOST_NAMED: usize = 5;
const LONGEST_REASON: usize = 200;

/// Bytes that most results have room in.
const ROOM: usize = 1 << 10;

/// What one check found.
#[derive(Clone, Debug)]
pub(super) struct CheckResult {
    /// What the check says beside its verdict.
    pub data: Data,
    /// Whether it passed. A check that erred did not, and counts as passed all the same unless told otherwise.
    pub verdict: bool,
    /// `plugin.check`
    pub id: Arc<str>,
    /// Why it could not judge.
    pub error: Option<CheckFailure>,
    /// Milliseconds.
    pub execution_time: u64,
    /// Whether it changed what it judged.
    pub transformed: bool,
    /// When it was known.
    pub created_at: Stamp,
    /// Whether an error of the check is a failure.
    pub fail_on_error: bool,
}

/// Why a check could not judge.
#[derive(Clone, Debug)]
pub(super) struct CheckFailure {
    /// A class.
    pub name: String,
    /// A sentence.
    pub message: String,
}

/// What one hook found.
#[derive(Clone, Debug)]
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

    fn write(&self, text: &mut String) {
        // Taken apart, so that no new member is forgotten.
        let Self {
            verdict,
            id,
            transformed,
            checks,
            feedback,
            execution_time,
            r#async,
            r#type,
            created_at,
            deny,
        } = self;
        text.push_str("{\"verdict\":");
        json_text::flag(text, *verdict);
        text.push_str(",\"id\":");
        json_text::string(text, id);
        text.push_str(",\"transformed\":");
        json_text::flag(text, *transformed);
        text.push_str(",\"checks\":");
        json_text::array(text, checks, |text, check| check.write(text));
        text.push_str(",\"feedback\":");
        if feedback.is_null() {
            text.push_str("null");
        } else {
            json_text::value(text, feedback);
        }
        text.push_str(",\"execution_time\":");
        json_text::number(text, *execution_time);
        text.push_str(",\"async\":");
        json_text::flag(text, *r#async);
        text.push_str(",\"type\":");
        json_text::string(text, r#type);
        text.push_str(",\"created_at\":");
        created_at.write(text);
        text.push_str(",\"deny\":");
        json_text::flag(text, *deny);
        text.push('}');
    }
}

impl CheckResult {
    /// Names the check, and says why it failed where it says so itself.
    fn reason(&self) -> String {
        let reason = match &self.error {
            Some(failure) => Some(format!("it could not judge: {}", failure.message)),
            None => self.data.explanation(),
        };
        let Some(reason) = reason else { return self.id.to_string() };
        let mut shown: String = reason.trim_end_matches('.').chars().take(LONGEST_REASON).collect();
        shown.retain(|letter| !letter.is_control());
        format!("{} ({shown})", self.id)
    }

    fn write(&self, text: &mut String) {
        let Self { data, verdict, id, error, execution_time, transformed, created_at, fail_on_error } = self;
        text.push_str("{\"data\":");
        text.push_str(data.text());
        text.push_str(",\"verdict\":");
        json_text::flag(text, *verdict);
        text.push_str(",\"id\":");
        json_text::string(text, id);
        if let Some(CheckFailure { name, message }) = error {
            text.push_str(",\"error\":{\"name\":");
            json_text::string(text, name);
            text.push_str(",\"message\":");
            json_text::string(text, message);
            text.push('}');
        }
        text.push_str(",\"execution_time\":");
        json_text::number(text, *execution_time);
        text.push_str(",\"transformed\":");
        json_text::flag(text, *transformed);
        text.push_str(",\"created_at\":");
        created_at.write(text);
        // Always null, as Portkey's.
        text.push_str(",\"log\":null,\"fail_on_error\":");
        json_text::flag(text, *fail_on_error);
        text.push('}');
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

    fn write(&self, text: &mut String) {
        json_text::string(text, std::str::from_utf8(&self.0).unwrap_or_default());
    }
}

/// The results of one request, as they stand in answers.
#[derive(Clone, Debug, Default)]
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

    /// Says which checks forbade to go on, and why: ` Failed: default.contains (…).`; nothing where none says so.
    pub(super) fn denial(&self) -> String {
        let hooks = self.before_request_hooks.iter().chain(&self.after_request_hooks);
        let checks = hooks.filter(|hook| hook.deny).flat_map(|hook| &hook.checks);
        let failed = checks.filter(|check| !check.verdict && (check.error.is_none() || check.fail_on_error));
        let failed: Vec<String> = failed.take(MOST_NAMED).map(CheckResult::reason).collect();
        if failed.is_empty() { String::new() } else { format!(" Failed: {}.", failed.join(", ")) }
    }

    /// Returns the results of one side.
    pub(super) fn side(&self, before: bool) -> &[HookResult] {
        if before { &self.before_request_hooks } else { &self.after_request_hooks }
    }

    /// Returns whether a check after the request could not judge, so that the answer passed unseen.
    pub(in crate::pipeline) fn erred(&self) -> bool {
        self.after_request_hooks.iter().flat_map(|hook| &hook.checks).any(|check| check.error.is_some())
    }

    /// Returns both lists as JSON text.
    pub(in crate::pipeline) fn text(&self) -> String {
        let mut text = String::with_capacity(ROOM);
        text.push_str("{\"before_request_hooks\":");
        self.write(true, &mut text);
        text.push_str(",\"after_request_hooks\":");
        self.write(false, &mut text);
        text.push('}');
        text
    }

    /// Returns both lists as JSON.
    pub(in crate::pipeline) fn to_json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }

    /// Returns one list alone as JSON text, as streams show it.
    pub(in crate::pipeline) fn one_side(&self, before: bool) -> String {
        let mut text = String::with_capacity(ROOM);
        let name = if before { "before_request_hooks" } else { "after_request_hooks" };
        for part in ["{\"", name, "\":"] {
            text.push_str(part);
        }
        self.write(before, &mut text);
        text.push('}');
        text
    }

    fn write(&self, before: bool, text: &mut String) {
        json_text::array(text, self.side(before), |text, hook| hook.write(text));
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
            assert_eq!(Stamp::of(time).0, *text.as_bytes());
        }
    }

    #[test]
    fn a_denial_names_what_failed_and_why() {
        let check = |id: &str, verdict: bool, data: &str, error: Option<&str>| CheckResult {
            data: Data::of(Some(data.to_owned())),
            verdict,
            id: id.into(),
            error: error.map(|it| CheckFailure { name: "Error".to_owned(), message: it.to_owned() }),
            execution_time: 0,
            transformed: false,
            created_at: Stamp::now(),
            fail_on_error: error == Some("down"),
        };
        let hook = |deny: bool, checks: Vec<CheckResult>| HookResult {
            verdict: false,
            id: "g".to_owned(),
            transformed: false,
            checks,
            feedback: Value::Null,
            execution_time: 0,
            r#async: false,
            r#type: "guardrail",
            created_at: Stamp::now(),
            deny,
        };
        let mut results = HookResults::default();
        results.before(vec![hook(false, vec![check("a.looks", false, "{}", None)])]);
        assert_eq!(results.denial(), "");
        results.after(vec![hook(
            true,
            vec![
                check("a.passed", true, "{}", None),
                check("a.words", false, r#"{"explanation": "Some words were found."}"#, None),
                check("a.mute", false, "3", None),
                check("a.erred", false, "{}", Some("slow")),
                check("a.closed", false, "{}", Some("down")),
            ],
        )]);
        assert_eq!(
            results.denial(),
            " Failed: a.words (Some words were found), a.mute, a.closed (it could not judge: down)."
        );
    }

    #[test]
    fn results_are_written_member_by_member() {
        let created_at = Stamp::of(datetime!(2026-11-23 03:07:09.041 UTC));
        let passed = CheckResult {
            data: Data::of(Some(r#"{"b": 1.50}"#.to_owned())),
            verdict: true,
            id: "a.\"b".into(),
            error: None,
            execution_time: 7,
            transformed: false,
            created_at,
            fail_on_error: false,
        };
        let failure = CheckFailure { name: "Trap".to_owned(), message: "a\nb".to_owned() };
        let erred = CheckResult {
            data: Data::default(),
            verdict: false,
            error: Some(failure),
            transformed: true,
            fail_on_error: true,
            ..passed.clone()
        };
        let hook = HookResult {
            verdict: false,
            id: "é".to_owned(),
            transformed: true,
            checks: vec![passed, erred],
            feedback: json!({"value": -5, "metadata": {"x": null}}),
            execution_time: u64::MAX,
            r#async: true,
            r#type: "mutator",
            created_at,
            deny: true,
        };
        let plain = HookResult { checks: Vec::new(), feedback: Value::Null, ..hook.clone() };
        let mut results = HookResults::default();
        assert_eq!(results.text(), r#"{"before_request_hooks":[],"after_request_hooks":[]}"#);
        results.before(vec![hook, plain]);
        let time = "2026-11-23T03:07:09.041Z";
        let check = |data: &str, verdict: bool, error: &str, transformed: bool, fail_on_error: bool| {
            format!(
                r#"{{"data":{data},"verdict":{verdict},"id":"a.\"b"{error},"execution_time":7,"transformed":{transformed},"created_at":"{time}","log":null,"fail_on_error":{fail_on_error}}}"#
            )
        };
        let hook = |checks: &str, feedback: &str| {
            format!(
                r#"{{"verdict":false,"id":"é","transformed":true,"checks":[{checks}],"feedback":{feedback},"execution_time":18446744073709551615,"async":true,"type":"mutator","created_at":"{time}","deny":true}}"#
            )
        };
        let checks = [
            check(r#"{"b": 1.50}"#, true, "", false, false),
            check("null", false, r#","error":{"name":"Trap","message":"a\nb"}"#, true, true),
        ];
        let hooks = [hook(&checks.join(","), r#"{"value":-5,"metadata":{"x":null}}"#), hook("", "null")];
        let before = format!(r#""before_request_hooks":[{}]"#, hooks.join(","));
        assert_eq!(results.text(), format!(r#"{{{before},"after_request_hooks":[]}}"#));
        assert_eq!(results.one_side(true), format!("{{{before}}}"));
        assert_eq!(results.one_side(false), r#"{"after_request_hooks":[]}"#);
        assert_eq!(results.to_json()["before_request_hooks"][0]["checks"][1]["error"]["message"], "a\nb");
    }
}
