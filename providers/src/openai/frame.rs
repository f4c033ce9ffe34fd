//! SSE frames of OpenAI's streams, written straight into the output buffer.

use bytes::{BufMut as _, BytesMut};
use serde::Serialize;

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
