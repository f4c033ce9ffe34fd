use super::*;

fn look(wire: Wire, data: &str) -> (Seen, String) {
    let mut text = String::new();
    let seen = frame(wire, data, &mut |piece| text.push_str(piece));
    (seen, text)
}

#[test]
fn chat_text_tools_and_usage_are_seen() {
    let (seen, text) = look(
        Wire::Chat,
        r#"{"choices":[{"delta":{"content":"a\"b","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}],"usage":null}"#,
    );
    assert!(seen.content && seen.usage.is_none() && !seen.usage_only);
    assert_eq!(text, "a\"bf{}");
    let (seen, _) = look(Wire::Chat, r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
    assert!(seen.usage_only);
    assert_eq!(seen.usage.map(|usage| (usage.input, usage.output)), Some((3, 4)));
}

#[test]
fn a_role_chunk_is_no_content() {
    let (seen, text) = look(Wire::Chat, r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#);
    assert_eq!((seen.content, text.as_str()), (false, ""));
}

#[test]
fn errors_are_seen_on_every_wire() {
    for (wire, data, status) in [
        (Wire::Chat, r#"{"error":{"message":"m","code":429}}"#, 429),
        (Wire::Messages, r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, 529),
    ] {
        let (seen, _) = look(wire, data);
        assert_eq!(seen.error.map(|e| (e.status, e.message)), Some((status, "m".into())), "{data}");
    }
    let (seen, _) =
        look(Wire::Responses, r#"{"type":"response.failed","response":{"error":{"message":"m"}}}"#);
    assert_eq!(seen.error.map(|e| e.message), Some("m".into()));
}

#[test]
fn messages_usage_counts_the_cache() {
    let (seen, _) = look(
        Wire::Messages,
        r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":7,"output_tokens":1}}}"#,
    );
    assert_eq!(seen.usage.map(|usage| (usage.input, usage.cached_input)), Some((12, 7)));
    assert_eq!(
        usage_of(br#"{"usage":{"input_tokens":5,"cache_read_input_tokens":7,"output_tokens":1}}"#)
            .unwrap()
            .unwrap()
            .input,
        12
    );
}

#[test]
fn usage_and_errors_are_seen_where_vendors_put_them() {
    let usage = r#"{"prompt_tokens":3,"completion_tokens":4}"#;
    for data in [
        format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop","usage":{usage}}}]}}"#),
        format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],"x_groq":{{"usage":{usage}}}}}"#),
    ] {
        let (seen, _) = look(Wire::Chat, &data);
        assert_eq!(seen.usage.map(|usage| (usage.input, usage.output)), Some((3, 4)), "{data}");
        assert!(seen.finished && !seen.usage_only, "{data}");
    }
    for data in [
        r#"{"choices":[{"delta":{},"error":{"message":"m","code":429}}]}"#,
        r#"{"choices":[],"x_groq":{"error":{"message":"m","code":429}}}"#,
    ] {
        let (seen, _) = look(Wire::Chat, data);
        assert_eq!(seen.error.map(|e| (e.status, e.message)), Some((429, "m".into())), "{data}");
    }
}

#[test]
fn a_thought_under_two_names_counts_once_and_parts_count_their_text() {
    let (_, text) = look(Wire::Chat, r#"{"choices":[{"delta":{"reasoning_content":"a","reasoning":"a"}}]}"#);
    assert_eq!(text, "a");
    let data = r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"b"}]},
        {"type":"text","text":"c"},"d",7]}}]}"#;
    assert_eq!(look(Wire::Chat, data).1, "bcd");
}

#[test]
fn odd_finish_words_finish_nothing() {
    for word in ["null", "\"\"", "0", "{}"] {
        let data = format!(r#"{{"choices":[{{"delta":{{"content":"a"}},"finish_reason":{word}}}]}}"#);
        let (seen, text) = look(Wire::Chat, &data);
        assert_eq!((seen.finished, text.as_str()), (false, "a"), "{data}");
    }
}

#[test]
fn names_of_calls_are_text_on_every_wire() {
    for (wire, data) in [
        (
            Wire::Messages,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        ),
        (
            Wire::Responses,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"f"}}"#,
        ),
    ] {
        assert_eq!(look(wire, data).1, "f", "{data}");
    }
}

#[test]
fn a_text_beside_a_delta_counts_once() {
    let data = r#"{"choices":[{"text":"a","delta":{"content":"a"}}]}"#;
    assert_eq!(look(Wire::Chat, data).1, "a");
    assert_eq!(look(Wire::Completions, data).1, "a");
    assert_eq!(look(Wire::Completions, r#"{"choices":[{"text":null,"delta":{"content":"a"}}]}"#).1, "a");
}

#[test]
fn errors_of_responses_are_seen_wherever_they_stand() {
    for (data, status) in [
        (r#"{"type":"error","code":"rate_limit_exceeded","message":"m","param":null}"#, 429),
        (r#"{"error":{"message":"m","code":503}}"#, 503),
        (r#"{"type":"response.completed","response":{"error":{"message":"m","code":"server_error"}}}"#, 500),
    ] {
        let (seen, _) = look(Wire::Responses, data);
        let error = seen.error.map(|error| (error.status, error.message, error.kind));
        assert_eq!(error, Some((status, "m".into(), None)), "{data}");
    }
}

#[test]
fn whatever_a_document_is_its_usage_is_found_or_it_is_none() {
    let usage = r#"{"prompt_tokens":3,"completion_tokens":4}"#;
    let found = |body: &[u8]| usage_of(body).map(|usage| usage.map(|usage| usage.input));
    let plain = format!(r#"{{"id":"a","usage":{usage},"choices":[{{"a":"\u00e9\""}}]}}"#);
    assert_eq!(found(plain.as_bytes()), Ok(Some(3)));
    assert_eq!(found(format!(" {{\"usage\" : {usage} }}\n").as_bytes()), Ok(Some(3)));
    assert_eq!(found(format!("{{\"us\\u0061ge\":{usage}}}").as_bytes()), Ok(Some(3)));
    assert_eq!(found(format!("{{\"usage\":{usage},\"usage\":{usage}}}").as_bytes()), Ok(None));
    assert_eq!(found(format!("[{usage}]").as_bytes()), Ok(Some(3)), "serde takes a list for an object");
    assert_eq!(
        found(format!("{{\"usage\":{usage},\"x\":{}1{}}}", "[".repeat(90), "]".repeat(90)).as_bytes()),
        Ok(Some(3))
    );
    for nobodys in [
        format!(r#"{{"a":{{"usage":{usage}}}}}"#),
        format!(r#"{{"a":{{"b":1,"usage":{usage}}},"c":[]}}"#),
        format!(r#"{{"a":[{{"usage":{usage}}},{{"usage":{usage}}}]}}"#),
        format!(r#"[{{"usage":{usage}}}]"#),
        format!(r#"["usage",{usage}]"#),
        r#"{"a":",\"usage\":{\"prompt_tokens\":5}"}"#.to_owned(),
    ] {
        assert_eq!(found(nobodys.as_bytes()), Ok(None), "{nobodys}");
        let own = format!(r#"{{"a":{nobodys} ,"usage": {usage},"z":null}}"#);
        assert_eq!(found(own.as_bytes()), Ok(Some(3)), "{own}");
        let own = format!(r#"{{"usage":{usage},"a":{nobodys}}}"#);
        assert_eq!(found(own.as_bytes()), Ok(Some(3)), "{own}");
    }
    let not_utf8 = [b"{\"x\":\"\xff\",\"usage\":", usage.as_bytes(), b"}"].concat();
    assert_eq!(found(&not_utf8), Ok(Some(3)), "it is passed on as it came");
    for none in ["{}", "[]", "1", "{\"usage\":null}", "\"usage\""] {
        assert_eq!(found(none.as_bytes()), Ok(None), "{none}");
    }
    let in_the_middle = format!(r#"{{"a":[b],"usage":{usage}}}"#);
    for broken in [&in_the_middle, "", "{", "{}}", "{\"usage\":}", "{\"a\":1,}", &plain[..plain.len() - 1]] {
        assert_eq!(found(broken.as_bytes()), Err(NotJson), "{broken}");
    }
}
