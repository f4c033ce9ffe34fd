//! The end of a native stream that the gateway cuts.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::{Value, json};

use super::frame::write_frame;
use super::usage::UsageOut;
use crate::usage::Usage;

/// What chunks of one stream have in common.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    id: String,
    object: String,
    created: u64,
    model: String,
}

/// Ends choice 0 with `length`, in the stream's own id and model as `chunk` (the data of any of its frames) has them,
/// and tells the usage where it was asked for. An error event follows.
pub fn cut(chunk: &str, usage: Option<&Usage>, out: &mut BytesMut) {
    let head: Head = serde_json::from_str(chunk).unwrap_or_default();
    let choice = if head.object == "text_completion" {
        json!({"index": 0, "text": "", "finish_reason": "length"})
    } else {
        json!({"index": 0, "delta": {}, "finish_reason": "length"})
    };
    let frame = |choices: Vec<Value>, usage: Option<UsageOut>| {
        let mut frame = json!({
            "id": head.id, "object": head.object, "created": head.created, "model": head.model, "choices": choices,
        });
        if let Some(usage) = usage {
            frame["usage"] = serde_json::to_value(usage).unwrap_or_default();
        }
        frame
    };
    write_frame(out, &frame(vec![choice], None));
    if let Some(usage) = usage {
        write_frame(out, &frame(Vec::new(), Some(UsageOut::from(usage))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_belongs_to_the_stream_that_is_cut() {
        let mut out = BytesMut::new();
        let chunk = r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m","choices":[]}"#;
        cut(chunk, Some(&Usage { input: 3, output: 4, ..Usage::default() }), &mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let frames: Vec<Value> =
            text.split("\n\n").filter_map(|f| serde_json::from_str(f.strip_prefix("data: ")?).ok()).collect();
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|frame| frame["id"] == "c1" && frame["model"] == "m"));
        assert_eq!(frames[0]["choices"][0]["finish_reason"], "length");
        assert_eq!(frames[1]["usage"]["total_tokens"], 7);
    }
}
