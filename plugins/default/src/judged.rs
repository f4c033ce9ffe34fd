//! What checks answer with: a verdict and Portkey's data, or an error and the data that Portkey gives with it.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{CheckError, Judgement, Reason, Verdict};

/// What every check returns.
pub(crate) type Judged = Result<Judgement, CheckError>;

/// Returns a passed or failed verdict. The data's explanation is the sentence for the end user.
pub(crate) fn judged(check: &str, verdict: bool, data: &Value) -> Judgement {
    let verdict = if verdict { Verdict::Pass } else { Verdict::Fail(reason(check, data)) };
    Judgement::from(verdict).with_data(data)
}

/// Returns the reason of a failed verdict.
pub(crate) fn reason(check: &str, data: &Value) -> Reason {
    let explanation = data.get("explanation").and_then(Value::as_str);
    Reason::new(check, explanation.unwrap_or("The check failed."))
}

/// Returns an error as JavaScript's `new Error(message)` shows up in results.
pub(crate) fn error(message: &str, data: &Value) -> CheckError {
    CheckError::new("Error", message).with_data(data)
}

/// Joins an object with more members. `undefined` members are left out, as JSON does.
pub(crate) fn with(mut data: Value, name: &str, value: Option<Value>) -> Value {
    if let (Some(members), Some(value)) = (data.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
    data
}

/// Returns texts as a JSON array.
pub(crate) fn array<T: AsRef<str>>(texts: &[T]) -> Value {
    texts.iter().map(|text| json!(text.as_ref())).collect()
}
