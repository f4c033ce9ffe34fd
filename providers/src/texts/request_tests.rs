//! Where each dialect has its texts, and what a replacement does to what stands around them.

use serde_json::{Value, json};

use super::{ReplaceError, Slot, of_request, replace, replace_all};
use crate::provider::Endpoint;

/// One line for each text: index, role, kind, text.
fn found(endpoint: Endpoint, body: &Value) -> Vec<String> {
    let line = |slot: Slot| format!("{} {} {} {}", slot.index, slot.role, slot.kind.word(), slot.text);
    of_request(endpoint, body).into_iter().map(line).collect()
}

fn slot(endpoint: Endpoint, body: &Value, text: &str) -> Slot {
    let slots = of_request(endpoint, body);
    slots.into_iter().find(|slot| slot.text == text).unwrap_or_else(|| panic!("no {text:?} in {body}"))
}

#[test]
fn chat_messages_have_texts_calls_results_and_thoughts() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "rules"},
        {"role": "user", "name": "ada", "content": [
            {"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://x.test"}}, "bare"]},
        {"role": "assistant", "content": null, "refusal": "no", "reasoning_content": "hm", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "2", "type": "custom", "custom": {"name": "g", "input": "free"}},
            {"id": "3", "type": "function", "function": {"name": "h", "arguments": {"b": [2]}}}]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "result"}]},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}, "content": ""},
        {"role": "function", "name": "f", "content": "old result"},
        {"role": "pirate", "content": [{"type": "refusal", "refusal": "arr"}]},
    ], "prediction": {"type": "content", "content": "guess"}});
    assert_eq!(
        found(Endpoint::Chat, &body),
        [
            "0 system text rules",
            "1 user text look",
            "1 user text bare",
            "2 assistant reasoning hm",
            "2 assistant refusal no",
            "2 assistant tool-arguments {\"a\":1}",
            "2 assistant tool-arguments free",
            "2 assistant tool-arguments {\"b\":[2]}",
            "3 tool tool-result result",
            "4 assistant tool-arguments {}",
            "5 tool tool-result old result",
            "6 user refusal arr",
            "7 assistant text guess",
        ]
    );
}

#[test]
fn anthropic_messages_have_blocks() {
    let body = json!({"system": [{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral"}}],
        "messages": [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "xxx"},
            {"type": "text", "text": "let me"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"city": "Köln"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": "sunny"},
            {"type": "tool_result", "tool_use_id": "2", "content": [
                {"type": "text", "text": "rain"}, {"type": "image", "source": {"type": "base64", "data": "QQ=="}}]},
            {"type": "document", "title": "T", "source": {"type": "text", "data": "D"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "C"}]}},
            {"type": "document", "source": {"type": "base64", "data": "QQ=="}},
            {"type": "text", "text": "and?"}]},
    ]});
    let wanted = [
        "0 system text rules",
        "1 user text hello",
        "2 assistant reasoning hm",
        "2 assistant text let me",
        "2 assistant tool-arguments {\"city\":\"Köln\"}",
        "3 tool tool-result sunny",
        "3 tool tool-result rain",
        "3 user text T",
        "3 user text D",
        "3 user text C",
        "3 user text and?",
    ];
    assert_eq!(found(Endpoint::Messages, &body), wanted);
    assert_eq!(found(Endpoint::CountTokens, &body), wanted);
}

#[test]
fn blocks_of_anthropics_own_tools_have_texts() {
    let body = json!({"messages": [{"role": "assistant", "content": [
        {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "content": [
            {"type": "web_search_result", "title": "t", "url": "https://x.test", "encrypted_content": "zzz"}]},
        {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result",
            "content": {"type": "document", "source": {"type": "text", "data": "page"}}}},
        {"type": "code_execution_tool_result", "content": {"type": "code_execution_result", "stdout": "out",
            "stderr": "err", "content": []}},
    ]}]});
    assert_eq!(
        found(Endpoint::Messages, &body),
        [
            "0 assistant tool-arguments {\"query\":\"q\"}",
            "0 tool tool-result t",
            "0 tool tool-result page",
            "0 tool tool-result out",
            "0 tool tool-result err",
        ]
    );
}

#[test]
fn responses_items_have_texts() {
    let body = json!({"instructions": "rules", "prompt": {"id": "p", "variables": {"who": "Ada",
            "what": {"type": "input_text", "text": "tea"}}}, "input": [
        {"role": "user", "content": "hello"},
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "hi"}, {"type": "refusal", "refusal": "no"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
            "content": [{"type": "reasoning_text", "text": "long"}], "encrypted_content": "g"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "rain"}]},
        {"type": "custom_tool_call", "call_id": "3", "name": "g", "input": "free"},
        {"type": "shell_call", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "output": [{"stdout": "a.txt", "stderr": ""}]},
        {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
        {"type": "file_search_call", "queries": ["fq"], "results": [{"text": "part", "filename": "f"}]},
        {"type": "item_reference", "id": "x"},
    ]});
    assert_eq!(
        found(Endpoint::Responses, &body),
        [
            "0 system text rules",
            "1 user text hello",
            "2 assistant text hi",
            "2 assistant refusal no",
            "3 assistant reasoning hm",
            "3 assistant reasoning long",
            "4 assistant tool-arguments {}",
            "5 tool tool-result sunny",
            "6 tool tool-result rain",
            "7 assistant tool-arguments free",
            "8 assistant tool-arguments ls",
            "9 tool tool-result a.txt",
            "10 assistant tool-arguments q",
            "11 assistant tool-arguments fq",
            "11 tool tool-result part",
            "13 user text Ada",
            "13 user text tea",
        ]
    );
    assert_eq!(found(Endpoint::Responses, &json!({"input": "hello"})), ["0 user text hello"]);
}

#[test]
fn prompts_and_inputs_are_texts_and_token_ids_are_not() {
    let prompts = json!({"prompt": ["a", "b"], "suffix": "s"});
    assert_eq!(found(Endpoint::Completions, &prompts), ["0 user text a", "1 user text b", "2 user text s"]);
    assert_eq!(found(Endpoint::Completions, &json!({"prompt": "a"})), ["0 user text a"]);
    for tokens in [json!([1, 2]), json!([[1], [2]]), json!([]), json!(7)] {
        assert_eq!(found(Endpoint::Completions, &json!({"prompt": tokens})), [""; 0]);
        assert_eq!(found(Endpoint::Embeddings, &json!({"input": tokens})), [""; 0]);
    }
    let inputs = json!({"input": ["a", {"text": "b"}, {"image": "QQ=="}]});
    assert_eq!(found(Endpoint::Embeddings, &inputs), ["0 user text a", "1 user text b"]);
    assert_eq!(found(Endpoint::ImageGenerations, &json!({"prompt": "a cat"})), ["0 user text a cat"]);
    assert_eq!(found(Endpoint::ImageEdits, &json!({"prompt": "a cat"})), ["0 user text a cat"]);
    let speech = json!({"input": "say it", "instructions": "softly", "voice": "alloy"});
    assert_eq!(found(Endpoint::Speech, &speech), ["0 system text softly", "1 user text say it"]);
}

#[test]
fn a_replaced_part_keeps_its_other_members() {
    let mut body = json!({"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "a"}]});
    let slots = of_request(Endpoint::Messages, &body);
    replace(&mut body, &slots[0], "b".to_owned()).unwrap();
    let wanted = json!({"system": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "a"}]});
    assert_eq!(body, wanted);
}

#[test]
fn the_input_of_a_tool_use_stays_an_object() {
    let call = json!({"messages": [{"role": "assistant", "content": [
        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": "x"}}]}]});
    let found = slot(Endpoint::Messages, &call, "{\"a\":\"x\"}");
    let mut body = call.clone();
    replace(&mut body, &found, "{\"a\":\"y\"}".to_owned()).unwrap();
    assert_eq!(body["messages"][0]["content"][0]["input"], json!({"a": "y"}));
    let mut body = call.clone();
    assert!(matches!(replace(&mut body, &found, "{\"a\":".into()), Err(ReplaceError::NotJson(_))));
    assert!(matches!(replace(&mut body, &found, "[1]".into()), Err(ReplaceError::OtherJson("an object"))));
    assert_eq!(body, call);
}

#[test]
fn a_refused_edit_leaves_the_others_undone() {
    let before = json!({"messages": [{"role": "assistant", "content": [
        {"type": "text", "text": "a"}, {"type": "tool_use", "id": "1", "name": "f", "input": {}}]}]});
    let slots = of_request(Endpoint::Messages, &before);
    let mut body = before.clone();
    let edits = [(&slots[0], "b".to_owned()), (&slots[1], "no json".to_owned())];
    assert!(replace_all(&mut body, edits).is_err());
    assert_eq!(body, before);
}

#[test]
fn a_signed_thought_that_changes_is_removed() {
    let mut body = json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "only", "signature": "s"}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "one", "signature": "s"},
            {"type": "thinking", "thinking": "two", "signature": "s"},
            {"type": "thinking", "thinking": "open"},
            {"type": "text", "text": "t"}]},
    ]});
    let slots = of_request(Endpoint::Messages, &body);
    replace_all(&mut body, slots.iter().map(|slot| (slot, format!("{}!", slot.text)))).unwrap();
    let wanted = json!({"messages": [
        {"role": "user", "content": "q!"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "open!"}, {"type": "text", "text": "t!"}]},
    ]});
    assert_eq!(body, wanted);
}

#[test]
fn a_chat_message_outlives_its_signed_thoughts() {
    let mut body = json!({"messages": [{"role": "assistant",
        "content": [{"type": "thinking", "thinking": "a", "signature": "s"}],
        "content_blocks": [{"type": "thinking", "thinking": "a", "signature": "s"}],
        "reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": "s"}],
        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}]});
    let slots = of_request(Endpoint::Chat, &body);
    let thoughts = slots.iter().filter(|slot| slot.text == "a");
    replace_all(&mut body, thoughts.map(|slot| (slot, "b".to_owned()))).unwrap();
    let wanted = json!({"messages": [{"role": "assistant", "content": null,
        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}]});
    assert_eq!(body, wanted);
}

#[test]
fn a_changed_summary_of_an_encrypted_thought_takes_the_item_along() {
    let item = |text: &str| {
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text},
        {"type": "summary_text", "text": "more"}]})
    };
    let mut sealed = item("hm");
    sealed["encrypted_content"] = "g".into();
    let mut body = json!({"input": [sealed, item("hm"), {"role": "user", "content": "q"}]});
    let slots = of_request(Endpoint::Responses, &body);
    let thoughts = slots.iter().filter(|slot| slot.text != "q");
    replace_all(&mut body, thoughts.map(|slot| (slot, "x".to_owned()))).unwrap();
    let plain = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"},
        {"type": "summary_text", "text": "x"}]});
    assert_eq!(body, json!({"input": [plain, {"role": "user", "content": "q"}]}));
}

#[test]
fn a_slot_of_another_body_changes_nothing() {
    let found = slot(Endpoint::Completions, &json!({"prompt": "a"}), "a");
    for other in [json!({}), json!({"prompt": "b"}), json!({"prompt": ["a"]}), json!(null)] {
        let mut body = other.clone();
        assert!(matches!(replace(&mut body, &found, "c".into()), Err(ReplaceError::Gone)), "{other}");
        assert_eq!(body, other);
    }
}
