//! Cases from files: guards around one call, what an upstream of their own says, and what must come of it.
//!
//! `guards` are members of the only target, `config` is a whole config; an object with `"to": "upstream"` is aimed at
//! the case's upstream. Expected results name what is special: members that are left out have their usual values, and
//! `<any>`, `<number>`, `<time>` and texts that end with `*` stand for what differs each time.

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tidegate_tests::Client;

use crate::support::{KEY, World};
use crate::turns::{Turns, completion};

/// Portkey's sentence, and behind it which checks failed and why.
const DENIED: &str = "The guardrail checks defined in the config failed. You can find more information in the \
                      `hook_results` object. Failed: *";

/// Reads cases.
pub(super) fn read(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("cases")
}

/// Runs cases and panics with all that came out differently.
pub(super) async fn run(world: &World, cases: &[Value]) {
    // The key goes into its own header: Authorization is left for a user's token.
    let client = world.gateway.client();
    let mut wrong = Vec::new();
    for some in cases.chunks(8) {
        let found = join_all(some.iter().map(|case| differences(&client, case))).await;
        wrong.extend(found.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Aims a config at an upstream.
fn aimed(value: &Value, url: &str) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|value| aimed(value, url)).collect(),
        Value::Object(members) => {
            let mut aimed: Map<String, Value> =
                members.iter().map(|(name, value)| (name.clone(), self::aimed(value, url))).collect();
            if aimed.get("to") == Some(&json!("upstream")) {
                aimed.remove("to");
                aimed.entry("provider").or_insert("openai".into());
                aimed.insert("api_key".into(), "K".into());
                aimed.insert("custom_host".into(), format!("{url}/v1").into());
            }
            aimed.into()
        }
        other => other.clone(),
    }
}

async fn differences(client: &Client, case: &Value) -> Vec<String> {
    let answers = match case.get("upstream") {
        Some(answers) => answers.as_array().expect("answers").clone(),
        None => vec![json!({ "says": case["says"] })],
    };
    let upstream = Turns::start(answers).await;
    let config = case.get("config").cloned().unwrap_or_else(|| {
        let mut target = case["guards"].clone();
        target["to"] = "upstream".into();
        target
    });
    let mut body = case.get("body").cloned().unwrap_or_else(|| {
        let ask = case["ask"].as_str().unwrap_or("hello world");
        json!({"model": "gpt-4o", "messages": [{"role": "user", "content": ask}]})
    });
    if case["stream"] == true {
        body["stream"] = true.into();
    }
    let path = case["path"].as_str().unwrap_or("/v1/chat/completions");
    let mut request = client.post(path, &body).header("x-portkey-api-key", KEY);
    request = request.header("x-portkey-config", aimed(&config, &upstream.url()).to_string());
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().expect("a header"));
    }
    let mut answer = request.send().await;
    let expect = &case["expect"];
    let mut wrong = Wrong { name: case["name"].as_str().expect("a name"), told: Vec::new() };
    let (body, events) = if expect.get("events").is_some() {
        let data = answer.events().await;
        let shown = data.iter().map(|event| if event.is_done() { json!("[DONE]") } else { event.json() });
        (Value::Null, shown.collect())
    } else {
        let text = answer.text().await;
        (serde_json::from_str(&text).unwrap_or(Value::String(text)), Value::Null)
    };
    wrong.check("status", &expect["status"], &json!(answer.status), &body);
    wrong.check("reason", &expect["reason"], &json!(answer.reason), &body);
    wrong.check("events", &expect["events"], &events, &body);
    let or = |name: &str, usual: &str| expect.get(name).cloned().unwrap_or_else(|| usual.into());
    if answer.status != 400 {
        wrong.check(
            "option index",
            &or("option_index", "config"),
            &json!(answer.header("x-portkey-last-used-option-index")),
            &body,
        );
        wrong.check(
            "retries",
            &or("retries", "0"),
            &json!(answer.header("x-portkey-retry-attempt-count")),
            &body,
        );
        wrong.check(
            "provider",
            &or("provider", "openai"),
            &json!(answer.header("x-portkey-provider")),
            &body,
        );
        wrong.check("trace id", &json!("<any>"), &json!(answer.header("x-portkey-trace-id")), &body);
    }
    let calls = upstream.calls();
    wrong.check("calls", &expect["calls"], &json!(calls.len()), &body);
    for call in &calls {
        wrong.check("key", &json!("K"), &json!(call.key), &body);
        wrong.check("path", &json!(path), &json!(call.target), &body);
    }
    let of_calls = |what: fn(&Value) -> Value| calls.iter().map(|call| what(&call.body)).collect::<Value>();
    wrong.check("bodies", &expect["bodies"], &of_calls(Value::clone), &body);
    wrong.check("sent", &expect["sent"], &of_calls(last_content), &body);
    if let Some(wanted) = wanted_body(expect) {
        wrong.check("body", &wanted, &body, &Value::Null);
    }
    if let Some(part) = expect["message"].as_str() {
        let found = body["error"]["message"].as_str().is_some_and(|message| message.contains(part));
        wrong.check("message", &json!(true), &json!(found), &body);
    }
    if let Some(part) = expect["error"].as_str() {
        let found = body.to_string().contains(part);
        wrong.check("error said", &json!(true), &json!(found), &body);
    }
    for (pointer, wanted) in expect["at"].as_object().into_iter().flatten() {
        wrong.check(pointer, wanted, body.pointer(pointer).unwrap_or(&Value::Null), &body);
    }
    for pointer in expect["without"].as_array().into_iter().flatten() {
        let pointer = pointer.as_str().expect("a pointer");
        wrong.check(pointer, &json!(false), &json!(body.pointer(pointer).is_some()), &body);
    }
    if let Some(most) = expect["within_ms"].as_u64() {
        let took = calls.last().map_or(0, |last| last.at.duration_since(calls[0].at).as_millis());
        wrong.check(&format!("{took} ms in time"), &json!(true), &json!(took <= u128::from(most)), &body);
    }
    wrong.told
}

/// What came out differently in one case.
struct Wrong<'a> {
    name: &'a str,
    told: Vec<String>,
}

impl Wrong<'_> {
    fn check(&mut self, what: &str, wanted: &Value, found: &Value, body: &Value) {
        let asked = !wanted.is_null() || what.starts_with('/');
        if asked && !fits(wanted, found) {
            self.told.push(format!("{}: {what} is {found}, not {wanted}; {body}", self.name));
        }
    }
}

fn last_content(body: &Value) -> Value {
    body["messages"]
        .as_array()
        .and_then(|messages| messages.last())
        .map_or(Value::Null, |last| last["content"].clone())
}

/// The whole body that is expected, if the case says enough.
fn wanted_body(expect: &Value) -> Option<Value> {
    let hooks =
        |side: &str| expect.get(side).map(|list| list.as_array().expect("hooks").iter().map(hook).collect());
    let (before, after): (Option<Value>, Option<Value>) = (hooks("before"), hooks("after"));
    let has_results = before.is_some() || after.is_some();
    let none = || json!([]);
    let results = json!({
        "before_request_hooks": before.unwrap_or_else(none), "after_request_hooks": after.unwrap_or_else(none),
    });
    let mut body = match (expect.get("body"), expect.get("answer"), expect.get("rewritten")) {
        (Some(body), ..) => body.clone(),
        (None, Some(says), _) => completion(says),
        (None, None, Some(says)) => rewritten(says),
        (None, None, None) if expect["status"] == 446 && has_results => {
            json!({"error": {"message": DENIED, "type": "hooks_failed", "param": null, "code": null}})
        }
        (None, None, None) => return None,
    };
    if has_results {
        body["hook_results"] = results;
    }
    Some(body)
}

/// An answer that the gateway wrote itself, as it writes translated ones.
fn rewritten(says: &Value) -> Value {
    let mut body = completion(says);
    body["provider"] = "openai".into();
    for choice in body["choices"].as_array_mut().expect("choices") {
        choice["logprobs"] = Value::Null;
    }
    body["usage"]["prompt_tokens_details"] = json!({"cached_tokens": 0});
    body["usage"]["completion_tokens_details"] = json!({"reasoning_tokens": 0});
    body
}

/// A whole hook result: what is not said is as usual.
fn hook(said: &Value) -> Value {
    let mut hook = json!({
        "verdict": true, "id": "<any>", "transformed": false, "checks": "<any>", "feedback": null,
        "execution_time": "<number>", "async": false, "type": "guardrail", "created_at": "<time>", "deny": false,
    });
    for (name, value) in said.as_object().expect("a hook") {
        hook[name] = if name == "checks" {
            value.as_array().expect("checks").iter().map(check).collect()
        } else {
            value.clone()
        };
    }
    hook
}

fn check(said: &Value) -> Value {
    let mut check = json!({
        "data": "<any>", "verdict": true, "id": "<any>", "execution_time": "<number>", "transformed": false,
        "created_at": "<time>", "log": null, "fail_on_error": false,
    });
    for (name, value) in said.as_object().expect("a check") {
        check[name] = value.clone();
    }
    check
}

/// Whether a value is as a pattern says.
pub(crate) fn fits(pattern: &Value, found: &Value) -> bool {
    match (pattern, found) {
        (Value::String(pattern), found) if pattern == "<any>" => !found.is_null() && found != "",
        (Value::String(pattern), found) if pattern == "<number>" => found.is_u64(),
        (Value::String(pattern), Value::String(found)) if pattern == "<time>" => {
            found.len() == "2026-11-21T19:41:20.141Z".len()
                && found.ends_with('Z')
                && found.as_bytes()[10] == b'T'
        }
        (Value::String(pattern), Value::String(found)) => match pattern.strip_suffix('*') {
            Some(begin) if begin.len() > 3 => found.starts_with(begin),
            _ => pattern == found,
        },
        (Value::Array(pattern), Value::Array(found)) => {
            pattern.len() == found.len()
                && pattern.iter().zip(found).all(|(pattern, found)| fits(pattern, found))
        }
        (Value::Object(pattern), Value::Object(found)) => {
            pattern.len() == found.len()
                && pattern
                    .iter()
                    .all(|(name, pattern)| found.get(name).is_some_and(|found| fits(pattern, found)))
        }
        (pattern, found) => pattern == found,
    }
}
