//! Reads queries: what is no condition is refused with its place.

use serde_json::{Map, Value};

use crate::condition::{Clause, Field, PluginCondition, Query, Test, parse_float};
use crate::members::{Members, join, refused};
use crate::pattern::Pattern;
use crate::plan::{ConfigError, Note};

const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $regex";
const LOGICAL: &str = "$and, $or, $plugin";
/// Queries inside queries.
const DEPTH: usize = 16;
/// Plugins asked for one query.
const MOST_PLUGINS: usize = 16;

/// Reads the query at `path`.
pub(crate) fn read(value: &Value, path: &str, notes: &mut Vec<Note>) -> Result<Query, ConfigError> {
    let mut reader = Reader { plugins: Vec::new(), notes };
    let clauses = reader.clauses(value, path, 0)?;
    Ok(Query { clauses, plugins: reader.plugins })
}

struct Reader<'a> {
    plugins: Vec<PluginCondition>,
    notes: &'a mut Vec<Note>,
}

impl Reader<'_> {
    fn clauses(&mut self, value: &Value, path: &str, depth: usize) -> Result<Vec<Clause>, ConfigError> {
        let Value::Object(members) = value else {
            return Err(refused(path, "an object like {\"metadata.plan\": \"paid\"} is expected"));
        };
        if depth > DEPTH {
            return Err(refused(path, "is nested too deeply"));
        }
        let mut clauses = Vec::with_capacity(members.len());
        let mut portkey_stops = None;
        for (key, value) in members {
            let at = join(path, key);
            if let Some(stop) = portkey_stops {
                self.notes.push(Note::new(&at, &format!("counts here; Portkey ignores what follows {stop}")));
            }
            clauses.push(match key.as_str() {
                "$and" => Clause::All(self.queries(value, &at, depth)?),
                "$or" => Clause::Any(self.queries(value, &at, depth)?),
                "$plugin" => self.plugin(value, &at)?,
                operator if operator.starts_with('$') => return Err(unsupported(&at, operator, LOGICAL)),
                _ => Clause::Field(self.field(key, &at), self.tests(value, &at)?),
            });
            if key == "$and" || key == "$or" {
                portkey_stops = portkey_stops.or(Some(key));
            }
        }
        Ok(clauses)
    }

    fn queries(&mut self, value: &Value, path: &str, depth: usize) -> Result<Vec<Vec<Clause>>, ConfigError> {
        let Value::Array(queries) = value else {
            return Err(refused(path, "an array of queries is expected"));
        };
        let query = |(at, query)| self.clauses(query, &format!("{path}[{at}]"), depth + 1);
        queries.iter().enumerate().map(query).collect()
    }

    fn plugin(&mut self, value: &Value, path: &str) -> Result<Clause, ConfigError> {
        let members = Members::of(value, path)?;
        let Some(id) = members
            .text("id")?
            .filter(|id| id.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()))
        else {
            return Err(members.wrong("id", "a condition's id like \"geo.eu_only\" is expected"));
        };
        if self.plugins.len() == MOST_PLUGINS {
            return Err(refused(path, &format!("at most {MOST_PLUGINS} plugins may be asked for one query")));
        }
        if let Some(key) = members.object.keys().find(|key| !matches!(key.as_str(), "id" | "params")) {
            return Err(members.wrong(key, "is unknown; id and params are expected"));
        }
        let params = members.object("params")?.cloned().unwrap_or_default();
        self.plugins.push(PluginCondition { id, params, path: path.to_owned() });
        Ok(Clause::Plugin(self.plugins.len() - 1))
    }

    fn field(&mut self, key: &str, path: &str) -> Field {
        match key.split_once('.') {
            Some(("metadata", name)) => Field::Metadata(name.to_owned()),
            Some(("params", name)) => Field::Param(name.to_owned()),
            Some(("url", "pathname")) => Field::Pathname,
            _ => {
                let message = "is never there; metadata.*, params.* and url.pathname can be looked at";
                self.notes.push(Note::new(path, message));
                Field::Nothing(key.to_owned())
            }
        }
    }

    fn tests(&mut self, value: &Value, path: &str) -> Result<Vec<Test>, ConfigError> {
        match value {
            Value::Object(operators) => self.operators(operators, path),
            Value::Array(_) => Err(refused(path, "a value or an object with operators is expected")),
            literal => Ok(vec![Test::Equals(literal.clone())]),
        }
    }

    fn operators(&mut self, operators: &Map<String, Value>, path: &str) -> Result<Vec<Test>, ConfigError> {
        let mut tests = Vec::with_capacity(operators.len());
        let mut after_regex = false;
        for (name, value) in operators {
            let at = join(path, name);
            if after_regex {
                self.notes.push(Note::new(&at, "counts here; Portkey ignores what follows $regex"));
            }
            after_regex |= name == "$regex";
            tests.push(match name.as_str() {
                "$eq" => Test::Equals(value.clone()),
                "$ne" => Test::Differs(value.clone()),
                "$gt" => Test::Greater(number(value, &at)?),
                "$gte" => Test::GreaterOrEqual(number(value, &at)?),
                "$lt" => Test::Less(number(value, &at)?),
                "$lte" => Test::LessOrEqual(number(value, &at)?),
                "$in" => Test::In(values(value, &at)?),
                "$nin" => Test::NotIn(values(value, &at)?),
                "$regex" => {
                    let Value::String(pattern) = value else {
                        return Err(refused(&at, "a regular expression as a string is expected"));
                    };
                    Test::Matches(Pattern::compile(pattern).map_err(|reason| refused(&at, &reason))?)
                }
                other => return Err(unsupported(&at, other, OPERATORS)),
            });
        }
        Ok(tests)
    }
}

fn number(value: &Value, path: &str) -> Result<f64, ConfigError> {
    let number = parse_float(value);
    if number.is_nan() { Err(refused(path, "a number is expected")) } else { Ok(number) }
}

fn values(value: &Value, path: &str) -> Result<Vec<Value>, ConfigError> {
    match value {
        Value::Array(values) => Ok(values.clone()),
        _ => Err(refused(path, "an array of values is expected")),
    }
}

/// Portkey's sentence, with what is accepted.
fn unsupported(path: &str, operator: &str, known: &str) -> ConfigError {
    refused(
        path,
        &format!("Unsupported operator used in the query router: {operator} (one of {known} is expected)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Facts;
    use serde_json::json;

    struct World(Value);

    impl Facts for World {
        fn metadata(&self, key: &str) -> Option<Value> {
            self.0["metadata"].get(key).cloned()
        }
        fn param(&self, name: &str) -> Option<Value> {
            self.0["params"].get(name).cloned()
        }
        fn pathname(&self) -> &str {
            "/v1/chat/completions"
        }
    }

    fn world() -> World {
        World(json!({
            "metadata": {"plan": "paid", "a.b": "dotted", "n": 5},
            "params": {"model": "gpt-4o", "max_tokens": 200, "stream": true, "nothing": null,
                       "response_format": {"type": "json"}, "messages": [{"role": "user"}]},
        }))
    }

    fn query(json: Value) -> (Query, Vec<Note>) {
        let mut notes = Vec::new();
        (read(&json, "q", &mut notes).unwrap(), notes)
    }

    fn holds(json: Value) -> bool {
        query(json).0.evaluate(&world(), &[])
    }

    #[test]
    fn every_operator_means_what_portkey_means() {
        for (json, expected) in [
            (json!({"metadata.plan": "paid"}), true),
            (json!({"params.max_tokens": "200"}), false),
            (json!({"params.max_tokens": 200.0}), true),
            (json!({"metadata.plan": {"$eq": "paid"}}), true),
            (json!({"metadata.plan": {"$ne": "paid"}}), false),
            (json!({"metadata.absent": {"$ne": "x"}}), true),
            (json!({"metadata.absent": null}), false),
            (json!({"params.nothing": null}), true),
            (json!({"params.max_tokens": {"$gt": "100"}}), true),
            (json!({"params.max_tokens": {"$gt": 100, "$lt": 150}}), false),
            (json!({"params.max_tokens": {"$gte": 200, "$lte": 200}}), true),
            (json!({"params.model": {"$gt": 1}}), false),
            (json!({"params.model": {"$lte": 1}}), false),
            (json!({"params.model": {"$in": ["x", "gpt-4o"]}}), true),
            (json!({"params.model": {"$nin": ["x", "gpt-4o"]}}), false),
            (json!({"params.max_tokens": {"$in": ["200"]}}), false),
            (json!({"params.absent": {"$nin": ["x"]}}), true),
            (json!({"params.model": {"$regex": "^gpt"}}), true),
            (json!({"params.max_tokens": {"$regex": "^2"}}), true),
            (json!({"params.absent": {"$regex": ".*"}}), false),
            (json!({"url.pathname": "/v1/chat/completions"}), true),
            (json!({"headers.x-foo": "1"}), false),
            (json!({}), true),
            (json!({"$or": [{"metadata.plan": "free"}, {"params.stream": true}]}), true),
            (json!({"$and": [{"metadata.plan": "free"}, {"params.stream": true}]}), false),
            (json!({"$or": []}), false),
            (json!({"$and": []}), true),
            (
                json!({"$and": [{"$or": [{"metadata.n": 5}, {"metadata.n": 6}]}, {"metadata.plan": "paid"}]}),
                true,
            ),
        ] {
            assert_eq!(holds(json.clone()), expected, "{json}");
        }
    }

    #[test]
    fn what_a_query_saw_is_told_test_by_test() {
        let (query, _) = query(json!({"metadata.plan": "free", "$or": [
            {"params.max_tokens": {"$gt": 100, "$in": [1]}}, {"$plugin": {"id": "geo.eu"}}, {"headers.x": 1}]}));
        let told: Vec<String> = query
            .seen(&world(), &[])
            .iter()
            .map(|seen| format!("{} {} {:?} {:?}", seen.path, seen.test, seen.value, seen.holds))
            .collect();
        assert_eq!(
            told,
            [
                r#"metadata.plan $eq "free" Some(String("paid")) Some(false)"#,
                "$or[0].params.max_tokens $gt 100 Some(Number(200)) Some(true)",
                "$or[0].params.max_tokens $in [1] Some(Number(200)) Some(false)",
                "$or[1].$plugin geo.eu None None",
                "$or[2].headers.x $eq 1 None Some(false)",
            ]
        );
    }

    #[test]
    fn deeper_paths_are_found() {
        assert!(holds(json!({"metadata.a.b": "dotted"})));
        assert!(holds(json!({"params.response_format.type": "json"})));
        assert!(holds(json!({"params.messages.0.role": "user"})));
        assert!(!holds(json!({"params.messages.1.role": "user"})));
    }

    #[test]
    fn members_beside_and_or_and_regex_count_and_are_noted() {
        for json in [
            json!({"$and": [{"params.model": "gpt-4o"}], "metadata.plan": "free"}),
            json!({"$or": [{"params.model": "gpt-4o"}], "metadata.plan": "free"}),
            json!({"params.model": {"$regex": "gpt", "$ne": "gpt-4o"}}),
            json!({"$and": [], "$or": []}),
        ] {
            let (query, notes) = query(json.clone());
            assert!(!query.evaluate(&world(), &[]), "{json}");
            assert_eq!(notes.len(), 1, "{json}: {notes:?}");
        }
    }

    #[test]
    fn plugins_are_collected_then_answered() {
        let (query, _) = query(json!({"$or": [{"$plugin": {"id": "geo.eu", "params": {"x": 1}}}, {"$and": [
            {"$plugin": {"id": "time.night"}}, {"metadata.plan": "paid"}]}]}));
        let ids: Vec<&str> = query.plugin_conditions().iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["geo.eu", "time.night"]);
        assert_eq!(query.plugin_conditions()[1].path, "q.$or[1].$and[0].$plugin");
        assert_eq!(query.decided(&world()), None);
        assert!(query.evaluate(&world(), &[false, true]));
        assert!(!query.evaluate(&world(), &[false, false]));
    }

    #[test]
    fn a_plugin_is_not_asked_when_the_rest_decides() {
        let (no, _) = query(json!({"metadata.plan": "free", "$plugin": {"id": "geo.eu"}}));
        assert_eq!(no.decided(&world()), Some(false));
        let (yes, _) = query(json!({"$or": [{"metadata.plan": "paid"}, {"$plugin": {"id": "geo.eu"}}]}));
        assert_eq!(yes.decided(&world()), Some(true));
    }

    #[test]
    fn mistakes_are_named_by_path() {
        for (json, part) in [
            (json!([]), "q: an object"),
            (
                json!({"params.model": {"$foo": 1}}),
                "q.params.model.$foo: Unsupported operator used in the query router: $foo",
            ),
            (json!({"$not": {}}), "q.$not: Unsupported operator used in the query router: $not"),
            (json!({"$and": {}}), "q.$and: an array"),
            (json!({"$or": [1]}), "q.$or[0]: an object"),
            (json!({"params.model": ["a"]}), "q.params.model: a value"),
            (json!({"params.model": {"$in": "a"}}), "$in: an array"),
            (json!({"params.model": {"$gt": "a"}}), "$gt: a number"),
            (json!({"params.model": {"$regex": "("}}), "$regex: is no regular expression"),
            (json!({"params.model": {"$regex": 1}}), "$regex: a regular expression"),
            (json!({"$plugin": {"params": {}}}), "q.$plugin.id: a condition's id"),
            (json!({"$plugin": {"id": "geo.eu", "parms": {}}}), "q.$plugin.parms: is unknown"),
        ] {
            let error = read(&json, "q", &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn numbers_are_read_as_javascript_reads_them() {
        for (text, expected) in
            [("12px", 12.0), (" -1.5e2x", -150.0), (".5", 0.5), ("5.", 5.0), ("1e", 1.0), ("+3", 3.0)]
        {
            assert_eq!(parse_float(&json!(text)).to_string(), expected.to_string(), "{text}");
        }
        for text in ["", "x", "-", ".", "e5"] {
            assert!(parse_float(&json!(text)).is_nan(), "{text}");
        }
        assert!(parse_float(&json!("-Infinity")).is_infinite());
        assert!(parse_float(&json!(true)).is_nan());
    }
}
