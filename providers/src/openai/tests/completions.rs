//! Legacy completions.

use serde_json::{Value, json};

use super::{encode, options};
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::event::{Event, FinishKind, FinishReason};
use crate::openai::CompletionsCodec;
use crate::usage::Usage;
use crate::{Inbound, Outbound};

#[test]
fn the_prompt_is_a_user_message() {
    for prompt in [json!("Say hi"), json!(["Say hi"])] {
        let body =
            json!({"model": "m", "prompt": prompt, "max_tokens": 5, "logprobs": 2, "stop": ["\n"], "x": 1});
        let call = CompletionsCodec.read_call(&body).unwrap();
        assert_eq!(call.messages[0].parts, [Part::text("Say hi")]);
        assert_eq!((call.logprobs, call.top_logprobs, call.max_tokens), (Some(true), Some(2), Some(5)));
        assert_eq!(Value::Object(call.extra), json!({"x": 1}));
    }
}

#[test]
fn what_a_chat_model_can_not_do_is_refused() {
    for (body, param) in [
        (json!({}), "prompt"),
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"prompt": [[1, 2]]}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": "a", "suffix": "b"}), "suffix"),
        (json!({"prompt": "a", "echo": true}), "echo"),
        (json!({"prompt": "a", "best_of": 2}), "best_of"),
    ] {
        let error = CompletionsCodec.read_call(&body).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
    let harmless = json!({"prompt": "a", "suffix": "", "echo": false, "best_of": 1, "logprobs": null});
    assert!(CompletionsCodec.read_call(&harmless).is_ok());
}

#[test]
fn a_whole_answer_is_a_text_completion() {
    let parts = vec![Part::Thinking { text: "hm".into(), signature: None }, Part::text("Hi")];
    let finish = Some(FinishReason::new(FinishKind::Stop, "end_turn"));
    let choices = vec![Choice { parts, finish, logprobs: None }];
    let usage = Some(Usage { input: 1, output: 2, ..Usage::default() });
    let answer = Answer { id: "a".into(), model: "m".into(), created: 9, choices, usage };
    let got = CompletionsCodec.write_answer(&answer, &options(true));
    assert_eq!(got["object"], "text_completion");
    assert_eq!(
        got["choices"],
        json!([{"text": "Hi", "index": 0, "logprobs": null, "finish_reason": "stop"}])
    );
    assert_eq!(got["usage"]["total_tokens"], 3);
}

#[test]
fn a_stream_has_text_finish_usage_and_end() {
    let events = [
        Event::Start { id: "a".into(), model: "m".into(), created: 9 },
        Event::Reasoning { choice: 0, text: "hm".into() },
        Event::Text { choice: 0, text: "Hi".into() },
        Event::Finish { choice: 0, reason: FinishReason::new(FinishKind::Length, "") },
        Event::Usage(Usage { input: 1, output: 2, ..Usage::default() }),
        Event::End,
    ];
    let got = encode(CompletionsCodec.encoder(options(true)), &events);
    let head =
        r#"{"id":"a","object":"text_completion","created":9,"model":"m","provider":"acme","choices":["#;
    assert_eq!(got[0], format!(r#"{head}{{"text":"Hi","index":0,"logprobs":null,"finish_reason":null}}]}}"#));
    assert_eq!(
        got[1],
        format!(r#"{head}{{"text":"","index":0,"logprobs":null,"finish_reason":"length"}}]}}"#)
    );
    assert!(got[2].starts_with(&format!(r#"{head}],"usage":"#)), "{got:?}");
    assert_eq!(got[3..], ["[DONE]"]);
}

/// Decodes the payloads of a stream.
fn decode(payloads: &[Value]) -> Vec<Event> {
    let (mut decoder, mut events) = (CompletionsCodec.decoder(), Vec::new());
    for payload in payloads {
        let payload = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
        decoder.decode("", &payload, &mut events);
    }
    decoder.finish(&mut events);
    events
}

fn chunk(index: u32, text: &str, finish: Option<&str>) -> Value {
    json!({"id": "a", "created": 9, "model": "m", "choices": [{"text": text, "index": index, "finish_reason": finish}]})
}

fn text(choice: u32, text: &str) -> Event {
    Event::Text { choice, text: text.into() }
}

fn finish(choice: u32, kind: FinishKind, raw: &str) -> Event {
    Event::Finish { choice, reason: FinishReason::new(kind, raw) }
}

#[test]
fn a_vendors_stream_is_read_choice_by_choice() {
    let got = decode(&[
        chunk(0, "Hi", None),
        chunk(1, "Ho", Some("length")),
        chunk(0, "", Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        json!("[DONE]"),
    ]);
    let wanted = [
        Event::Start { id: "a".into(), model: "m".into(), created: 9 },
        text(0, "Hi"),
        text(1, "Ho"),
        finish(1, FinishKind::Length, "length"),
        finish(0, FinishKind::Stop, "stop"),
        Event::Usage(Usage { input: 1, output: 2, ..Usage::default() }),
        Event::End,
    ];
    assert_eq!(got, wanted);
}

#[test]
fn a_text_beside_a_delta_is_told_once() {
    let both = json!({"choices": [{"index": 0, "text": "Hi", "delta": {"content": "Hi"}}]});
    assert_eq!(decode(std::slice::from_ref(&both))[1], text(0, "Hi"));
    assert_eq!(super::decode(&[&both.to_string()])[1..2], [text(0, "Hi")]);
    let chat_shaped = json!({"choices": [{"index": 0, "delta": {"content": "Hi"}}]});
    assert_eq!(decode(&[chat_shaped])[1], text(0, "Hi"));
}

#[test]
fn a_vendors_stream_that_is_cut_is_an_error() {
    for payloads in
        [vec![], vec![chunk(0, "Hi", None)], vec![chunk(0, "Hi", Some("stop")), chunk(1, "Ho", None)]]
    {
        let got = decode(&payloads);
        assert!(matches!(got.last(), Some(Event::Error(error)) if error.status == 502), "{got:?}");
    }
    let error = decode(&[json!({"error": {"message": "slow down", "code": 429}})]);
    assert!(matches!(&error[..], [Event::Error(error)] if error.status == 429), "{error:?}");
}

#[test]
fn a_vendors_whole_answer_is_read() {
    let read = |body: Value| CompletionsCodec.read_answer(body.to_string().as_bytes());
    let answer = read(json!({"id": "a", "choices": [
        {"text": "Hi", "index": 0, "logprobs": {"tokens": ["Hi"]}, "finish_reason": "length"},
        {"text": "", "index": 1, "finish_reason": "stop"},
        {"message": {"content": "Ho"}, "index": 2, "finish_reason": null},
    ]}))
    .unwrap();
    let choice = |parts: Vec<Part>, finish: Option<(FinishKind, &str)>| Choice {
        parts,
        finish: finish.map(|(kind, raw)| FinishReason::new(kind, raw)),
        logprobs: None,
    };
    let wanted = [
        choice(vec![Part::text("Hi")], Some((FinishKind::Length, "length"))),
        choice(Vec::new(), Some((FinishKind::Stop, "stop"))),
        choice(vec![Part::text("Ho")], None),
    ];
    assert_eq!(answer.choices, wanted);
    assert_eq!(read(json!({"error": {"message": "m", "code": 429}})).unwrap_err().status, 429);
    assert_eq!(read(json!({"output": []})).unwrap_err().status, 502);
}
