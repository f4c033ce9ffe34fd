//! What a query saw, for whoever asks why a branch was chosen. It looks through the same tests as the decision itself.

use std::fmt;

use serde_json::Value;

use crate::condition::{Clause, Facts, Field, Query, Test};

/// One test of a query, and what it found.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What was looked at: `metadata.plan`, `params.model`, `$or[0].url.pathname`.
    pub path: String,
    /// What was asked of it, like `$eq "paid"`.
    pub test: String,
    /// What was there; `None` when nothing was.
    pub value: Option<Value>,
    /// Whether it holds; `None` when only a plugin can say.
    pub holds: Option<bool>,
}

impl Query {
    /// Returns every test with what it sees. `answers` are the plugins', as far as they were asked.
    #[must_use]
    pub fn seen(&self, facts: &dyn Facts, answers: &[bool]) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.look(&self.clauses, "", facts, answers, &mut seen);
        seen
    }

    fn look(
        &self,
        clauses: &[Clause],
        inside: &str,
        facts: &dyn Facts,
        answers: &[bool],
        seen: &mut Vec<Seen>,
    ) {
        for clause in clauses {
            match clause {
                Clause::All(queries) | Clause::Any(queries) => {
                    let word = if matches!(clause, Clause::All(_)) { "$and" } else { "$or" };
                    for (at, query) in queries.iter().enumerate() {
                        self.look(query, &format!("{inside}{word}[{at}]."), facts, answers, seen);
                    }
                }
                Clause::Field(field, tests) => {
                    let value = field.find(facts);
                    for test in tests {
                        let holds = Some(test.holds(value.as_ref()));
                        let path = format!("{inside}{field}");
                        seen.push(Seen { path, test: test.to_string(), value: value.clone(), holds });
                    }
                }
                Clause::Plugin(at) => {
                    let id = self.plugins.get(*at).map_or("", |plugin| &plugin.id);
                    let holds = answers.get(*at).copied();
                    seen.push(Seen {
                        path: format!("{inside}$plugin"),
                        test: id.to_owned(),
                        value: None,
                        holds,
                    });
                }
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Metadata(key) => write!(f, "metadata.{key}"),
            Field::Param(name) => write!(f, "params.{name}"),
            Field::Pathname => f.write_str("url.pathname"),
            Field::Nothing(key) => f.write_str(key),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[Value]| Value::Array(values.to_vec()).to_string();
        match self {
            Test::Equals(value) => write!(f, "$eq {value}"),
            Test::Differs(value) => write!(f, "$ne {value}"),
            Test::Greater(number) => write!(f, "$gt {number}"),
            Test::GreaterOrEqual(number) => write!(f, "$gte {number}"),
            Test::Less(number) => write!(f, "$lt {number}"),
            Test::LessOrEqual(number) => write!(f, "$lte {number}"),
            Test::In(values) => write!(f, "$in {}", list(values)),
            Test::NotIn(values) => write!(f, "$nin {}", list(values)),
            Test::Matches(pattern) => write!(f, "$regex {:?}", pattern.source()),
        }
    }
}
