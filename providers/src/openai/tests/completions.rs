//! Legacy completions.

use serde_json::{Value, json};

use super::{encode, options};
use crate::Inbound;
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::event::{Event, FinishKind, FinishReason};
use crate::openai::CompletionsCodec;
use crate::usage::Usage;

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
