//! Streams that are being kept, or come from what was kept.

use bytes::Bytes;

use super::record::Recording;
use super::replay::Replay;
use crate::pipeline::stream::{AnswerStream, Cut};

/// A streamed answer that has to do with the cache.
pub enum KeptStream {
    /// It passes by and is written down.
    Recorded(Recording),
    /// It was written down.
    Replayed(Replay),
}

impl KeptStream {
    /// Returns the stream that passes by.
    pub(in crate::pipeline) fn live(&mut self) -> Option<&mut AnswerStream> {
        match self {
            KeptStream::Recorded(recording) => Some(recording.live()),
            KeptStream::Replayed(_) => None,
        }
    }

    /// Returns the next bytes for the client, or `None` at the end.
    ///
    /// # Errors
    /// [`Cut`], once, when the answer must not end as if it were complete.
    pub async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        match self {
            KeptStream::Recorded(recording) => recording.next().await,
            KeptStream::Replayed(replay) => replay.next().await.map(Ok),
        }
    }
}
