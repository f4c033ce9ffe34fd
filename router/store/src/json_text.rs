//! JSON text, written piece by piece: many short members cost a fraction of what a general serializer takes.

use serde::Serialize;

/// Writes a string. Most need no escape, which many bytes at once are asked.
pub fn string(text: &mut String, value: &str) {
    let is_plain =
        value.bytes().fold(true, |so_far, byte| so_far & (byte >= b' ') & (byte != b'"') & (byte != b'\\'));
    if !is_plain {
        return self::value(text, value);
    }
    text.push('"');
    text.push_str(value);
    text.push('"');
}

/// Writes a number.
pub fn number(text: &mut String, value: u64) {
    text.push_str(itoa::Buffer::new().format(value));
}

/// Writes `true` or `false`.
pub fn flag(text: &mut String, value: bool) {
    text.push_str(if value { "true" } else { "false" });
}

/// Writes an array; `each` writes one of its values.
pub fn array<T>(
    text: &mut String,
    values: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    text.push('[');
    let start = text.len();
    for value in values {
        if text.len() > start {
            text.push(',');
        }
        each(text, value);
    }
    text.push(']');
}

/// Writes what has more than one form. What JSON has no word for (a map whose names are no texts) becomes `null`.
pub fn value(text: &mut String, value: &(impl Serialize + ?Sized)) {
    text.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_writes_them() {
        for text in ["plain", "\u{1f}", "\"", "\\", "é\u{7f}\u{2028}", "\t\r\n\u{8}\u{c}", "\0", ""] {
            let (mut written, wanted) = (String::new(), serde_json::to_string(text).unwrap());
            string(&mut written, text);
            assert_eq!(written, wanted);
        }
    }

    #[test]
    fn arrays_and_words_are_written() {
        let mut written = String::new();
        array(&mut written, [u64::MAX, 0], number);
        array(&mut written, ["a"], string);
        array(&mut written, [true, false], flag);
        array(&mut written, [(); 0], |_, ()| {});
        value(&mut written, &Some(1));
        assert_eq!(written, format!("[{},0][\"a\"][true,false][]1", u64::MAX));
    }
}
