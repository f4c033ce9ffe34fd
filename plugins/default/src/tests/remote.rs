//! Checks that ask others.

use serde_json::{Value, json};
use tidegate_plugin_sdk::http::HttpResponse;
use tidegate_plugin_sdk::testing::{FakeHost, check};
use tidegate_plugin_sdk::{CheckError, Judgement, Subject, Verdict};

use crate::Default;

fn run(name: &str, params: &Value, subject: &Subject) -> Result<Judgement, CheckError> {
    check::<Default>(name, &params.to_string(), subject)
}

fn data(json: &Option<String>) -> Value {
    serde_json::from_str(json.as_deref().unwrap()).unwrap()
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    HttpResponse { status, headers, body: body.to_string().into_bytes() }
}

fn chat(text: &str) -> Subject {
    let mut subject = Subject::input(text);
    subject.call.endpoint = "/v1/chat/completions".to_owned();
    subject.call.provider = Some("openai".to_owned());
    subject.call.metadata = vec![("team".to_owned(), "red".to_owned())];
    subject.call.extra = vec![("header:x-user".to_owned(), "bob".to_owned())];
    subject.body_json = Some(json!({"model": "m", "messages": []}).to_string());
    subject
}

#[test]
fn a_webhook_gets_portkeys_context_and_judges() {
    let host = FakeHost::install();
    host.on_http(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((request.method.as_str(), request.timeout_ms), ("POST", 3_000));
        assert!(request.headers.contains(&("x-key".to_owned(), "k".to_owned())), "{:?}", request.headers);
        assert_eq!(body["request"]["json"], json!({"model": "m", "messages": []}));
        assert_eq!(
            (&body["request"]["text"], &body["eventType"]),
            (&json!("hi"), &json!("beforeRequestHook"))
        );
        assert_eq!((&body["provider"], &body["requestType"]), (&json!("openai"), &json!("chatComplete")));
        assert_eq!(
            (&body["metadata"]["team"], &body["request"]["headers"]["x-user"]),
            (&json!("red"), &json!("bob"))
        );
        Ok(answer(200, &json!({"verdict": false, "data": {"why": "so"}})))
    });
    let params =
        json!({"webhookURL": "https://w.example/", "headers": {"x-key": "k"}, "forwardHeaders": ["x-user"]});
    let judgement = run("webhook", &params, &chat("hi")).unwrap();
    assert!(matches!(judgement.verdict, Verdict::Fail(_)), "{judgement:?}");
    let expected = json!({
        "verdict": false, "explanation": "Webhook request failed", "webhookUrl": "https://w.example/",
        "responseData": {"why": "so"}, "requestContext": {"timeout": 3000},
    });
    assert_eq!(data(&judgement.data_json), expected);
}

#[test]
fn a_webhook_may_rewrite_what_goes_its_way() {
    let host = FakeHost::install();
    host.on_http(|_| {
        let rewritten = json!({"request": {"json": {"model": "x"}}, "response": {"json": {"id": 1}}});
        Ok(answer(200, &json!({"verdict": true, "transformedData": rewritten})))
    });
    let params = json!({"webhookURL": "https://w.example/"});
    let verdict = |subject: &Subject| run("webhook", &params, subject).unwrap().verdict;
    assert_eq!(verdict(&chat("hi")), Verdict::Rewrite(r#"{"model":"x"}"#.to_owned()));
    assert_eq!(verdict(&Subject::output("hi")), Verdict::Rewrite(r#"{"id":1}"#.to_owned()));
}

#[test]
fn a_webhook_that_breaks_is_an_error() {
    let host = FakeHost::install();
    let params = json!({"webhookURL": "https://w.example/"});
    assert_eq!(run("webhook", &params, &chat("hi")).unwrap_err().name, "HttpError");
    host.on_http(|_| Ok(answer(500, &json!({"oh": "no"}))));
    let error = run("webhook", &params, &chat("hi")).unwrap_err();
    assert_eq!(error.message, "HTTP error! status: 500");
    assert_eq!(data(&error.data_json)["responseData"], json!({"oh": "no"}));
    host.on_http(|_| Ok(answer(200, &json!({"fine": true}))));
    assert_eq!(run("webhook", &params, &chat("hi")).unwrap_err().message, "The webhook gave no verdict");
    assert_eq!(run("webhook", &json!({}), &chat("hi")).unwrap_err().message, "Missing webhook URL");
    let params = json!({"webhookURL": "https://w.example/", "headers": "{"});
    assert!(run("webhook", &params, &chat("hi")).unwrap_err().message.starts_with("Failed to parse headers"));
}

#[test]
fn logs_always_pass() {
    let host = FakeHost::install();
    host.on_http(|_| Ok(answer(204, &Value::Null)));
    let judgement = run("log", &json!({"logURL": "https://l.example/"}), &chat("hi")).unwrap();
    assert_eq!(data(&judgement.data_json), json!({"message": "Logged the request to https://l.example/"}));
    assert_eq!(judgement.verdict, Verdict::Pass);
}

#[test]
fn links_are_tried() {
    let host = FakeHost::install();
    host.on_http(|request| {
        let (status, headers) = match request.url.as_str() {
            "https://good.example/a" => (200, vec![]),
            "https://moved.example" => {
                (301, vec![("Location".to_owned(), "https://good.example/a".to_owned())])
            }
            "https://loop.example/x" => (302, vec![("location".to_owned(), "/x".to_owned())]),
            _ => (404, vec![]),
        };
        Ok(HttpResponse { status, headers, body: Vec::new() })
    });
    let verdict = |text: &str, params: Value| {
        let judgement = run("validUrls", &params, &Subject::output(text)).unwrap();
        (judgement.verdict == Verdict::Pass, data(&judgement.data_json))
    };
    assert!(verdict("see https://good.example/a, https://moved.example", json!({})).0);
    let (passes, found) =
        verdict("[https://good.example/a] http://bad.example https://loop.example/x", json!({}));
    assert!(!passes);
    assert_eq!(found["invalidUrls"], json!(["http://bad.example", "https://loop.example/x"]));
    assert!(verdict("http://bad.example", json!({"not": true})).0);
    assert_eq!(verdict("http no links https://", json!({})).1["explanation"], "No URLs found in the text.");
}

#[test]
fn names_of_links_are_looked_up_through_the_operators_resolver() {
    let host = FakeHost::install();
    host.set_config("dns_over_https", "https://dns.example/q");
    host.on_http(|request| {
        let known = request.url == "https://dns.example/q?name=good.example";
        Ok(answer(200, &json!({"Status": if known { 0 } else { 3 }, "Answer": [{"data": "192.0.2.1"}]})))
    });
    let passes = |text: &str| {
        run("validUrls", &json!({"onlyDNS": true}), &Subject::output(text)).unwrap().verdict == Verdict::Pass
    };
    assert!(passes("https://user@good.example:8443/a?b"));
    assert!(!passes("https://bad.example") && !passes("https://%zz/"));
}

#[test]
fn images_are_fetched_into_the_request() {
    let host = FakeHost::install();
    host.on_http(|request| match request.url.as_str() {
        "https://i.example/a.png?x" => {
            Ok(HttpResponse { status: 200, body: b"abc".to_vec(), ..HttpResponse::default() })
        }
        _ => Err("refused".to_owned()),
    });
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let mut subject = chat("look");
    let parts = json!([image("https://i.example/a.png?x"), image("data:x"), image("https://other.example/")]);
    subject.body_json = Some(json!({"messages": [{"role": "user", "content": parts}]}).to_string());
    let judgement = run("inlineImageUrls", &json!({}), &subject).unwrap();
    let Verdict::Rewrite(body) = &judgement.verdict else { panic!("{judgement:?}") };
    let body: Value = serde_json::from_str(body).unwrap();
    let first = &body["messages"][0]["content"][0]["image_url"];
    assert_eq!(first, &json!({"url": "data:image/png;base64,YWJj", "mime_type": "image/png"}));
    assert_eq!(data(&judgement.data_json)["errors"][0]["url"], "https://other.example/");
    assert_eq!(
        run("inlineImageUrls", &json!({"failOnError": true}), &subject).unwrap_err().message,
        "refused"
    );
    let too_small = run("inlineImageUrls", &json!({"maxSizeBytes": 2}), &subject).unwrap();
    assert_eq!(data(&too_small.data_json)["imagesConverted"], 0);
    let elsewhere = run("inlineImageUrls", &json!({"providers": ["google"]}), &subject).unwrap();
    assert_eq!(data(&elsewhere.data_json)["skipped"], true);
}
