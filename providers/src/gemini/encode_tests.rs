use proptest::prelude::*;

use super::*;
use crate::call::{ReasoningRequest, ResponseFormat, Tool, ToolChoice};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

fn user(text: &str) -> Message {
    message(Role::User, vec![Part::text(text)])
}

fn called(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), signature: None }
}

fn answered(id: &str, text: &str) -> Part {
    Part::ToolResult {
        id: id.into(),
        name: None,
        content: vec![Part::text(text)],
        is_error: false,
        cache_control: None,
    }
}

fn call(model: &str, messages: Vec<Message>) -> ChatCall {
    ChatCall { model: model.into(), messages, ..ChatCall::default() }
}

fn written(messages: Vec<Message>) -> Value {
    body(&call("gemini-2.5-pro", messages)).unwrap()
}

#[test]
fn a_plain_call_is_contents_and_config() {
    let basic = ChatCall {
        max_tokens: Some(50),
        temperature: Some(0.5),
        stream: true,
        user: Some("u1".into()),
        ..call("gemini-2.5-pro", vec![user("Hello")])
    };
    assert_eq!(
        body(&basic).unwrap(),
        json!({
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 50},
        })
    );
}

#[test]
fn every_instruction_is_collected() {
    let got = ChatCall {
        stop: vec!["END".into()],
        ..call(
            "gemini-2.5-pro",
            vec![
                message(Role::System, vec![Part::text("Be brief"), Part::text("and kind")]),
                user("Hi"),
                message(Role::Assistant, vec![Part::text("Yo")]),
                message(Role::Developer, vec![Part::text("No emoji")]),
                user("More"),
            ],
        )
    };
    assert_eq!(
        body(&got).unwrap(),
        json!({
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [{"text": "Yo"}]},
                {"role": "user", "parts": [{"text": "More"}]},
            ],
            "systemInstruction": {"parts": [{"text": "Be brief"}, {"text": "and kind"}, {"text": "No emoji"}]},
            "generationConfig": {"stopSequences": ["END"]},
        })
    );
}

#[test]
fn instructions_alone_are_asked_as_a_question() {
    let got = written(vec![message(Role::System, vec![Part::text("Say hi")])]);
    assert_eq!(got, json!({"contents": [{"role": "user", "parts": [{"text": "Say hi"}]}]}));
}

#[test]
fn a_tool_round_trip_is_written() {
    let parameters = json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false,
    });
    let tool = Tool::Function {
        name: "get_weather".into(),
        description: Some("Weather for a city".into()),
        parameters: Some(parameters),
        strict: Some(true),
        cache_control: None,
    };
    let got = ChatCall {
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Auto),
        parallel_tool_calls: Some(false),
        max_tokens: Some(5),
        ..call(
            "gemini-2.5-pro",
            vec![
                message(Role::System, vec![Part::text("Be brief")]),
                user("Weather?"),
                message(Role::Assistant, vec![called("call_1", "get_weather", r#"{"city":"Pune"}"#)]),
                message(Role::Tool, vec![answered("call_1", "31C")]),
            ],
        )
    };
    let expected: Value = serde_json::from_str(include_str!("../../fixtures/google/request.json")).unwrap();
    assert_eq!(body(&got).unwrap(), expected);
}

#[test]
fn parallel_results_share_one_turn() {
    let got = written(vec![
        user("Weather?"),
        message(
            Role::Assistant,
            vec![called("c1", "weather", r#"{"city":"Pune"}"#), called("c2", "time", "")],
        ),
        message(Role::Tool, vec![answered("c1", "31C")]),
        message(Role::Tool, vec![answered("c2", r#"{"hour":9}"#)]),
        user("And?"),
    ]);
    assert_eq!(
        got["contents"],
        json!([
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "weather", "args": {"city": "Pune"}}},
                {"functionCall": {"name": "time", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "weather", "response": {"output": "31C"}}},
                {"functionResponse": {"name": "time", "response": {"hour": 9}}},
                {"text": "And?"},
            ]},
        ])
    );
}

#[test]
fn gemini_3_gets_ids_and_signatures() {
    let signed = Part::ToolCall {
        id: "c3".into(),
        name: "f".into(),
        arguments: "{}".into(),
        signature: Some("SIG".into()),
    };
    let picture = Part::Image {
        source: Media::Base64 { media_type: "image/png".into(), data: "AAAA".into() },
        detail: None,
        cache_control: None,
    };
    let mut result = answered("c3", "ok");
    if let Part::ToolResult { content, .. } = &mut result {
        content.push(picture);
    }
    let messages = vec![
        user("go"),
        message(Role::Assistant, vec![called("c1", "f", "{}"), called("c2", "f", "{}")]),
        message(Role::Tool, vec![answered("c1", "1"), answered("c2", "2")]),
        message(Role::Assistant, vec![signed]),
        message(Role::Tool, vec![result]),
    ];
    let got = body(&call("gemini-3-pro-preview", messages.clone())).unwrap();
    assert_eq!(
        got["contents"][1]["parts"],
        json!([
            {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": NO_SIGNATURE},
            {"functionCall": {"name": "f", "args": {}, "id": "c2"}},
        ])
    );
    assert_eq!(got["contents"][3]["parts"][0]["thoughtSignature"], "SIG");
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    assert_eq!(
        got["contents"][4]["parts"],
        json!([{"functionResponse": {
            "name": "f", "response": {"output": "ok"}, "id": "c3", "parts": [picture],
        }}])
    );

    let older = body(&call("gemini-2.5-pro", messages)).unwrap();
    assert!(!older.to_string().contains(NO_SIGNATURE));
    assert_eq!(older["contents"][3]["parts"][0]["thoughtSignature"], "SIG");
    assert_eq!(older["contents"][4]["parts"][1], picture);
}

#[test]
fn thoughts_go_back_only_with_their_signature() {
    let thought = |text: &str, signature: Option<&str>| Part::Thinking {
        text: text.into(),
        signature: signature.map(str::to_owned),
    };
    let got = written(vec![
        user("x"),
        message(
            Role::Assistant,
            vec![
                thought("a", None),
                thought("b", Some("S1")),
                Part::RedactedThinking { data: "zz".into() },
                Part::text("Hi"),
                thought("", Some("S2")),
                Part::Refusal { text: "no".into() },
            ],
        ),
    ]);
    assert_eq!(
        got["contents"][1]["parts"],
        json!([
            {"text": "b", "thought": true, "thoughtSignature": "S1"},
            {"text": "Hi"},
            {"text": "", "thoughtSignature": "S2"},
            {"text": "no"},
        ])
    );
}

#[test]
fn media_is_inline_or_by_uri() {
    let url = |url: &str| Media::Url { url: url.into(), media_type: None };
    let image = |source| Part::Image { source, detail: Some("low".into()), cache_control: None };
    let file = |source| Part::File { source, name: None, cache_control: None };
    let got = written(vec![message(
        Role::User,
        vec![
            Part::text("What?"),
            image(url("https://example.com/a.png")),
            image(url("https://example.com/a.webp?x=1.gif#y")),
            image(url("https://example.com/picture")),
            image(url("data:image/png;base64,iVBORw0KGgo=")),
            Part::Audio { source: Media::Base64 { media_type: "audio/wav".into(), data: "UklG".into() } },
            file(url("https://www.youtube.com/watch?v=9hE5-98ZeCg")),
            file(Media::FileId("files/abc".into())),
        ],
    )]);
    assert_eq!(
        got["contents"][0]["parts"],
        json!([
            {"text": "What?"},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a.webp?x=1.gif#y"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/picture"}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=9hE5-98ZeCg"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ])
    );
}

#[test]
fn a_failed_tool_says_so() {
    for (text, expected) in [
        ("boom", json!({"error": "boom"})),
        (r#"{"a":1}"#, json!({"error": {"a": 1}})),
        ("[1]", json!({"error": "[1]"})),
    ] {
        assert_eq!(result(&[Part::text(text)], true), expected);
    }
    assert_eq!(result(&[Part::text("[1]")], false), json!({"output": "[1]"}));
    assert_eq!(result(&[], false), json!({"output": ""}));
}

#[test]
fn output_format_and_extras_are_kept() {
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let mut got = ChatCall {
        response_format: Some(ResponseFormat::JsonSchema {
            name: "p".into(),
            description: None,
            schema: schema.clone(),
            strict: Some(true),
        }),
        reasoning: Some(ReasoningRequest { effort: Some("low".into()), ..ReasoningRequest::default() }),
        n: Some(2),
        seed: Some(7),
        top_k: Some(5),
        top_p: Some(0.9),
        logprobs: Some(true),
        top_logprobs: Some(2),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.2),
        service_tier: Some("auto".into()),
        ..call("gemini-2.5-pro", vec![user("x")])
    };
    let safety = json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]);
    got.extra.insert("safety_settings".into(), safety.clone());
    got.extra.insert("cached_content".into(), "cachedContents/1".into());
    got.extra.insert("unknown_param".into(), "zzz".into());
    assert_eq!(
        body(&got).unwrap(),
        json!({
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "generationConfig": {
                "topP": 0.9, "topK": 5, "candidateCount": 2, "seed": 7,
                "presencePenalty": 0.1, "frequencyPenalty": 0.2,
                "responseLogprobs": true, "logprobs": 2,
                "responseMimeType": "application/json", "responseJsonSchema": schema,
                "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024},
            },
            "safetySettings": safety,
            "cachedContent": "cachedContents/1",
        })
    );
}

#[test]
fn what_gemini_cannot_be_told_is_refused() {
    let image = Part::Image { source: Media::FileId("file-abc".into()), detail: None, cache_control: None };
    for (messages, param) in [
        (vec![message(Role::System, vec![image.clone()])], "messages[0]"),
        (vec![user("x"), message(Role::User, vec![image])], "messages[1]"),
        (vec![message(Role::Assistant, vec![called("c", "f", "[1]")])], "messages[0]"),
        (vec![message(Role::Assistant, vec![called("c", "f", "{")])], "messages[0]"),
        (vec![message(Role::Tool, vec![answered("gone", "x")])], "messages[0]"),
    ] {
        let error = body(&call("gemini-2.5-pro", messages)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{error}");
    }
}

fn any_part() -> impl Strategy<Value = Part> {
    let text = || ".{0,6}";
    let signature = || prop::option::of(".{0,4}");
    prop_oneof![
        text().prop_map(Part::text),
        (text(), signature()).prop_map(|(text, signature)| Part::Thinking { text, signature }),
        ("[ab]", prop::sample::select(vec!["", "{}", "{\"a\":1}", "null", "3", "{"]), signature()).prop_map(
            |(id, arguments, signature)| Part::ToolCall {
                id,
                name: "f".into(),
                arguments: arguments.into(),
                signature
            }
        ),
        ("[ab]", text()).prop_map(|(id, text)| answered(&id, &text)),
        text().prop_map(|url| Part::Image {
            source: Media::Url { url: format!("data:{url}"), media_type: None },
            detail: None,
            cache_control: None,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn turns_alternate_and_are_never_empty(
        messages in prop::collection::vec(
            (prop::sample::select(vec![Role::System, Role::User, Role::Assistant, Role::Tool]),
             prop::collection::vec(any_part(), 0..4)),
            0..6,
        ),
        model in prop::sample::select(vec!["gemini-2.5-pro", "gemini-3-pro", "gemini-2.0-flash"]),
    ) {
        let messages = messages.into_iter().map(|(role, parts)| message(role, parts)).collect();
        if let Ok(body) = body(&call(model, messages)) {
            let turns = body["contents"].as_array().unwrap();
            prop_assert!(turns.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]));
            prop_assert!(turns.iter().all(|turn| !turn["parts"].as_array().unwrap().is_empty()));
        }
    }
}
