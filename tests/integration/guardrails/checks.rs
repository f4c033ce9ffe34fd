//! Every check of the bundled `default` plugin, once passing and once failing, and what it takes to reach out.

use serde_json::{Value, json};
use tidegate_tests::{Mock, wait};

use super::elsewhere::Elsewhere;
use super::{cases, settings, warmed};
use crate::support::{World, chat};

/// `k` of the key that signed the tokens below.
pub(super) const SHARED_SECRET: &str = "YSBzaGFyZWQgc2VjcmV0IG9mIHRoZSB0ZXN0cywgbG9uZyBlbm91Z2g";
/// `{"sub": "ada", "scope": "chat read"}`
const GOOD: &str = "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogImsxIn0.eyJzdWIiOiAiYWRhIiwgInNjb3BlIjogImNoYXQgcmVhZCJ9.\
                    Ty9TtNMPRnSCU5locRR5qxSbamnU---C1jakTiDi43A";
/// `{"sub": "ada", "exp": 1700000000}`
const OLD: &str = "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogImsxIn0.eyJzdWIiOiAiYWRhIiwgImV4cCI6IDE3MDAwMDAwMDB9.\
                   F049oLrpxyMM5lRC7tF46OWX6hTl0SqdK-hSdWCN2YM";
/// The good one, signed with another secret.
const FORGED: &str = "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogImsxIn0.eyJzdWIiOiAiYWRhIiwgInNjb3BlIjogImNoYXQgcmVhZCJ9.\
                      oVUV9FAiMi1LdAAbREff3kHmli_m3IKGrvQe6ZLIsg4";

/// A gateway that lets the plugin reach a server.
async fn granted(elsewhere: &Elsewhere) -> World {
    let mock = Mock::start();
    let plugin = format!(
        "[[plugin]]\nid = \"default\"\n\
         grants = [\"http:{host}\", \"kv\", \"header:authorization\", \"header:x-user-token\", \"header:x-tenant\"]\n\
         config = {{ dns_over_https = \"http://{host}/dns\" }}",
        host = elsewhere.authority()
    );
    let settings = settings(&mock, &plugin);
    warmed(mock, settings).await
}

/// The case of one row: `passes`, `fails` or `errs`.
fn case(row: &Value, outcome: &str) -> Option<Value> {
    let mut case = row.get(outcome)?.clone();
    let id = format!("default.{}", row["check"].as_str().expect("a name"));
    let side = if row["side"] == "output" { "after" } else { "before" };
    let (passes, errs) = (outcome == "passes", outcome == "errs");
    let status = if passes || errs { 200 } else { 446 };
    let status = case.get("status").cloned().unwrap_or(status.into());
    let pointer = format!("/hook_results/{side}_request_hooks/0/checks/0");
    let mut at = json!({ format!("{pointer}/id"): id, format!("{pointer}/verdict"): passes });
    let mut without = Vec::new();
    if errs {
        at[format!("{pointer}/error/name")] = "<any>".into();
    } else {
        without.push(format!("{pointer}/error"));
    }
    if outcome == "fails" {
        let explains = case.get("explains").cloned().unwrap_or_else(|| "<any>".into());
        at[format!("{pointer}/data/explanation")] = explains;
    }
    let calls = if status == 200 || side == "after" { 1 } else { 0 };
    let mut expect = json!({"status": status, "calls": calls, "at": at, "without": without});
    for name in ["sent", "message"] {
        if let Some(value) = case.get(name) {
            let name = if name == "message" { "error" } else { name };
            expect[name] = value.clone();
        }
    }
    let hooks = json!([{"id": "g", "deny": true, "checks": [{"id": id, "parameters": row["parameters"]}]}]);
    case["name"] = format!("{id} {} {outcome}", row["parameters"]).into();
    case["guards"] = json!({ format!("{side}_request_hooks"): hooks });
    case["expect"] = expect;
    Some(case)
}

#[tokio::test]
async fn every_default_check_passes_and_fails_through_the_gateway() {
    let elsewhere = Elsewhere::start().await;
    let world = granted(&elsewhere).await;
    let text = include_str!("../../fixtures/guardrails/checks.json")
        .replace("{elsewhere}", &format!("http://{}", elsewhere.authority()))
        .replace("{shared}", SHARED_SECRET)
        .replace("{good}", GOOD)
        .replace("{old}", OLD)
        .replace("{forged}", FORGED);
    let rows: Vec<Value> = serde_json::from_str(&text).expect("checks");
    let outcomes = ["passes", "fails", "errs"];
    let all: Vec<Value> =
        rows.iter().flat_map(|row| outcomes.iter().filter_map(|outcome| case(row, outcome))).collect();
    assert!(all.len() > 80, "cases are missing: {}", all.len());
    cases::run(&world, &all).await;
}

async fn ask(world: &World, guards: Value) -> Value {
    let request = world.client.chat(&chat("@openai-prod/mock", "hello you"));
    let request = request
        .header("x-portkey-metadata", r#"{"team": "red"}"#)
        .header("x-tenant", "t1")
        .header("x-other", "o1");
    let mut answer = request.header("x-portkey-config", guards.to_string()).send().await;
    answer.json().await
}

#[tokio::test]
async fn a_webhook_is_told_what_portkey_tells() {
    let elsewhere = Elsewhere::start().await;
    let world = granted(&elsewhere).await;
    let url = format!("http://{}/yes", elsewhere.authority());
    let check = json!([{"webhook": {"webhookURL": url, "headers": {"x-secret": "s3"}, "forwardHeaders": ["x-tenant", "x-other"]}}]);
    ask(&world, json!({"input_guardrails": check, "output_guardrails": check})).await;
    let calls = elsewhere.calls("/yes");
    assert_eq!(calls.len(), 2, "{calls:#?}");
    for call in &calls {
        assert!(call.line.starts_with("POST ") && call.head.contains("x-secret: s3"), "{call:#?}");
        assert!(!call.head.contains("tg-key-of-the-tests"), "{call:#?}");
        let told = &call.body;
        assert_eq!(
            (&told["requestType"], &told["provider"]),
            (&json!("chatComplete"), &json!("openai-prod")),
            "{told}"
        );
        assert_eq!(told["metadata"]["team"], "red", "{told}");
        assert_eq!(told["request"]["isStreamingRequest"], false, "{told}");
        assert_eq!(told["request"]["headers"], json!({"x-tenant": "t1"}), "only what was granted: {told}");
    }
    let (before, after) = (&calls[0].body, &calls[1].body);
    assert_eq!(before["eventType"], "beforeRequestHook", "{before}");
    assert_eq!(before["request"]["text"], "hello you", "{before}");
    assert_eq!(before["request"]["json"]["messages"][0]["content"], "hello you", "{before}");
    assert_eq!(after["eventType"], "afterRequestHook", "{after}");
    assert_eq!(
        (&after["response"]["text"], &after["response"]["statusCode"]),
        (&json!("echo: hello you"), &json!(200)),
        "{after}"
    );
    assert_eq!(after["response"]["json"]["choices"][0]["message"]["content"], "echo: hello you", "{after}");
}

/// Those that nobody waits for are shown as much as others, also where nobody else wants it.
#[tokio::test]
async fn an_asynchronous_webhook_is_told_as_much() {
    let elsewhere = Elsewhere::start().await;
    let world = granted(&elsewhere).await;
    let webhook = json!({"webhookURL": format!("http://{}/yes", elsewhere.authority()), "forwardHeaders": ["x-tenant"]});
    let check = json!([{"async": true, "webhook": webhook}]);
    let guards = json!({"input_guardrails": check, "output_guardrails": check});
    ask(&world, guards.clone()).await;
    let mut streamed = chat("@openai-prod/mock", "hello you");
    streamed["stream"] = true.into();
    let request = world.client.chat(&streamed).header("x-portkey-metadata", r#"{"team": "red"}"#);
    let request = request.header("x-tenant", "t1").header("x-portkey-config", guards.to_string());
    assert!(request.send().await.text().await.ends_with("data: [DONE]\n\n"));
    let calls = wait::until("all four calls", || {
        let calls = elsewhere.calls("/yes");
        (calls.len() == 4).then_some(calls)
    });
    for told in calls.await.iter().map(|call| &call.body) {
        assert_eq!(told["metadata"]["team"], "red", "{told}");
        assert_eq!(told["request"]["headers"], json!({"x-tenant": "t1"}), "{told}");
        let is_whole = told["request"]["isStreamingRequest"] == false;
        if told["eventType"] == "beforeRequestHook" {
            assert_eq!(told["request"]["json"]["messages"][0]["content"], "hello you", "{told}");
        } else if is_whole {
            assert_eq!(
                told["response"]["json"]["choices"][0]["message"]["content"], "echo: hello you",
                "{told}"
            );
        } else {
            assert_eq!(told["response"]["text"], "echo: hello you", "{told}");
        }
    }
}

#[tokio::test]
async fn a_webhook_may_write_an_answer_anew() {
    let elsewhere = Elsewhere::start().await;
    let world = granted(&elsewhere).await;
    let url = format!("http://{}/rewrite", elsewhere.authority());
    let answer = ask(&world, json!({"output_guardrails": [{"webhook": {"webhookURL": url}}]})).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "rewritten elsewhere", "{answer}");
    assert_eq!(answer["hook_results"]["after_request_hooks"][0]["transformed"], true, "{answer}");
}

#[tokio::test]
async fn keys_of_tokens_are_kept_for_a_while() {
    let elsewhere = Elsewhere::start().await;
    let world = granted(&elsewhere).await;
    let uri = format!("http://{}/keys", elsewhere.authority());
    let guards =
        json!({"input_guardrails": [{"deny": true, "jwt": {"jwksUri": uri, "headerKey": "x-user-token"}}]})
            .to_string();
    for _ in 0..3 {
        let request = world.client.chat(&chat("@openai-prod/mock", "hi")).header("x-portkey-config", &guards);
        request.header("x-user-token", GOOD).send().await.expect(200).await;
    }
    assert_eq!(elsewhere.calls("/keys").len(), 1);
}

#[tokio::test]
async fn without_a_grant_nobody_is_asked_and_the_error_says_so() {
    let elsewhere = Elsewhere::start().await;
    let mock = Mock::start();
    let none = settings(&mock, "");
    let ungranted = warmed(mock, none).await;
    let mock = Mock::start();
    let other = settings(&mock, "[[plugin]]\nid = \"default\"\ngrants = [\"http:hooks.example.com\"]");
    let otherwise = warmed(mock, other).await;
    let base = format!("http://{}", elsewhere.authority());
    for world in [&ungranted, &otherwise] {
        for (name, parameters) in [
            ("webhook", json!({"webhookURL": format!("{base}/yes")})),
            ("log", json!({"logURL": format!("{base}/log")})),
            ("jwt", json!({"introspectEndpoint": format!("{base}/introspect"), "headerKey": "x-user-token"})),
        ] {
            let answer = ask(world, json!({"input_guardrails": [{ name: parameters }]})).await;
            let check = &answer["hook_results"]["before_request_hooks"][0]["checks"][0];
            assert_eq!(check["verdict"], false, "{name}: {answer}");
            if name == "jwt" {
                // The header is not shown either, so it is not there.
                assert_eq!(check["data"]["explanation"], "Missing authorization header", "{answer}");
                continue;
            }
            let message = check["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
            assert!(message.contains("grant"), "{name}: {message}");
        }
        let guards = json!({"input_guardrails": [{"validUrls": {}}]}).to_string();
        let request = world.client.chat(&chat("@openai-prod/mock", &format!("see {base}/page")));
        let answer = request.header("x-portkey-config", guards).send().await.json().await;
        let check = &answer["hook_results"]["before_request_hooks"][0]["checks"][0];
        let message = check["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
        assert!(message.contains("grant"), "a link that may not be asked for is no bad link: {message}");
    }
    for path in ["/yes", "/log", "/introspect", "/page"] {
        assert!(elsewhere.calls(path).is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_private_host_is_closed_although_it_is_granted() {
    let elsewhere = Elsewhere::start().await;
    let mock = Mock::start();
    let grant = format!("[[plugin]]\nid = \"default\"\ngrants = [\"http:{}\"]", elsewhere.authority());
    let settings = crate::support::providers(&mock).toml(&grant).key("tests", crate::support::KEY, "");
    let world = warmed(mock, settings).await;
    let url = format!("http://{}/yes", elsewhere.authority());
    let answer = ask(&world, json!({"input_guardrails": [{"webhook": {"webhookURL": url}}]})).await;
    let message =
        answer["hook_results"]["before_request_hooks"][0]["checks"][0]["error"]["message"].to_string();
    assert!(message.contains("private") && message.contains("trusted_hosts"), "{answer}");
    assert!(elsewhere.calls("/yes").is_empty());
}
