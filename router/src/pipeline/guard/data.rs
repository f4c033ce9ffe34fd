//! What a check says beside its verdict: JSON that is passed on as the plugin wrote it.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// Texts with more brackets than this are looked at for how deep they are: who reads them stops at 128.
const BRACKETS: usize = 100;
/// Numbers with more digits than this may be larger than any that a double holds.
const DIGITS: usize = 300;

/// JSON, or nothing, which reads as null.
#[derive(Clone, Debug, Default)]
pub(super) struct Data(Option<Box<RawValue>>);

impl Data {
    /// Takes a check's data. Text that is no JSON, or deeper or larger than anybody reads, is kept as a text. What is
    /// written in lines is made one line: data stands in lines of streams, too.
    pub(super) fn of(json: Option<String>) -> Self {
        let Some(json) = json else { return Self(None) };
        let is_readable = is_plain(&json) || serde_json::from_str::<Value>(&json).is_ok();
        let raw = serde_json::from_str::<&RawValue>(&json).ok().filter(|_| is_readable);
        let in_lines = raw.filter(|raw| raw.get().contains(['\n', '\r']));
        if let Some(raw) = in_lines {
            // Within its texts there is none, for those may not hold control characters.
            return Self(RawValue::from_string(raw.get().replace(['\n', '\r'], " ")).ok());
        }
        Self(raw.map(ToOwned::to_owned).or_else(|| to_raw_value(&json).ok()))
    }

    /// Returns it as JSON text.
    pub(super) fn text(&self) -> &str {
        self.0.as_ref().map_or("null", |data| data.get())
    }

    /// Returns the explanation in it, if there is one.
    pub(super) fn explanation(&self) -> Option<String> {
        let members: Map<String, Value> = serde_json::from_str(self.text()).ok()?;
        members.get("explanation")?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }

    /// Adds the reason, unless there is an explanation already or the data is no object.
    pub(super) fn explain(&mut self, message: &str) {
        let known = self.0.as_ref().map(|data| serde_json::from_str::<Map<String, Value>>(data.get()));
        let Some(mut members) = known.unwrap_or_else(|| Ok(Map::new())).ok() else { return };
        if !message.is_empty() && !members.contains_key("explanation") {
            members.insert("explanation".to_owned(), message.into());
        }
        self.0 = to_raw_value(&members).ok();
    }
}

/// Returns whether it can be read if it is JSON at all, as far as a glance tells: neither very deep, nor with escapes that
/// may be halves of letters, nor with numbers that may be too large.
fn is_plain(json: &str) -> bool {
    let (mut brackets, mut digits) = (0, 0);
    for byte in json.bytes() {
        match byte {
            b'{' | b'[' => brackets += 1,
            b'0'..=b'9' => digits += 1,
            b'\\' => return false,
            b'e' | b'E' if digits > 0 => return false,
            _ => digits = 0,
        }
        if brackets > BRACKETS || digits > DIGITS {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(data: &Data) -> (String, Value) {
        (data.text().to_owned(), serde_json::from_str(data.text()).unwrap())
    }

    #[test]
    fn data_is_passed_on_as_it_was_written() {
        for (given, passed_on) in [
            (None, "null"),
            (Some(r#"{"b": 1.50, "a":[]}"#), r#"{"b": 1.50, "a":[]}"#),
            (Some("not JSON"), r#""not JSON""#),
            (Some(""), r#""""#),
        ] {
            let data = Data::of(given.map(str::to_owned));
            let (text, value) = shown(&data);
            assert_eq!(text, passed_on);
            assert_eq!(value, serde_json::from_str::<Value>(passed_on).unwrap());
        }
    }

    #[test]
    fn what_nobody_could_read_is_kept_as_text() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let (_, value) = shown(&Data::of(Some(deep.clone())));
        assert_eq!(value, Value::from(deep));
        let wide = format!("[{}{{}}]", "{},".repeat(200));
        let (text, value) = shown(&Data::of(Some(wide.clone())));
        assert_eq!(text, wide);
        assert_eq!(value.as_array().map(Vec::len), Some(201));
    }

    #[test]
    fn what_readers_refuse_is_kept_as_text() {
        let digits = "1".repeat(400);
        for (given, is_text) in [
            ("{\"a\": 1e999}", true),
            ("{\"a\": -2E999}", true),
            ("{\"a\": 1e9, \"b\": \"1e999\"}", false),
            (digits.as_str(), true),
            (r#"{"a": "\ud800"}"#, true),
            (r#"{"a": "\ud83d\ude00\n"}"#, false),
        ] {
            let (_, value) = shown(&Data::of(Some(given.to_owned())));
            assert_eq!(value.is_string(), is_text, "{given}");
        }
    }

    #[test]
    fn lines_become_one() {
        let (text, value) = shown(&Data::of(Some("{\"a\"\n:1,\r\n\n\t\"b\": \"c\\n\"}".to_owned())));
        assert_eq!(text, "{\"a\" :1,   \t\"b\": \"c\\n\"}");
        assert_eq!(value, serde_json::json!({"a": 1, "b": "c\n"}));
        let (_, value) = shown(&Data::of(Some("{\"a\": \"b\nc\"}".to_owned())));
        assert_eq!(value, Value::from("{\"a\": \"b\nc\"}"), "that is no JSON");
    }

    #[test]
    fn a_reason_is_added_where_there_is_no_explanation() {
        for (given, explained) in [
            (None, r#"{"explanation":"because"}"#),
            (Some(r#"{"a": 1}"#), r#"{"a":1,"explanation":"because"}"#),
            (Some(r#"{"explanation": "own"}"#), r#"{"explanation":"own"}"#),
            (Some("[1]"), "[1]"),
            (Some("text"), r#""text""#),
        ] {
            let mut data = Data::of(given.map(str::to_owned));
            data.explain("because");
            assert_eq!(shown(&data).0, explained);
        }
        let mut data = Data::default();
        data.explain("");
        assert_eq!(shown(&data).0, "{}");
    }
}
