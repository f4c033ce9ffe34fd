//! What a plugin may see and reach: asked for by its manifest, and granted by the operator.

use std::collections::BTreeSet;

use crate::inspect::Found;
use crate::{CallView, CheckInfo, LoadError, Subject};

/// The words for data of a request, besides `header:NAME`.
pub(crate) const DATA: [&str; 5] = ["messages", "params", "metadata", "user", "body"];

/// What the operator grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// Of messages, params, metadata, user and body.
    pub data: BTreeSet<String>,
    /// Headers of the request, by lower-case name.
    pub headers: BTreeSet<String>,
    /// Hosts: `name`, `name:port` or `*.suffix`. None is no HTTP at all.
    pub http: Vec<String>,
    /// The plugin's own store.
    pub kv: bool,
    /// Models, through the gateway.
    pub models: bool,
}

impl Default for Grants {
    /// Grants the data words, since there is no way out for them, and nothing else.
    fn default() -> Self {
        Self {
            data: DATA.map(str::to_owned).into(),
            headers: BTreeSet::new(),
            http: Vec::new(),
            kv: false,
            models: false,
        }
    }
}

impl Grants {
    /// Whether a word of a manifest is granted; `header:*`, whether any header is.
    #[must_use]
    pub fn allows(&self, want: &str) -> bool {
        match want {
            "header:*" => !self.headers.is_empty(),
            "http" => !self.http.is_empty(),
            "kv" => self.kv,
            "models" => self.models,
            _ => match want.strip_prefix("header:") {
                Some(name) => self.headers.contains(name),
                None => self.data.contains(want),
            },
        }
    }

    /// Returns what is granted of what is wanted.
    pub(crate) fn narrow(&self, wants: &[String]) -> Self {
        let wanted = |what: &str| asks(wants, what).is_some();
        Self {
            data: self.data.iter().filter(|what| wanted(what)).cloned().collect(),
            headers: self.headers.iter().filter(|name| wanted(&format!("header:{name}"))).cloned().collect(),
            http: if wanted("http") { self.http.clone() } else { Vec::new() },
            kv: self.kv && wanted("kv"),
            models: self.models && wanted("models"),
        }
    }

    /// Returns what is granted of what a check says that it sees: all of it, if it says nothing.
    pub(crate) fn seen_by(&self, check: &CheckInfo) -> Self {
        match sees(check) {
            Some(words) => self.narrow(&words.map(str::to_owned).collect::<Vec<_>>()),
            None => self.clone(),
        }
    }

    /// Returns grants of nothing.
    pub(crate) fn none() -> Self {
        Self { data: BTreeSet::new(), ..Self::default() }
    }

    /// Whether all that a subject shows is granted, so that it needs no copy.
    pub(crate) fn covers(&self, subject: &Subject) -> bool {
        let Subject { hook: _, call, pieces: _, body_json, extra } = subject;
        let CallView {
            endpoint: _,
            model: _,
            provider: _,
            messages,
            params_json,
            metadata,
            user,
            stream: _,
            extra: of_call,
        } = call;
        (messages.is_empty() || self.allows("messages"))
            && (params_json.is_none() || self.allows("params"))
            && (metadata.is_empty() || self.allows("metadata"))
            && (user.is_none() || self.allows("user"))
            && (body_json.is_none() || self.allows("body"))
            && extra.iter().chain(of_call).all(|(name, _)| self.shows(name))
    }

    /// Copies a subject without what is not granted. The pieces stay: they are what is judged.
    pub(crate) fn strip_subject(&self, subject: &Subject) -> Subject {
        Subject {
            hook: subject.hook,
            call: self.strip_call(&subject.call),
            pieces: subject.pieces.clone(),
            body_json: self.keep("body", subject.body_json.as_ref()),
            extra: self.strip_extra(&subject.extra),
        }
    }

    /// Copies a request without what is not granted.
    pub(crate) fn strip_call(&self, call: &CallView) -> CallView {
        CallView {
            endpoint: call.endpoint.clone(),
            model: call.model.clone(),
            provider: call.provider.clone(),
            messages: if self.allows("messages") { call.messages.clone() } else { Vec::new() },
            params_json: self.keep("params", call.params_json.as_ref()),
            metadata: if self.allows("metadata") { call.metadata.clone() } else { Vec::new() },
            user: self.keep("user", call.user.as_ref()),
            stream: call.stream,
            extra: self.strip_extra(&call.extra),
        }
    }

    fn keep(&self, want: &str, value: Option<&String>) -> Option<String> {
        value.filter(|_| self.allows(want)).cloned()
    }

    fn strip_extra(&self, extra: &[(String, String)]) -> Vec<(String, String)> {
        extra.iter().filter(|(name, _)| self.shows(name)).cloned().collect()
    }

    /// Headers need a grant each; whatever else comes there in later versions is for everybody.
    fn shows(&self, extra: &str) -> bool {
        match extra.strip_prefix("header:") {
            Some(header) if header.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.headers.contains(&header.to_ascii_lowercase())
            }
            Some(header) => self.headers.contains(header),
            None => true,
        }
    }
}

/// How much a plugin needs what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It is nothing without.
    Must,
    /// Some of its checks can do without: `http?`.
    May,
}

/// Returns how a manifest asks for something.
fn asks(wants: &[String], what: &str) -> Option<Need> {
    wants.iter().find_map(|want| match want.strip_suffix('?') {
        Some(want) if want == what => Some(Need::May),
        None if want == what || (want == "header:*" && what.starts_with("header:")) => Some(Need::Must),
        _ => None,
    })
}

/// Returns the words of a check that limits itself to some of what its plugin wants.
fn sees(check: &CheckInfo) -> Option<impl Iterator<Item = &str>> {
    let (_, words) = check.extra.iter().find(|(name, _)| name == "sees")?;
    Some(words.split_ascii_whitespace())
}

/// Returns a word that a check sees and its plugin does not want, or that is nothing to be seen.
pub(crate) fn sees_too_much<'c>(check: &'c CheckInfo, wants: &[String]) -> Option<&'c str> {
    let is_data = |word: &str| DATA.contains(&word) || word.starts_with("header:");
    sees(check)?.find(|word| !is_data(word) || asks(wants, word).is_none())
}

/// Refuses imports of powers that the manifest does not ask for, and of those it needs that were not granted. Calls of a
/// power that it may do without are refused one by one.
pub(crate) fn check_powers(found: &Found, wants: &[String], grants: &Grants) -> Result<(), LoadError> {
    for (power, import) in &found.powers {
        let import = import.clone();
        match asks(wants, power) {
            None => return Err(LoadError::NotWanted { import, power }),
            Some(Need::Must) if !grants.allows(power) => return Err(LoadError::NotGranted { import, power }),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether a manifest may ask for this.
pub(crate) fn is_known_want(want: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    match want.strip_prefix("header:") {
        Some(name) => name == "*" || (!name.is_empty() && name.bytes().all(token)),
        None => {
            let power = want.strip_suffix('?').unwrap_or(want);
            DATA.contains(&want) || matches!(power, "http" | "kv" | "models")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hook, Message, Piece};

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn subject() -> Subject {
        let message = Message {
            role: text("user"),
            text: Some(text("hello")),
            tool_calls: Vec::new(),
            tool_call_id: None,
            parts_json: None,
            extra: Vec::new(),
        };
        Subject {
            hook: Hook::Input,
            call: CallView {
                endpoint: text("/v1/chat/completions"),
                model: text("mock"),
                provider: None,
                messages: vec![message],
                params_json: Some(text("{}")),
                metadata: vec![(text("team"), text("a"))],
                user: Some(text("ann")),
                stream: false,
                extra: vec![
                    (text("header:x-team"), text("a")),
                    (text("header:x-other"), text("b")),
                    (text("later"), text("c")),
                ],
            },
            pieces: vec![Piece { kind: text("text"), role: text("user"), index: 0, text: text("hello") }],
            body_json: Some(text("{}")),
            extra: vec![(text("header:x-other"), text("b"))],
        }
    }

    #[test]
    fn nothing_granted_leaves_the_pieces_and_the_route() {
        let stripped = Grants::none().strip_subject(&subject());
        assert!(Grants::none().covers(&stripped));
        assert_eq!(stripped.pieces, subject().pieces);
        assert_eq!(stripped.call.model, "mock");
        assert_eq!(stripped.call.messages, []);
        assert_eq!((stripped.call.params_json, stripped.call.user, stripped.body_json), (None, None, None));
        assert_eq!(stripped.call.metadata, []);
        assert_eq!(stripped.call.extra, [(text("later"), text("c"))]);
        assert_eq!(stripped.extra, []);
    }

    #[test]
    fn only_what_shows_nothing_forbidden_is_covered() {
        let all = Grants { headers: [text("x-team"), text("x-other")].into(), ..Grants::default() };
        assert!(all.covers(&subject()));
        for word in DATA {
            let mut grants = all.clone();
            grants.data.remove(word);
            assert!(!grants.covers(&subject()), "{word}");
            assert!(grants.covers(&grants.strip_subject(&subject())), "{word}");
        }
        for name in ["x-team", "x-other"] {
            let mut grants = all.clone();
            grants.headers.remove(name);
            assert!(!grants.covers(&subject()), "{name}");
        }
    }

    #[test]
    fn what_is_wanted_and_granted_is_seen() {
        let grants = Grants { headers: [text("x-team"), text("x-other")].into(), ..Grants::default() };
        let wants = ["messages", "params", "metadata", "user", "body", "header:x-team"].map(text);
        let stripped = grants.narrow(&wants).strip_subject(&subject());
        let mut expected = subject();
        expected.extra.clear();
        expected.call.extra.remove(1);
        assert_eq!(stripped, expected);
    }

    #[test]
    fn a_check_that_says_what_it_sees_is_shown_no_more() {
        let grants = Grants { headers: [text("x-team"), text("x-other")].into(), ..Grants::default() };
        let check = |sees: Option<&str>| CheckInfo {
            name: text("check"),
            hooks: vec![Hook::Input],
            streams: false,
            mutates: false,
            params_schema_json: text("{}"),
            extra: sees.map(|words| (text("sees"), text(words))).into_iter().collect(),
        };
        assert_eq!(grants.seen_by(&check(None)), grants);
        let nothing = grants.seen_by(&check(Some("")));
        assert_eq!(nothing, Grants::none());
        assert!(!nothing.allows("header:*"));
        let some = grants.seen_by(&check(Some("metadata header:x-team")));
        assert!(some.allows("metadata") && some.allows("header:x-team") && some.allows("header:*"));
        assert!(!some.allows("body") && !some.allows("header:x-other"));
        // What was not granted is not seen either.
        assert_eq!(Grants::none().seen_by(&check(Some("metadata header:*"))), Grants::none());
    }

    #[test]
    fn granting_without_wanting_and_wanting_without_granting_give_nothing() {
        let grants = Grants {
            http: vec![text("a.test")],
            kv: true,
            headers: [text("x-team")].into(),
            ..Grants::default()
        };
        assert_eq!(grants.narrow(&[]), Grants::none());
        let narrowed = grants.narrow(&["kv", "models"].map(text));
        assert!(narrowed.allows("kv") && !narrowed.allows("models") && !narrowed.allows("http"));
        assert!(!narrowed.allows("header:x-team") && !narrowed.allows("messages"));
    }
}
