//! Sealed texts inside records.

use serde_json::Value;

use crate::store::StoreError;

/// Rewrites the sealed texts of a record of a table. Returns it anew, and how many there were.
pub(crate) fn rewrite(
    table: &str,
    text: &str,
    prefix: &str,
    reseal: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(String, usize), StoreError> {
    let unread = |name: &str, reason: String| {
        let id = if name.is_empty() { table.to_owned() } else { format!("{table} {name}") };
        StoreError::Record { id, reason }
    };
    if text.starts_with(prefix) {
        // A small named value is the sealed text itself.
        return Ok((reseal(text).map_err(|reason| unread("", reason))?, 1));
    }
    let mut record: Value = serde_json::from_str(text).map_err(|error| unread("", error.to_string()))?;
    let name = ["slug", "name", "id"].iter().find_map(|member| record[*member].as_str());
    let name = name.unwrap_or_default().to_owned();
    let mut count = 0;
    walk(&mut record, prefix, reseal, &mut count).map_err(|reason| unread(&name, reason))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_named() {
        let mut refuse = |_: &str| Err("the master key does not open this secret".to_owned());
        for (table, text, named) in [
            (
                "provider",
                r#"{"slug": "openai", "api_key": "sealed:1:x"}"#,
                "record provider openai: the master",
            ),
            ("object", r#"{"a": ["sealed:1:x"]}"#, "record object: the master"),
            ("meta", "sealed:1:x", "record meta: the master"),
        ] {
            let error = rewrite(table, text, "sealed:1:", &mut refuse).unwrap_err().to_string();
            assert!(error.starts_with(named), "{error}");
        }
    }
}
