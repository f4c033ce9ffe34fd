//! SSE frames of OpenAI's streams, written straight into the output buffer.

use bytes::{BufMut as _, BytesMut};
use serde::Serialize;

use crate::scan::plain_length;

pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Appends `data: <json>` and the blank line.
pub(super) fn write_frame(out: &mut BytesMut, payload: &impl Serialize) {
    let start = out.len();
    out.extend_from_slice(b"data: ");
    // Only a failing `Serialize` can fail here, and none of ours does; half a frame must not go out.
    if serde_json::to_writer(out.writer(), payload).is_err() {
        debug_assert!(false, "a chunk that can't be serialised");
        out.truncate(start);
        return;
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends a text as it stands between the quotes of a JSON string.
pub(super) fn write_inside(text: &str, out: &mut BytesMut) {
    if plain_length(text.as_bytes()) == text.len() {
        return out.extend_from_slice(text.as_bytes());
    }
    let json = serde_json::to_string(text).unwrap_or_default();
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    out.extend_from_slice(inside.unwrap_or_default().as_bytes());
}
