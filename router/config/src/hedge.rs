//! Options of a fallback that Portkey does not have: hedging and continuation.

use std::time::Duration;

use crate::inherit::Reading;
use crate::members::Members;
use crate::plan::ConfigError;

/// Longest delay that is accepted, in milliseconds.
const LONGEST_MS: u64 = 600_000;
/// More targets at once would only multiply the load.
const MOST: u64 = 5;

/// When the next target starts beside one that is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// How long the first content may take before the next target is asked as well.
    pub after: Duration,
    /// How many targets are started so for one request.
    pub most: u32,
}

/// Reads `hedge`.
pub(crate) fn hedge(strategy: &Members<'_>, reading: &mut Reading) -> Result<Option<Hedge>, ConfigError> {
    let Some(object) = strategy.object("hedge")? else { return Ok(None) };
    let path = strategy.at("hedge");
    let members = Members { object, path: &path };
    reading.unknown(&members, &["after_ms", "most"]);
    let what = "a number of milliseconds from 1 to 600000";
    let after = members.whole("after_ms", 1, what)?.filter(|ms| *ms <= LONGEST_MS);
    let Some(after) = after else {
        return Err(members.wrong("after_ms", &format!("is missing or out of range; {what} is expected")));
    };
    let what = "a whole number from 1 to 5";
    let most = members.whole("most", 1, what)?.unwrap_or(1);
    if most > MOST {
        return Err(members.wrong("most", &format!("{what} is expected")));
    }
    Ok(Some(Hedge { after: Duration::from_millis(after), most: u32::try_from(most).unwrap_or(1) }))
}

/// Refuses the options of a fallback in another mode, where they could do nothing.
pub(crate) fn refuse(strategy: &Members<'_>) -> Result<(), ConfigError> {
    for name in ["hedge", "continue_stream"] {
        if strategy.get(name).is_some() {
            return Err(strategy.wrong(name, "is an option of the mode fallback alone"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Strategy};

    fn fallback(options: &str) -> String {
        format!(r#"{{"strategy": {{"mode": "fallback", {options}}}, "targets": [{{}}, {{}}]}}"#)
    }

    #[test]
    fn a_fallback_may_hedge_and_continue() {
        let plan = Plan::parse(&fallback(r#""hedge": {"afterMs": 800}, "continueStream": true"#)).unwrap();
        let Strategy::Fallback { hedge, continue_stream, .. } = plan.root().strategy else {
            panic!("{plan:?}")
        };
        assert_eq!(hedge, Some(Hedge { after: Duration::from_millis(800), most: 1 }));
        assert!(continue_stream);
        assert!(plan.notes().is_empty(), "{:?}", plan.notes());
    }

    #[test]
    fn wrong_options_are_refused_with_their_place() {
        for (options, path) in [
            (r#""hedge": {}"#, "strategy.hedge.after_ms"),
            (r#""hedge": {"after_ms": 600001}"#, "strategy.hedge.after_ms"),
            (r#""hedge": {"after_ms": "soon"}"#, "strategy.hedge.after_ms"),
            (r#""hedge": {"after_ms": 5, "most": 6}"#, "strategy.hedge.most"),
            (r#""hedge": {"after_ms": 5, "most": 0}"#, "strategy.hedge.most"),
            (r#""hedge": 800"#, "strategy.hedge"),
            (r#""continue_stream": "yes""#, "strategy.continue_stream"),
        ] {
            assert_eq!(Plan::parse(&fallback(options)).unwrap_err().path, path);
        }
        let other = r#"{"strategy": {"mode": "loadbalance", "hedge": {"after_ms": 5}}, "targets": [{}, {}]}"#;
        assert_eq!(Plan::parse(other).unwrap_err().path, "strategy.hedge");
    }
}
