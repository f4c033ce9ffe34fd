//! `timeouts`: how long each stage of a request may take. A node's members replace its parent's one by one.

use std::time::Duration;

use crate::inherit::Reading;
use crate::members::Members;
use crate::plan::ConfigError;

/// Longest time that is accepted, in milliseconds: a day.
const LONGEST_MS: u64 = 86_400_000;
const WHAT: &str = "a number of milliseconds from 1 to 86400000";

/// How long to wait for what; the node's settings say it where nothing is said here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to the vendor: name, TCP and TLS.
    pub connect: Option<Duration>,
    /// From sending a request to the head of its answer.
    pub head: Option<Duration>,
    /// From sending a streamed request to the first piece of content.
    pub first_token: Option<Duration>,
    /// Between two reads of an answer.
    pub idle: Option<Duration>,
    /// From the request's arrival to the end of its answer, attempts and waits included.
    pub total: Option<Duration>,
}

impl Timeouts {
    /// Returns what a node passes on: its parent's, changed by its own.
    pub(crate) fn at(mut self, node: &Members<'_>, reading: &mut Reading) -> Result<Self, ConfigError> {
        let Some(object) = node.object("timeouts")? else { return Ok(self) };
        let path = node.at("timeouts");
        let members = Members { object, path: &path };
        reading.unknown(&members, &["connect_ms", "head_ms", "first_token_ms", "idle_ms", "total_ms"]);
        for (name, place) in [
            ("connect_ms", &mut self.connect),
            ("head_ms", &mut self.head),
            ("first_token_ms", &mut self.first_token),
            ("idle_ms", &mut self.idle),
            ("total_ms", &mut self.total),
        ] {
            match members.whole(name, 1, WHAT)? {
                None => {}
                Some(ms) if ms <= LONGEST_MS => *place = Some(Duration::from_millis(ms)),
                Some(_) => return Err(members.wrong(name, &format!("{WHAT} is expected"))),
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn children_replace_members_one_by_one() {
        let plan = Plan::parse(
            r#"{"timeouts": {"idle_ms": 5000, "total_ms": 60000}, "strategy": {"mode": "fallback"}, "targets": [
                {"timeouts": {"idleMs": 700, "first_token_ms": 900}}, {"timeouts": {"headMs": 3, "connect_ms": 2}}]}"#,
        )
        .unwrap();
        let ms = |ms| Some(Duration::from_millis(ms));
        let found: Vec<Timeouts> = plan.targets().iter().map(|target| target.timeouts).collect();
        let first =
            Timeouts { idle: ms(700), total: ms(60_000), first_token: ms(900), ..Timeouts::default() };
        let second = Timeouts {
            idle: ms(5_000),
            total: ms(60_000),
            head: ms(3),
            connect: ms(2),
            ..Timeouts::default()
        };
        assert_eq!(found, [first, second]);
        assert!(plan.notes().is_empty(), "{:?}", plan.notes());
    }

    #[test]
    fn wrong_times_are_refused_with_their_place() {
        for (wrong, path) in [
            (r#"{"timeouts": {"total_ms": 0}}"#, "timeouts.total_ms"),
            (r#"{"timeouts": {"idle_ms": 86400001}}"#, "timeouts.idle_ms"),
            (r#"{"timeouts": {"head_ms": "5 s"}}"#, "timeouts.head_ms"),
            (r#"{"timeouts": {"head_ms": -1}}"#, "timeouts.head_ms"),
            (r#"{"timeouts": 5}"#, "timeouts"),
            (
                r#"{"strategy": {"mode": "single"}, "targets": [{"timeouts": {"connect_ms": 1.5}}]}"#,
                "targets[0].timeouts.connect_ms",
            ),
        ] {
            let error = Plan::parse(wrong).unwrap_err();
            assert_eq!(error.path, path, "{error}");
            assert!(error.message.ends_with("is expected"), "{error}");
        }
    }

    #[test]
    fn unknown_members_are_noted() {
        let plan = Plan::parse(r#"{"timeouts": {"first_byte_ms": 5}}"#).unwrap();
        assert_eq!(plan.notes()[0].path, "timeouts.first_byte_ms");
    }
}
