//! Payloads as the vendors document them, read and written again for a client.

use http::HeaderMap;
use serde_json::Value;

use super::{decode, encode, options, payloads};
use crate::answer::Answer;
use crate::call::Part;
use crate::event::{Event, FinishKind};
use crate::openai::ChatCodec;
use crate::{Inbound, Outbound};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../fixtures/", $name))
    };
}

fn answer(body: &str) -> Answer {
    ChatCodec.read_answer(body.as_bytes()).unwrap()
}

fn events(sse: &str) -> Vec<Event> {
    decode(&payloads(sse))
}

/// Sums up a stream: text, reasoning, calls with arguments, finish word, input and output tokens, end.
fn summary(events: &[Event]) -> String {
    let mut out = String::new();
    for event in events {
        out.push_str(&match event {
            Event::Start { id, .. } => format!("start {id}"),
            Event::Text { text, .. } => format!("|text {text}"),
            Event::Reasoning { text, .. } => format!("|thought {text}"),
            Event::ToolStart { tool, id, name, .. } => format!("|call {tool} {id} {name}"),
            Event::ToolArguments { tool, json, .. } => format!("|json {tool} {json}"),
            Event::Finish { reason, .. } => format!("|finish {:?} {}", reason.kind, reason.raw),
            Event::Usage(usage) => format!("|usage {} {}", usage.input, usage.output),
            Event::Error(error) => format!("|error {} {}", error.status, error.message),
            Event::End => "|end".to_owned(),
            other => format!("|{other:?}"),
        });
    }
    out
}

#[test]
fn streams_of_vendors_are_read() {
    for (sse, wanted) in [
        (
            fixture!("openai/stream.sse"),
            "start chatcmpl-1|text Let me|text  look.|call 0 call_1 get_weather|json 0 {\"city\":|json 0 \"Pune\"}\
             |call 1 call_2 get_time|json 1 {}|finish ToolCalls tool_calls|usage 10 7|end",
        ),
        (
            fixture!("groq/stream.sse"),
            "start chatcmpl-g|thought A greeting.|text Hello|finish Stop stop|usage 8 5|end",
        ),
        (
            fixture!("mistral-ai/stream.sse"),
            "start cmpl-m|thought A greeting.|text Hello|call 0 D681PevKs get_weather|json 0 {\"city\": \"Pune\"}\
             |finish ToolCalls tool_calls|usage 8 5|end",
        ),
        (
            fixture!("ollama/stream.sse"),
            "start chatcmpl-9|thought Weather|call 0 call_w get_weather|json 0 {\"city\":\"Pune\"}\
             |finish ToolCalls stop|usage 9 4|end",
        ),
        (
            fixture!("deepseek/stream.sse"),
            "start ds-1|thought Compare.|text 9.8|finish Stop stop|usage 12 20|end",
        ),
        (fixture!("azure-openai/stream.sse"), "start chatcmpl-az|text Hello|finish Stop stop|usage 8 1|end"),
        (
            fixture!("openrouter/stream.sse"),
            "start gen-1|thought Think.|text Hello|finish Stop stop|usage 8 5|end",
        ),
        (
            fixture!("openrouter/stream_error.sse"),
            "start gen-1|text Hel|error 500 Provider disconnected unexpectedly|end",
        ),
        (
            fixture!("groq/stream_error.sse"),
            "start chatcmpl-g|text Hel|error 400 Failed to call a function.|end",
        ),
    ] {
        assert_eq!(summary(&events(sse)), wanted);
    }
}

#[test]
fn what_is_written_reads_the_same() {
    for sse in [
        fixture!("openai/stream.sse"),
        fixture!("groq/stream.sse"),
        fixture!("mistral-ai/stream.sse"),
        fixture!("deepseek/stream.sse"),
    ] {
        for strict in [true, false] {
            let first = events(sse);
            let frames = encode(ChatCodec.encoder(options(strict)), &first);
            let again = decode(&frames.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(summary(&again), summary(&first));
        }
    }
}

#[test]
fn whole_answers_of_vendors_are_read() {
    let openai = answer(fixture!("openai/response.json"));
    assert_eq!(openai.usage.unwrap().cached_input, 4);
    assert!(matches!(
        &openai.choices[0].parts[..],
        [Part::Text { .. }, Part::ToolCall { .. }, Part::ToolCall { .. }]
    ));
    let mistral = answer(fixture!("mistral-ai/response_length.json"));
    assert!(matches!(&mistral.choices[0].parts[..], [Part::Thinking { .. }, Part::Text { .. }]));
    assert_eq!(mistral.choices[0].finish.as_ref().unwrap().kind, FinishKind::Length);
    let deepseek = answer(fixture!("deepseek/response_overload.json"));
    let usage = deepseek.usage.unwrap();
    assert_eq!((usage.cached_input, usage.reasoning, usage.output), (8, 16, 20));
    assert_eq!(deepseek.choices[0].finish.as_ref().unwrap().kind, FinishKind::Stop);
    for body in [fixture!("groq/response.json"), fixture!("ollama/response.json")] {
        assert!(matches!(answer(body).choices[0].parts[0], Part::Thinking { .. }));
    }
    assert_eq!(answer(fixture!("azure-openai/response.json")).choices[0].parts, [Part::text("Hello")]);
}

#[test]
fn errors_of_vendors_are_read() {
    for (status, body, message) in [
        (401, fixture!("openai/error_401.json"), "Incorrect API key provided."),
        (429, fixture!("openai/error_429.json"), "Rate limit reached for gpt-4o."),
        (429, fixture!("groq/error_429.json"), "Rate limit reached"),
        (422, fixture!("mistral-ai/error_422.json"), "body.user: Extra inputs are not permitted"),
        (404, fixture!("ollama/error_404.json"), "model \"nope\" not found, try pulling it first"),
        (402, fixture!("deepseek/error_402.json"), "Insufficient Balance"),
        (402, fixture!("openrouter/error_402.json"), "Insufficient credits"),
        (
            404,
            fixture!("azure-openai/error_404.json"),
            "The API deployment for this resource does not exist.",
        ),
        (401, fixture!("azure-openai/error_401.json"), "Unauthorized. Access token is missing or invalid."),
    ] {
        let error = ChatCodec.read_error(status, &HeaderMap::new(), body.as_bytes());
        assert_eq!((error.status, error.message.as_str()), (status, message));
    }
}

#[test]
fn requests_of_clients_are_read() {
    for body in [
        fixture!("openai/request.json"),
        fixture!("groq/request.json"),
        fixture!("mistral-ai/request.json"),
        fixture!("ollama/request.json"),
        fixture!("azure-openai/request.json"),
    ] {
        let body: Value = serde_json::from_str(body).unwrap();
        let call = ChatCodec.read_call(&body).unwrap();
        assert_eq!(ChatCodec.write_call(&call).unwrap()["messages"], body["messages"]);
    }
}
