use super::*;
use crate::event::FinishReason;

fn read(value: &Value) -> Answer {
    answer(value.to_string().as_bytes()).unwrap()
}

#[test]
fn a_documented_answer_is_read() {
    let answer = answer(include_bytes!("../../fixtures/google/response_cached.json")).unwrap();
    let Some(Part::ToolCall { id, .. }) = answer.choices[0].parts.last() else { panic!("{answer:?}") };
    assert!(id.starts_with("call_") && id.ends_with("_0"), "{id}");
    let call = Part::ToolCall {
        id: id.clone(),
        name: "get_weather".into(),
        arguments: r#"{"city":"Pune"}"#.into(),
        signature: Some("TS".into()),
    };
    assert_eq!(
        answer,
        Answer {
            id: String::new(),
            model: "gemini-2.5-pro".into(),
            created: 0,
            choices: vec![Choice {
                parts: vec![
                    Part::Thinking { text: "pondering".into(), signature: None },
                    Part::text("Hi"),
                    call,
                ],
                finish: Some(FinishReason::new(FinishKind::ToolCalls, "STOP")),
                logprobs: None,
            }],
            usage: Some(Usage { input: 10, cached_input: 2, output: 25, reasoning: 5, ..Usage::default() }),
        }
    );
}

#[test]
fn finish_reasons_have_a_common_meaning() {
    for (raw, kind) in [
        ("STOP", FinishKind::Stop),
        ("MAX_TOKENS", FinishKind::Length),
        ("SAFETY", FinishKind::ContentFilter),
        ("PROHIBITED_CONTENT", FinishKind::ContentFilter),
        ("BLOCKLIST", FinishKind::ContentFilter),
        ("SPII", FinishKind::ContentFilter),
        ("IMAGE_SAFETY", FinishKind::ContentFilter),
        ("LANGUAGE", FinishKind::ContentFilter),
        ("MALFORMED_FUNCTION_CALL", FinishKind::Stop),
        ("OTHER", FinishKind::Stop),
        ("A_NEW_WORD", FinishKind::Stop),
    ] {
        let answer = read(&serde_json::json!({"candidates": [{"finishReason": raw}]}));
        assert_eq!(answer.choices[0].finish, Some(FinishReason::new(kind, raw)));
    }
}

#[test]
fn candidates_stand_at_their_index() {
    let answer = read(&json!({"candidates": [
        {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"},
        {"index": 0, "content": {"parts": [{"text": "a"}, {"text": "!"}]}, "finishReason": "MAX_TOKENS"},
    ]}));
    assert_eq!(answer.choices[0].parts, [Part::text("a!")]);
    assert_eq!(answer.choices[1].parts, [Part::text("b")]);
    let far = read(&json!({"candidates": [{"index": 4_000_000_000_u64, "finishReason": "STOP"}]}));
    assert!(far.choices.len() <= 128);
}

#[test]
fn all_tokens_are_counted() {
    let usage = usage_of(&json!({
        "promptTokenCount": 100, "cachedContentTokenCount": 40, "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 20, "thoughtsTokenCount": "5", "totalTokenCount": 132,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 30},
            {"modality": "IMAGE", "tokenCount": 10},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 9}],
    }));
    assert_eq!(
        usage,
        Some(Usage {
            input: 107,
            cached_input: 40,
            audio_input: 30,
            image_input: 10,
            output: 25,
            reasoning: 5,
            image_output: 9,
            ..Usage::default()
        })
    );
    assert_eq!(usage_of(&json!({"trafficType": "ON_DEMAND"})), None);
}

#[test]
fn signatures_stay_with_their_thought_or_stand_alone() {
    let answer = read(&json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [
        {"text": "hm", "thought": true, "thoughtSignature": "S1"},
        {"text": "Hi", "thoughtSignature": "S2"},
    ]}}]}));
    assert_eq!(
        answer.choices[0].parts,
        [
            Part::Thinking { text: "hm".into(), signature: Some("S1".into()) },
            Part::text("Hi"),
            Part::Thinking { text: String::new(), signature: Some("S2".into()) },
        ]
    );
}

#[test]
fn log_probabilities_take_openais_form() {
    let answer = read(&json!({"candidates": [{"finishReason": "STOP", "logprobsResult": {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
    }}]}));
    let token = json!({"token": "é", "logprob": -0.5, "bytes": [195, 169]});
    let mut expected = token.clone();
    expected["top_logprobs"] = json!([token]);
    assert_eq!(answer.choices[0].logprobs, Some(json!({"content": [expected], "refusal": null})));
}

#[test]
fn what_is_no_answer_is_a_bad_gateway() {
    for body in [&b""[..], b"<html>", b"[]", b"1", br#"{"weird":1}"#, br#"{"candidates":[]}"#] {
        assert_eq!(answer(body).unwrap_err().status, 502, "{}", String::from_utf8_lossy(body));
    }
    let error =
        answer(br#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#).unwrap_err();
    assert_eq!((error.status, error.kind.as_deref()), (429, Some("RESOURCE_EXHAUSTED")));
}

#[test]
fn a_blocked_prompt_is_a_filtered_choice() {
    let answer = read(&json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    assert_eq!(answer.choices[0].finish, Some(FinishReason::new(FinishKind::ContentFilter, "SAFETY")));
}
