//! A JSON object opened one level deep, so that a few members can change and all other bytes stay as they came.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::scan::{Scan, plain_length};
use crate::surrogates;

/// Members are found by walking, so their number is bounded; real calls have a few dozen.
const MOST_MEMBERS: usize = 1_000;

/// The top-level members of a JSON object in their order; values are unparsed JSON text.
///
/// ```
/// let mut body = tidegate_providers::Fields::parse(br#"{"model":"@a/b","n": 1,"x":[1, 2]}"#).unwrap();
/// body.set_str("model", "b");
/// body.remove("n");
/// assert_eq!(body.to_vec(), br#"{"model":"b","x":[1, 2]}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// A name that is borrowed needs no escape.
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// A bit for each length of a name that may be there: most names that are looked for are absent.
    lengths: u64,
    talk: Talk,
}

impl<'a> Fields<'a> {
    /// Opens an object. Of a repeated name the last value counts, as in JavaScript and Python.
    ///
    /// # Errors
    /// serde_json's error with line and column when the bytes are not UTF-8, not JSON, or not an object.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        Self::scan(json).map_or_else(|| Self::read(json), Ok)
    }

    /// Opens an object that is plain; of any other nothing is said.
    fn scan(json: &'a [u8]) -> Option<Self> {
        let mut fields = Self { members: Vec::with_capacity(12), ..Self::empty() };
        let mut scan = Scan::new(std::str::from_utf8(json).ok()?);
        scan.object(|name, scan| {
            let value = if name == "messages" {
                let seen = messages(scan);
                fields.talk = seen.map_or(Talk::Unknown, |(_, talk)| talk);
                seen.map(|(messages, _)| messages).or_else(|| scan.value())?
            } else {
                scan.value()?
            };
            fields.put(Cow::Borrowed(name), value).then_some(())
        })?;
        scan.end()?;
        Some(fields)
    }

    /// Opens any object.
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Adds a member, or replaces the value that it has. False when there are too many.
    fn put(&mut self, name: Cow<'a, str>, value: &'a str) -> bool {
        if let Some(at) = self.position(&name) {
            self.members[at].1 = Cow::Borrowed(value);
            return true;
        }
        if self.members.len() >= MOST_MEMBERS {
            return false;
        }
        self.push(name, Cow::Borrowed(value));
        true
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        self.lengths |= bit(&name);
        self.members.push((name, value));
    }

    fn position(&self, name: &str) -> Option<usize> {
        if self.lengths & bit(name) == 0 {
            return None;
        }
        self.members.iter().position(|(known, _)| known == name)
    }

    /// Makes an empty object.
    #[must_use]
    pub fn empty() -> Self {
        Self { members: Vec::new(), lengths: 0, talk: Talk::Unknown }
    }

    /// Returns the same object with room for members that are added, and without copies of texts.
    #[must_use]
    pub fn editable(&self) -> Fields<'_> {
        /// A limit, a name, and what a vendor wants else.
        const ROOM: usize = 3;
        let mut members = Vec::with_capacity(self.members.len() + ROOM);
        for (name, value) in &self.members {
            let name = match name {
                Cow::Borrowed(name) => Cow::Borrowed(*name),
                Cow::Owned(name) => Cow::Owned(name.clone()),
            };
            members.push((name, Cow::Borrowed(value.as_ref())));
        }
        Fields { members, ..*self }
    }

    /// Returns whether each of the object's `messages` is known to be an object with a `role` that is a string.
    #[must_use]
    pub fn has_roles(&self) -> bool {
        self.talk >= Talk::Roles
    }

    /// Returns whether the object's `messages` are known to be nothing but texts of systems, users and assistants: a role,
    /// a content that is a string, perhaps a name. No parts, no media, no tools, and no hint to a cache.
    #[must_use]
    pub fn is_plain_talk(&self) -> bool {
        self.talk == Talk::Plain
    }

    /// Returns a member's JSON text.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.members.get(self.position(name)?).map(|(_, value)| value.as_ref())
    }

    /// Returns a member that is a string without escapes.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let inside = self.raw(name)?.get(1..)?;
        let length = plain_length(inside.as_bytes());
        // Anything else than a string has no quote at its end, or an odd byte before it.
        (inside.len() == length + 1 && inside.ends_with('"')).then(|| &inside[..length])
    }

    /// Returns whether a member exists and is not null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw != "null")
    }

    /// Parses a member; `None` when it is absent or null.
    ///
    /// # Errors
    /// serde_json's error when the member has another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        match self.raw(name) {
            None | Some("null") => Ok(None),
            Some(raw) => surrogates::from_slice(raw.as_bytes()).map(Some),
        }
    }

    /// Sets a member to JSON text, in its place or at the end. The text must be valid JSON.
    pub fn set_raw(&mut self, name: &str, json: impl Into<Cow<'a, str>>) {
        let json = json.into();
        if name == "messages" {
            self.talk = Talk::Unknown;
        }
        match self.position(name) {
            Some(at) => self.members[at].1 = json,
            None => self.push(Cow::Owned(name.to_owned()), json),
        }
    }

    /// Sets a member to a string.
    pub fn set_str(&mut self, name: &str, text: &str) {
        if plain_length(text.as_bytes()) < text.len() {
            return self.set_raw(name, serde_json::to_string(text).unwrap_or_default());
        }
        let mut json = String::with_capacity(text.len() + 2);
        json.push('"');
        json.push_str(text);
        json.push('"');
        self.set_raw(name, json);
    }

    /// Removes a member and returns its JSON text.
    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.position(name)?;
        Some(self.members.remove(at).1)
    }

    /// Renames a member unless the new name is taken, in which case the old one is only removed.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.remove(from)
            && self.raw(to).is_none()
        {
            if to == "messages" {
                self.talk = Talk::Unknown;
            }
            self.push(Cow::Owned(to.to_owned()), value);
        }
    }

    /// Returns names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Returns the names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(key, _)| key.as_ref())
    }

    /// Writes the object.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        // To the byte, unless a name is escaped: quotes, colon and comma of each, and one brace in place of a comma.
        let size: usize = self.members.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
        let mut out = Vec::with_capacity((size + 1).max(2));
        out.push(b'{');
        for (at, (key, value)) in self.members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            // Those that are borrowed were read where they stand, without an escape.
            if matches!(key, Cow::Owned(_)) && plain_length(key.as_bytes()) < key.len() {
                out.extend_from_slice(serde_json::Value::from(key.as_ref()).to_string().as_bytes());
            } else {
                out.push(b'"');
                out.extend_from_slice(key.as_bytes());
                out.push(b'"');
            }
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
        out
    }
}

/// Returns the bit of a name's length.
fn bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

/// What is known of an object's messages, seen in passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Talk {
    /// Nothing.
    Unknown,
    /// Each has a role.
    Roles,
    /// Each has a role and a text, and perhaps a name.
    Plain,
}

/// Takes messages that are easily read, each with a role; of any other nothing is taken.
fn messages<'a>(scan: &mut Scan<'a>) -> Option<(&'a str, Talk)> {
    scan.peek()?;
    let (mut ahead, mut talk) = (scan.clone(), Talk::Plain);
    ahead.array(|scan| {
        let (mut roles, mut texts) = (0, 0);
        scan.object(|name, scan| {
            let value = scan.value()?;
            match name {
                "role" => {
                    roles += 1;
                    if !matches!(value, "\"user\"" | "\"assistant\"" | "\"system\"") {
                        talk = Talk::Roles;
                    }
                    return value.starts_with('"').then_some(());
                }
                "content" if value.starts_with('"') => texts += 1,
                "name" => {}
                _ => talk = Talk::Roles,
            }
            Some(())
        })?;
        if texts != 1 {
            talk = Talk::Roles;
        }
        // Said twice, it is serde's business.
        (roles == 1).then_some(())
    })?;
    let taken = ahead.since(scan);
    *scan = ahead;
    Some((taken, talk))
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields { members: Vec::with_capacity(12), ..Fields::empty() };
                while let Some(Key(key)) = map.next_key()? {
                    let value: &'de RawValue = map.next_value()?;
                    if !fields.put(key, value.get()) {
                        return Err(serde::de::Error::custom(format_args!(
                            "an object of at most {MOST_MEMBERS} members is expected"
                        )));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_members_keep_their_bytes() {
        let body = br#"{ "a" : 1.0 , "b":{"x":[ 1,2 ]}, "c":"\u00e9" }"#;
        let fields = Fields::parse(body).unwrap();
        assert_eq!(fields.to_vec(), br#"{"a":1.0,"b":{"x":[ 1,2 ]},"c":"\u00e9"}"#);
    }

    #[test]
    fn plain_talk_is_known_and_other_talk_is_not_taken_for_it() {
        let known = |messages: &str| {
            let body = format!(r#"{{"model":"a","messages": {messages} ,"n":1}}"#);
            let mut fields = Fields::parse(body.as_bytes()).unwrap();
            assert_eq!(fields.raw("messages").map(str::trim), Some(messages));
            let known = (fields.has_roles(), fields.is_plain_talk());
            fields.set_raw("messages", "[1]");
            assert_eq!((fields.has_roles(), fields.is_plain_talk()), (false, false));
            known
        };
        for plain in [
            "[]",
            r#"[{"role":"user","content":"a"}]"#,
            r#"[ {"content":"","name":"b","role":"system"}, {"role":"assistant","content":"\"1h\"\u0041"} ]"#,
        ] {
            assert_eq!(known(plain), (true, true), "{plain}");
        }
        for other in [
            r#"[{"role":"developer","content":"a"}]"#,
            r#"[{"role":"tool","content":"a","tool_call_id":"b"}]"#,
            r#"[{"role":"user","content":["a"]}]"#,
            r#"[{"role":"user","content":null}]"#,
            r#"[{"role":"assistant","tool_calls":[]}]"#,
            r#"[{"role":"user"}]"#,
            r#"[{"role":"user","content":"a","content":"b"}]"#,
            r#"[{"role":"user","content":"a","cache_control":{"ttl":"1h"}}]"#,
            r#"[{"role":"\u0075ser","content":"a"}]"#,
        ] {
            assert_eq!(known(other), (true, false), "{other}");
        }
        for odd in [
            r#"[{"content":"a"}]"#,
            r#"[{"role":1,"content":"a"}]"#,
            r#"[{"role":"user","role":"user","content":"a"}]"#,
            r#"[{"r\u006fle":"user","content":"a"}]"#,
            r#"["a"]"#,
            r#"{"role":"user","content":"a"}"#,
        ] {
            assert_eq!(known(odd), (false, false), "{odd}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let fields = Fields::parse(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(fields.raw("a"), Some("2"));
    }

    #[test]
    fn rename_never_overwrites() {
        let mut fields = Fields::parse(br#"{"max_tokens":1,"max_completion_tokens":2}"#).unwrap();
        fields.rename("max_tokens", "max_completion_tokens");
        assert_eq!(fields.to_vec(), br#"{"max_completion_tokens":2}"#);
    }

    #[test]
    fn a_flood_of_members_is_refused() {
        let members: Vec<String> = (0..2_000).map(|n| format!("\"m{n}\":1")).collect();
        let error = Fields::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("at most 1000 members"), "{error}");
    }

    #[test]
    fn an_array_is_refused() {
        assert!(Fields::parse(b"[1]").is_err());
        assert!(Fields::parse(b"{\"a\":\xff}").is_err());
    }
}
