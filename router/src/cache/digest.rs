//! Digests of requests. Every part is written with its name and its length, so that no two lists of parts are written
//! alike.

use ring::digest::{Context, SHA256};
use serde_json::Value;

/// SHA-256 of everything that makes a request what it is.
pub type Digest = [u8; 32];

/// Where an entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Whose it is; entries of one tenant can be found and thrown away together.
    pub tenant: [u8; 8],
    /// What was asked.
    pub digest: Digest,
}

impl Key {
    /// Returns the key as text.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", hex(&self.tenant), hex(&self.digest))
    }
}

/// Writes bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Makes a digest of parts.
#[derive(Clone)]
pub struct Digester(Context);

impl Digester {
    /// Begins; digests of other purposes are other digests.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let mut digester = Self(Context::new(&SHA256));
        digester.part("purpose", purpose.as_bytes());
        digester
    }

    /// Adds a part.
    pub fn part(&mut self, name: &str, bytes: &[u8]) {
        self.bytes(name.as_bytes());
        self.bytes(bytes);
    }

    /// Adds a part that may be missing.
    pub fn maybe(&mut self, name: &str, text: Option<&str>) {
        self.part(name, &[u8::from(text.is_some())]);
        self.part(name, text.unwrap_or_default().as_bytes());
    }

    /// Adds JSON; the order of members and the spelling of strings make no difference.
    pub fn json(&mut self, name: &str, value: &Value) {
        self.bytes(name.as_bytes());
        self.value(value);
    }

    /// Returns the digest.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.update(bytes);
    }

    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update(b"n"),
            Value::Bool(false) => self.0.update(b"f"),
            Value::Bool(true) => self.0.update(b"t"),
            Value::Number(number) => {
                self.0.update(b"#");
                self.bytes(number.to_string().as_bytes());
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.bytes(text.as_bytes());
            }
            Value::Array(items) => {
                self.0.update(b"[");
                self.length(items.len());
                for item in items {
                    self.value(item);
                }
            }
            Value::Object(members) => {
                self.0.update(b"{");
                self.length(members.len());
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| *name);
                for (name, value) in sorted {
                    self.bytes(name.as_bytes());
                    self.value(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(json: &str) -> Digest {
        let mut digester = Digester::new("test");
        digester.json("body", &serde_json::from_str(json).unwrap());
        digester.finish()
    }

    #[test]
    fn order_and_spelling_make_no_difference_and_everything_else_does() {
        assert_eq!(of(r#"{"a": 1, "b": {"c": "\u0041", "d": []}}"#), of(r#"{"b":{"d":[],"c":"A"},"a":1}"#));
        let all = [
            "null",
            "false",
            "0",
            "\"\"",
            "[]",
            "{}",
            "[0]",
            "[[0]]",
            "[0,1]",
            "[1,0]",
            "\"0\"",
            "{\"0\":0}",
            "{\"a\":\"b\",\"c\":\"d\"}",
            "{\"a\":\"d\",\"c\":\"b\"}",
            "{\"a\":null}",
            "1.5",
            "\"ab\"",
            "[\"a\",\"b\"]",
            "[\"ab\",\"\"]",
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: &[(&str, &str)]| {
            let mut digester = Digester::new("test");
            for (name, text) in parts {
                digester.part(name, text.as_bytes());
            }
            digester.finish()
        };
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", ""), ("b", "")]), of(&[("a", "b"), ("", "")]));
        let maybe = |text| {
            let mut digester = Digester::new("test");
            digester.maybe("a", text);
            digester.finish()
        };
        assert_ne!(maybe(None), maybe(Some("")));
        assert_ne!(Digester::new("a").finish(), Digester::new("b").finish());
    }

    proptest! {
        #[test]
        fn members_in_any_order_are_the_same_object(names in proptest::collection::btree_set("[a-z]{1,4}", 1..8), turn in 0usize..8) {
            let member = |(at, name): (usize, &String)| format!("\"{name}\":{at}");
            let mut members: Vec<String> = names.iter().enumerate().map(member).collect();
            let first = of(&format!("{{{}}}", members.join(",")));
            let by = turn % members.len();
            members.rotate_left(by);
            prop_assert_eq!(first, of(&format!("{{{}}}", members.join(","))));
        }
    }
}
