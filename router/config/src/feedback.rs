//! What is reported when a hook passes or fails.

use serde_json::Value;

use crate::members::Members;
use crate::plan::ConfigError;

/// Reads the feedback of `on_success` or `on_fail`.
pub(crate) fn read(hook: &Members<'_>, name: &str) -> Result<Option<Value>, ConfigError> {
    let Some(object) = hook.object(name)? else { return Ok(None) };
    let at = hook.at(name);
    let outcome = Members { object, path: &at };
    let Some(object) = outcome.object("feedback")? else { return Ok(None) };
    let at = outcome.at("feedback");
    let feedback = Members { object, path: &at };
    for name in ["value", "weight"] {
        if feedback.get(name).is_some_and(|value| !value.is_number()) {
            return Err(feedback.wrong(name, "a number is expected"));
        }
    }
    feedback.object("metadata")?;
    Ok(Some(Value::Object(object.clone())))
}
