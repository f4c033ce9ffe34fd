//! Sealed texts inside records.

use serde_json::Value;

use crate::store::StoreError;

/// Rewrites the sealed texts of a record. Returns it anew, and how many there were.
pub(crate) fn rewrite(
    text: &str,
    prefix: &str,
    reseal: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(String, usize), StoreError> {
    let unread = |reason: String| StoreError::Record { id: "a record with secrets".to_owned(), reason };
    if text.starts_with(prefix) {
        // A small named value is the sealed text itself.
        return Ok((reseal(text).map_err(unread)?, 1));
    }
    let mut record: Value = serde_json::from_str(text).map_err(|error| unread(error.to_string()))?;
    let mut count = 0;
    walk(&mut record, prefix, reseal, &mut count).map_err(unread)?;
    Ok((record.to_string(), count))
}

fn walk(
    value: &mut Value,
    prefix: &str,
    reseal: &mut dyn FnMut(&str) -> Result<String, String>,
    count: &mut usize,
) -> Result<(), String> {
    match value {
        Value::String(text) if text.starts_with(prefix) => {
            *text = reseal(text)?;
            *count += 1;
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| walk(value, prefix, reseal, count)),
        Value::Object(members) => {
            members.values_mut().try_for_each(|value| walk(value, prefix, reseal, count))
        }
        _ => Ok(()),
    }
}
