//! Routing conditions: Portkey's query language, evaluated without waiting for anything.
//!
//! A query is a list of clauses that must all hold. What a plugin says is asked by the caller: it collects
//! [`Query::plugin_conditions`], asks, and passes the answers in. What is absent equals nothing and matches no pattern.
//!
//! Portkey stops looking at `$and`, `$or` and `$regex`; here everything that is written counts, and a note names the
//! members that Portkey would skip. Portkey sees two path segments; here deeper ones are found too.

use serde_json::{Map, Value};

use crate::pattern::Pattern;

/// What conditions may look at.
pub trait Facts {
    /// A metadata value.
    fn metadata(&self, key: &str) -> Option<Value>;
    /// A member of the request's body.
    fn param(&self, name: &str) -> Option<Value>;
    /// The path asked for, like `/v1/chat/completions`.
    fn pathname(&self) -> &str;
}

/// One condition of a conditional strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What must hold.
    pub query: Query,
    /// The child chosen then.
    pub then: usize,
}

/// A condition that a plugin answers.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginCondition {
    /// `plugin.condition`.
    pub id: String,
    /// What it is given.
    pub params: Map<String, Value>,
    /// Where it stands in the config.
    pub path: String,
}

/// A query: all clauses must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) plugins: Vec<PluginCondition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Clause {
    All(Vec<Vec<Clause>>),
    Any(Vec<Vec<Clause>>),
    Field(Field, Vec<Test>),
    /// Place in the query's list of plugins.
    Plugin(usize),
}

/// What a clause looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Metadata(String),
    Param(String),
    Pathname,
    /// Portkey resolves no other path either.
    Nothing(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Equals(Value),
    Differs(Value),
    Greater(f64),
    GreaterOrEqual(f64),
    Less(f64),
    LessOrEqual(f64),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Matches(Pattern),
}

impl Query {
    /// Returns the conditions that plugins must answer, in the order of the answers.
    #[must_use]
    pub fn plugin_conditions(&self) -> &[PluginCondition] {
        &self.plugins
    }

    /// Returns whether the query holds. `answers` are the plugins', in the order of [`Self::plugin_conditions`];
    /// a missing one is false.
    #[must_use]
    pub fn evaluate(&self, facts: &dyn Facts, answers: &[bool]) -> bool {
        let known: Vec<Option<bool>> =
            (0..self.plugins.len()).map(|at| Some(answers.get(at).copied().unwrap_or(false))).collect();
        all(&self.clauses, facts, &known).unwrap_or(false)
    }

    /// Returns whether the query holds, if that can be said without any plugin.
    #[must_use]
    pub fn decided(&self, facts: &dyn Facts) -> Option<bool> {
        all(&self.clauses, facts, &[])
    }
}

/// Counts the regular expressions in clauses.
pub(crate) fn patterns(clauses: &[Clause]) -> usize {
    let of = |clause: &Clause| match clause {
        Clause::All(queries) | Clause::Any(queries) => queries.iter().map(|query| patterns(query)).sum(),
        Clause::Field(_, tests) => tests.iter().filter(|test| matches!(test, Test::Matches(_))).count(),
        Clause::Plugin(_) => 0,
    };
    clauses.iter().map(of).sum()
}

/// Three-valued: `None` is a plugin's answer that is not known yet.
fn all(clauses: &[Clause], facts: &dyn Facts, answers: &[Option<bool>]) -> Option<bool> {
    let mut known = true;
    for clause in clauses {
        match clause.holds(facts, answers) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = false,
        }
    }
    known.then_some(true)
}

impl Clause {
    fn holds(&self, facts: &dyn Facts, answers: &[Option<bool>]) -> Option<bool> {
        match self {
            Clause::All(queries) => {
                let mut known = true;
                for query in queries {
                    match all(query, facts, answers) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => known = false,
                    }
                }
                known.then_some(true)
            }
            Clause::Any(queries) => {
                let mut known = true;
                for query in queries {
                    match all(query, facts, answers) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = false,
                    }
                }
                known.then_some(false)
            }
            Clause::Field(field, tests) => {
                let value = field.find(facts);
                Some(tests.iter().all(|test| test.holds(value.as_ref())))
            }
            Clause::Plugin(at) => answers.get(*at).copied().flatten(),
        }
    }
}

impl Field {
    pub(crate) fn find(&self, facts: &dyn Facts) -> Option<Value> {
        match self {
            Field::Metadata(key) => deep(key, |name| facts.metadata(name)),
            Field::Param(name) => deep(name, |name| facts.param(name)),
            Field::Pathname => Some(Value::String(facts.pathname().to_owned())),
            Field::Nothing(_) => None,
        }
    }
}

/// Finds `a.b.0`: a member of that very name, else member by member.
fn deep(path: &str, top: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    if let Some(value) = top(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    let mut value = &top(first)?;
    for name in rest.split('.') {
        value = match value {
            Value::Object(members) => members.get(name)?,
            Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value.clone())
}

impl Test {
    pub(crate) fn holds(&self, value: Option<&Value>) -> bool {
        let equals = |other: &Value| value.is_some_and(|value| strictly_equal(value, other));
        // Comparisons with NaN are false.
        let number = value.map_or(f64::NAN, parse_float);
        match self {
            Test::Equals(other) => equals(other),
            Test::Differs(other) => !equals(other),
            Test::Greater(other) => number > *other,
            Test::GreaterOrEqual(other) => number >= *other,
            Test::Less(other) => number < *other,
            Test::LessOrEqual(other) => number <= *other,
            Test::In(others) => others.iter().any(equals),
            Test::NotIn(others) => !others.iter().any(equals),
            Test::Matches(pattern) => match value {
                None | Some(Value::Null | Value::Object(_) | Value::Array(_)) => false,
                Some(Value::String(text)) => pattern.is_match(text),
                Some(other) => pattern.is_match(&other.to_string()),
            },
        }
    }
}

/// JavaScript's `===` for values that came from JSON: numbers by value, lists and objects never.
fn strictly_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        _ => one == other,
    }
}

/// JavaScript's `parseFloat`: the longest number a text starts with.
pub(crate) fn parse_float(value: &Value) -> f64 {
    let text = match value {
        Value::Number(number) => return number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => text.trim_start(),
        _ => return f64::NAN,
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with("Infinity") {
        return if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let bytes = unsigned.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(0);
    let whole = end;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return f64::NAN;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = if signed <= bytes.len() { digits(signed) } else { 0 };
        if exponent > 0 {
            end = signed + exponent;
        }
    }
    let length = text.len() - unsigned.len() + end;
    text[..length].parse().unwrap_or(f64::NAN)
}
