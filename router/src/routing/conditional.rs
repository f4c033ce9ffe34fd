//! The child of the first condition that holds.

use tidegate_config::{Condition, Facts};

/// What looking at conditions came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A child.
    Child {
        /// Which.
        child: usize,
        /// The condition that chose it; `None` is the default.
        by: Option<usize>,
    },
    /// The condition at this place can't be decided before its plugins are asked.
    Ask(usize),
    /// None holds, and there is no default.
    Nothing,
}

/// Looks at the conditions in order, beginning at `from`.
#[must_use]
pub fn choose(conditions: &[Condition], default: Option<usize>, from: usize, facts: &dyn Facts) -> Choice {
    for (at, condition) in conditions.iter().enumerate().skip(from) {
        match condition.query.decided(facts) {
            Some(true) => return Choice::Child { child: condition.then, by: Some(at) },
            Some(false) => {}
            None => return Choice::Ask(at),
        }
    }
    default.map_or(Choice::Nothing, |child| Choice::Child { child, by: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use tidegate_config::{Plan, Strategy};

    struct Asked(&'static str);

    impl Facts for Asked {
        fn metadata(&self, _key: &str) -> Option<Value> {
            None
        }
        fn param(&self, name: &str) -> Option<Value> {
            (name == "model").then(|| self.0.into())
        }
        fn pathname(&self) -> &str {
            "/v1/chat/completions"
        }
    }

    fn chosen(model: &'static str, from: usize) -> Choice {
        let plan = Plan::parse(
            r#"{"strategy": {"mode": "conditional", "conditions": [
                {"query": {"params.model": "a"}, "then": "one"},
                {"query": {"params.model": {"$in": ["a", "b"]}}, "then": "two"},
                {"query": {"params.model": "c", "$plugin": {"id": "geo.eu"}}, "then": "one"}], "default": "three"},
               "targets": [{"name": "one"}, {"name": "two"}, {"name": "three"}]}"#,
        )
        .unwrap();
        let Strategy::Conditional { conditions, default } = &plan.root().strategy else { panic!("{plan:?}") };
        assert_eq!(choose(&[], None, 0, &Asked("a")), Choice::Nothing);
        choose(conditions, *default, from, &Asked(model))
    }

    #[test]
    fn the_first_that_holds_wins_then_the_default() {
        assert_eq!(chosen("a", 0), Choice::Child { child: 0, by: Some(0) });
        assert_eq!(chosen("b", 0), Choice::Child { child: 1, by: Some(1) });
        assert_eq!(chosen("x", 0), Choice::Child { child: 2, by: None });
    }

    #[test]
    fn plugins_are_asked_only_where_they_matter() {
        assert_eq!(chosen("c", 0), Choice::Ask(2));
        assert_eq!(chosen("c", 3), Choice::Child { child: 2, by: None });
    }
}
