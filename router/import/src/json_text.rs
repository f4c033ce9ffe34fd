//! JSON for people: what fits on a line stands on one.

use serde_json::Value;

/// Columns of a line.
const WIDTH: usize = 100;

/// Writes a value, its lines indented by two spaces a level.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, indent: usize, text: &mut String) {
    let line = inline(value);
    if indent + line.chars().count() <= WIDTH {
        text.push_str(&line);
        return;
    }
    let inner = " ".repeat(indent + 2);
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push_str("{\n");
            for (at, (name, value)) in members.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ",\n" });
                text.push_str(&inner);
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push_str(": ");
                write(value, indent + 2, text);
            }
            text.push_str(&format!("\n{}}}", " ".repeat(indent)));
        }
        Value::Array(items) if !items.is_empty() => {
            text.push_str("[\n");
            for (at, value) in items.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ",\n" });
                text.push_str(&inner);
                write(value, indent + 2, text);
            }
            text.push_str(&format!("\n{}]", " ".repeat(indent)));
        }
        _ => text.push_str(&line),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), inline(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_as_what_it_was() {
        let long = "x".repeat(90);
        let value = json!({"a": [1, {"b": long, "c": [long, null]}], "d\"e": {}, "f": [], "g": 1.5});
        let text = pretty(&value);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.lines().count() > 5, "{text}");
        assert_eq!(pretty(&json!({"a": 1, "b": [true]})), r#"{"a": 1, "b": [true]}"#);
    }
}
