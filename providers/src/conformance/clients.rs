//! Reads back what clients get, as their SDKs do.

use serde_json::Value;

use super::sse;
use super::told::{Call, Told};
use crate::event::{Event, FinishKind};
use crate::openai;
use crate::provider::Wire;
use crate::registry;

/// The wires that clients speak.
pub(super) const WIRES: [Wire; 4] = [Wire::Chat, Wire::Completions, Wire::Responses, Wire::Messages];

/// Reads a client's stream.
pub(super) fn read_stream(wire: Wire, bytes: &[u8]) -> Told {
    match wire {
        Wire::Chat | Wire::Messages => {
            // A stream that was broken off has no end marker; `decoded` would report that as a second error.
            let events = sse::decoded(wire, &[bytes]);
            let first = events.iter().position(|event| matches!(event, Event::Error(_)));
            Told::of_events(&events[..first.map_or(events.len(), |at| at + 1)])
        }
        Wire::Responses => responses_stream(bytes),
        Wire::Completions => completions_stream(bytes),
        Wire::Gemini => panic!("no client speaks it"),
    }
}

/// Reads a client's whole answer.
pub(super) fn read_answer(wire: Wire, body: &Value) -> Told {
    match wire {
        Wire::Chat | Wire::Messages => {
            let answer = registry::outbound(wire).read_answer(body.to_string().as_bytes()).unwrap();
            Told::of_answer(&answer)
        }
        Wire::Responses => response(body),
        Wire::Completions => {
            let mut told = Told { ended: true, ..Told::default() };
            completion(body, &mut told);
            told
        }
        Wire::Gemini => panic!("no client speaks it"),
    }
}

fn data(bytes: &[u8]) -> Vec<(String, String)> {
    sse::frames(&[bytes]).into_iter().flatten().collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}")).to_owned()
}

fn completions_stream(bytes: &[u8]) -> Told {
    let mut told = Told::default();
    for (_, data) in data(bytes) {
        assert!(!told.ended, "{data} after the end");
        if data == "[DONE]" {
            told.ended = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).unwrap();
        match chunk.get("error") {
            Some(error) => told.error = Some(string(&error["message"])),
            None => completion(&chunk, &mut told),
        }
    }
    told
}

fn completion(body: &Value, told: &mut Told) {
    assert_eq!(body["object"], "text_completion");
    for choice in body["choices"].as_array().unwrap() {
        let said = told.choice(u32::try_from(choice["index"].as_u64().unwrap()).unwrap());
        said.text.push_str(choice["text"].as_str().unwrap());
        said.finish = match choice["finish_reason"].as_str() {
            Some("stop") => Some(FinishKind::Stop),
            Some("length") => Some(FinishKind::Length),
            Some("content_filter") => Some(FinishKind::ContentFilter),
            None => said.finish,
            Some(other) => panic!("{other} is no word of this wire"),
        };
    }
    if let Some(usage) = body.get("usage") {
        told.report(openai::usage_from(usage).unwrap());
    }
}

/// Adds up the deltas and holds them against the response that the last event repeats.
fn responses_stream(bytes: &[u8]) -> Told {
    let mut items: Vec<Value> = Vec::new();
    let mut sum = Told::default();
    sum.choice(0);
    let mut last = None;
    for (number, (event, data)) in data(bytes).into_iter().enumerate() {
        assert!(last.is_none() && sum.error.is_none(), "{data} after the end");
        let frame: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(frame["type"], event.as_str());
        assert_eq!(frame["sequence_number"], number, "{data}");
        let place = || usize::try_from(frame["output_index"].as_u64().unwrap()).unwrap();
        let said = sum.choice(0);
        match event.as_str() {
            "response.output_item.added" => {
                assert_eq!(place(), items.len());
                if frame["item"]["type"] == "function_call" {
                    said.calls.push(call(&frame["item"]));
                }
                items.push(frame["item"].clone());
            }
            "response.output_text.delta" => said.text.push_str(frame["delta"].as_str().unwrap()),
            "response.refusal.delta" => said.refusal.push_str(frame["delta"].as_str().unwrap()),
            "response.reasoning_summary_text.delta" => {
                said.reasoning.push_str(frame["delta"].as_str().unwrap());
            }
            "response.function_call_arguments.delta" => {
                let id = string(&items[place()]["call_id"]);
                let call = said.calls.iter_mut().rfind(|call| call.id == id).unwrap();
                call.arguments.push_str(frame["delta"].as_str().unwrap());
            }
            "response.output_item.done" => {
                assert_eq!(items[place()]["id"], frame["item"]["id"]);
                items[place()] = frame["item"].clone();
            }
            "error" => sum.error = Some(string(&frame["error"]["message"])),
            "response.completed" | "response.incomplete" => last = Some(frame["response"].clone()),
            _ => {}
        }
    }
    let mut sum = sum.settled();
    let Some(last) = last else { return sum };
    assert_eq!(last["output"], Value::Array(items), "items of the events and of the last response");
    let told = response(&last);
    let whole = &told.choices[&0];
    let added = sum.choice(0);
    added.finish = whole.finish;
    // These two have no deltas.
    added.signatures.clone_from(&whole.signatures);
    added.redacted.clone_from(&whole.redacted);
    assert_eq!(added, whole, "deltas and the last response");
    told
}

fn call(item: &Value) -> Call {
    let signature = item.pointer("/extra_content/google/thought_signature").map(string);
    Call {
        id: string(&item["call_id"]),
        name: string(&item["name"]),
        arguments: string(&item["arguments"]),
        signature,
    }
}

fn response(body: &Value) -> Told {
    assert_eq!(body["object"], "response");
    let mut told = Told { ended: true, ..Told::default() };
    let said = told.choice(0);
    for item in body["output"].as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in item["content"].as_array().unwrap() {
                    match part["type"].as_str().unwrap() {
                        "output_text" => said.text.push_str(part["text"].as_str().unwrap()),
                        "refusal" => said.refusal.push_str(part["refusal"].as_str().unwrap()),
                        other => panic!("{other} is no content of an answer"),
                    }
                }
            }
            "reasoning" => {
                for part in item["summary"].as_array().unwrap() {
                    said.reasoning.push_str(part["text"].as_str().unwrap());
                }
                let sealed = item.get("encrypted_content").map(string).unwrap_or_default();
                match sealed.split_once(':') {
                    Some(("tidegate.signature", signature)) => said.signatures.push(signature.to_owned()),
                    Some(("tidegate.redacted", data)) => said.redacted.push(data.to_owned()),
                    _ if sealed.is_empty() => {}
                    // The vendor's own, as it came.
                    _ => said.signatures.push(format!("responses.encrypted:{sealed}")),
                }
            }
            "function_call" => said.calls.push(call(item)),
            other => panic!("{other} is no item of an answer"),
        }
    }
    // The wire knows three ways to end.
    said.finish = Some(match body["incomplete_details"]["reason"].as_str() {
        None => FinishKind::Stop,
        Some("max_output_tokens") => FinishKind::Length,
        Some("content_filter") => FinishKind::ContentFilter,
        Some(other) => panic!("{other} is no reason of this wire"),
    });
    let status = if body["incomplete_details"].is_null() { "completed" } else { "incomplete" };
    assert_eq!(body["status"], status);
    told.usage = openai::usage_from(&body["usage"]);
    told.settled()
}
