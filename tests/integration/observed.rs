//! What Portkey was seen to do, replayed: the same requests, the same upstream, every byte of what came of it compared.
//!
//! `fixtures/routing/observed.json` holds what was seen, `fixtures/routing/differences.md` every difference that is
//! meant, with its reason. A case that differs names its rows and says what comes out here; rows marked *everywhere*
//! are rules below. The table's last column and its figures are checked against the cases.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_tests::Client;

use crate::guardrails;
use crate::support::KEY;
use crate::turns::{Call, Turns, completion};

const CASES: &str = include_str!("../fixtures/routing/observed.json");
const TABLE: &str = include_str!("../fixtures/routing/differences.md");
/// What Portkey says when a guardrail denies.
const DENIED: &str = "The guardrail checks defined in the config failed. You can find more information in the \
                      `hook_results` object.";
/// Headers that every answer of a target has.
const OF_TARGETS: [&str; 4] = [
    "x-portkey-provider",
    "x-portkey-last-used-option-index",
    "x-portkey-cache-status",
    "x-portkey-retry-attempt-count",
];

fn cases() -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("cases");
    assert_eq!(cases.len(), 96, "cases are missing");
    cases
}

#[tokio::test]
async fn what_portkey_was_seen_to_do_comes_out_or_differs_as_listed() {
    let world = guardrails::guarded().await;
    let client = world.gateway.client();
    let cases = cases();
    let (cached, others): (Vec<&Value>, Vec<&Value>) =
        cases.iter().partition(|case| id(case).starts_with('I'));
    let mut wrong = Vec::new();
    // Some wait seconds between two attempts; few at a time, so that the machine is not what is measured.
    for some in others.chunks(8) {
        let found = join_all(some.iter().map(async |case| {
            let upstream = Turns::start(Vec::new()).await;
            differences(&client, &upstream, case).await
        }));
        wrong.extend(found.await.into_iter().flatten());
    }
    // These build on each other: what one stores the next one finds.
    let upstream = Turns::start(Vec::new()).await;
    for case in cached {
        wrong.extend(differences(&client, &upstream, case).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_differences_is_that_of_the_cases() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut same, mut differ) = (0, 0);
    let mut rules = BTreeSet::new();
    for case in cases() {
        let rows = rows(&case);
        if rows.is_empty() {
            same += 1
        } else {
            differ += 1
        }
        for row in rows {
            found.entry(row).or_default().insert(id(&case).to_owned());
        }
        rules.extend(expected(&case).1.into_iter().map(str::to_owned));
    }
    let (mut listed, mut everywhere) = (BTreeMap::new(), BTreeSet::new());
    for line in TABLE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 5, "not five cells: {line}");
        let row = cells[0].trim_matches('`').to_owned();
        let fresh = match cells[4] {
            "-" => true,
            "everywhere" => everywhere.insert(row),
            ids => listed.insert(row, ids.split(", ").map(str::to_owned).collect()).is_none(),
        };
        assert!(fresh, "twice: {line}");
    }
    assert_eq!(listed, found, "the table (left) is not what the cases say (right)");
    assert_eq!(everywhere, rules, "rows that hold everywhere (left) are not the rules (right)");
    let figures = format!("{same} of them come out the same, {differ} differ.");
    assert!(TABLE.contains(&figures), "the table should say: {figures}");
}

fn id(case: &Value) -> &str {
    case["id"].as_str().expect("an id")
}

/// Rows of the table that a case names.
fn rows(case: &Value) -> Vec<String> {
    let rows = case["differs"]["rows"].as_array();
    rows.into_iter().flatten().map(|row| row.as_str().expect("a row").to_owned()).collect()
}

/// What must come of a case here, and which rules that hold everywhere changed it.
fn expected(case: &Value) -> (Value, Vec<&'static str>) {
    let mut rules = Vec::new();
    let mut answer = case["answer"].clone();
    if let Value::Object(other) = &case["differs"]["answer"] {
        // What is said here replaces what was seen, member by member.
        if !answer.is_object() {
            answer = json!({});
        }
        for (name, value) in other {
            answer[name] = value.clone();
        }
    }
    let mut headers = match answer["portkey"].as_bool() {
        Some(true) => json!({
            "content-type": "application/json", "x-portkey-cache-status": "MISS",
            "x-portkey-last-used-option-index": "config", "x-portkey-provider": "openai",
            "x-portkey-retry-attempt-count": "0", "x-portkey-trace-id": "",
        }),
        _ => json!({"content-type": "application/json"}),
    };
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        headers[name] = value.clone();
    }
    if answer["portkey"] == true {
        if headers["x-portkey-trace-id"] == "" {
            headers["x-portkey-trace-id"] = "<any>".into();
            rules.push("trace-id");
        }
        if headers["x-portkey-cache-status"] == "MISS" && case["config"]["cache"].is_null() {
            headers["x-portkey-cache-status"] = "DISABLED".into();
            rules.push("cache-status");
        }
    } else if answer["status"] != 200 {
        headers["x-portkey-trace-id"] = "<any>".into();
        for name in OF_TARGETS {
            headers[name] = "".into();
        }
        rules.push("trace-id");
    }
    if answer["status"] == 200 && answer.get("body").is_none() && answer["portkey"] == true {
        answer["body"] = completion(&Value::Null);
    }
    if answer["body"]["error"]["message"] == DENIED {
        answer["body"]["error"]["message"] = format!("{DENIED} Failed: default.*").into();
        rules.push("denials");
    }
    let plain =
        answer["body"]["error"]["message"].as_str().and_then(|told| told.strip_prefix("openai error: "));
    if let Some(plain) = plain.map(str::to_owned) {
        answer["body"] =
            json!({"error": {"message": plain, "type": "server_error", "param": null, "code": null}});
        rules.push("openai-errors");
    }
    if answer["body"]["status"] == "failure" {
        rules.push("error-object");
    }
    answer["headers"] = headers;
    (answer, rules)
}

async fn differences(client: &Client, upstream: &Turns, case: &Value) -> Vec<String> {
    let answers = case["upstream"].as_array().cloned().unwrap_or_else(|| vec![json!({})]);
    upstream.restart(answers);
    let private = upstream.url().replace("127.0.0.1", "127.0.0.2");
    let here = |text: &str| text.replace("{upstream}", &upstream.url()).replace("{private}", &private);
    let method = case["method"].as_str().unwrap_or("POST");
    let path = case["path"].as_str().unwrap_or("/v1/chat/completions");
    let mut request = client.request(method, path).header("x-portkey-api-key", KEY);
    let body = match (case.get("body"), case["text"].as_str()) {
        (_, Some(text)) => text.to_owned(),
        (Some(Value::Null), _) => String::new(),
        (Some(body), _) => body.to_string(),
        (None, _) => {
            json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello world"}]}).to_string()
        }
    };
    let headers = &case["headers"];
    if headers.get("content-type").is_none() {
        request = request.header("content-type", "application/json");
    }
    request = request.header("authorization", headers["authorization"].as_str().unwrap_or("Bearer K"));
    if let Some(config) = case.get("config") {
        request = request.header("x-portkey-config", here(&config.to_string()));
    }
    for (name, value) in
        headers.as_object().into_iter().flatten().filter(|(name, _)| *name != "authorization")
    {
        request = request.header(name, here(value.as_str().expect("a header")));
    }
    let mut answer = request.body(body).send().await;
    let text = answer.text().await;
    let (wanted, _) = expected(case);
    let mut wrong = Wrong { name: format!("{} ({})", id(case), case["name"]), text: &text, told: Vec::new() };
    wrong.check("status", &wanted["status"], &json!(answer.status));
    if wanted.get("reason").is_some() {
        wrong.check("reason", &wanted["reason"], &json!(answer.reason));
    }
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let found = answer.header(name);
        let found = if name == "content-type" { found.split(';').next().unwrap_or_default() } else { found };
        let value = if value.is_null() { &json!("") } else { value };
        wrong.check(name, value, &json!(found));
    }
    if let Some(body) = wanted.get("body") {
        wrong.body(body);
    }
    let calls = case["differs"].get("calls").unwrap_or(&case["calls"]).as_array().expect("calls");
    wrong.calls(calls, &upstream.calls());
    wrong.told
}

/// What came out differently in one case.
struct Wrong<'a> {
    name: String,
    text: &'a str,
    told: Vec<String>,
}

impl Wrong<'_> {
    fn check(&mut self, what: &str, wanted: &Value, found: &Value) {
        if !guardrails::fits(wanted, found) {
            self.told.push(format!("{}: {what} is {found}, not {wanted}; {}", self.name, self.text));
        }
    }

    fn body(&mut self, wanted: &Value) {
        let found: Value = serde_json::from_str(self.text).unwrap_or(Value::Null);
        match wanted {
            Value::String(text) => self.check("text", &json!(text), &json!(self.text)),
            Value::Object(body) if body.contains_key("events") => {
                let events = self.text.split("\n\n").filter(|event| !event.is_empty()).map(|event| {
                    let data = event.strip_prefix("data: ").unwrap_or(event);
                    serde_json::from_str(data).unwrap_or(Value::String(data.to_owned()))
                });
                self.check("events", &body["events"], &events.collect());
            }
            _ if wanted["status"] == "failure" => {
                // Beside Portkey's members stands OpenAI's error, which SDKs show.
                if found["error"]["message"].as_str().is_none_or(str::is_empty) {
                    self.told.push(format!("{}: no error.message in {}", self.name, self.text));
                }
                let mut found = found;
                if let Some(members) = found.as_object_mut() {
                    members.remove("error");
                }
                self.check("body", wanted, &found);
            }
            _ => self.check("body", wanted, &found),
        }
    }

    fn calls(&mut self, wanted: &[Value], found: &[Call]) {
        self.check("calls", &json!(wanted.len()), &json!(found.len()));
        for (at, (wanted, call)) in wanted.iter().zip(found).enumerate() {
            let or = |name: &str, usual: &str| wanted.get(name).cloned().unwrap_or_else(|| usual.into());
            self.check("method", &or("method", "POST"), &json!(call.method));
            self.check("url", &or("url", "/v1/chat/completions"), &json!(call.target));
            for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
                let header = call.headers.iter().find(|(found, _)| found == name);
                self.check(&format!("upstream's {name}"), value, &json!(header.map(|(_, value)| value)));
            }
            let leaked = call
                .headers
                .iter()
                .find(|(name, value)| name.starts_with("x-portkey") || value.contains(KEY));
            self.check("what leaked upstream", &Value::Null, &json!(leaked));
            if let Some(body) = wanted["body"].as_str() {
                self.check("upstream's body", &json!(body), &json!(call.text));
            }
            if let Some(least) = wanted["after_ms"].as_u64() {
                let waited = call.at.duration_since(found[at - 1].at).as_millis();
                // A quarter of jitter above, and what a busy machine adds.
                let right = waited >= u128::from(least) && waited < u128::from(least * 5 / 4 + 900);
                self.check(&format!("wait of {waited} ms right ({least})"), &json!(true), &json!(right));
            }
        }
    }
}
