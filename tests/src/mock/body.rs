//! The body of a scripted answer: bytes at once, or pieces that a task sends while the connection takes them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::record::{Fate, Record};
use super::script::Script;

/// A part of a stream.
pub(super) struct Part {
    /// What goes on the wire.
    pub(super) bytes: Bytes,
    /// Whether it carries output, and so counts as a piece.
    pub(super) content: bool,
    /// How long the sender waits before it.
    pub(super) pause: Duration,
}

impl Part {
    pub(super) fn content(text: String) -> Part {
        Part { bytes: text.into(), content: true, pause: Duration::ZERO }
    }

    pub(super) fn frame(text: String) -> Part {
        Part { bytes: text.into(), content: false, pause: Duration::ZERO }
    }

    pub(super) fn after(self, pause: Duration) -> Part {
        Part { pause, ..self }
    }
}

/// A stream made lazily, so that 200 MB of it cost nothing until they are read.
pub(super) struct Stream {
    /// What comes before the end.
    pub(super) parts: Box<dyn Iterator<Item = Part> + Send>,
    /// An error in the vendor's form, for `error_after` and `error_first`.
    pub(super) error: Bytes,
}

impl Stream {
    /// A whole JSON answer in two halves, if the script has a fault for it: what comes after pieces of a stream comes
    /// after the first half, what comes before any piece comes before it. Errors take the place of the answer.
    pub(super) fn broken_whole(body: &Value, script: &Script) -> Option<Stream> {
        let faults = [script.stall_after, script.close_after, script.end_after, script.malformed_after];
        if faults.iter().all(Option::is_none) {
            return None;
        }
        let text = body.to_string();
        let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (first, second) = text.split_at(middle);
        // As many pieces as any script counts; all but the first are empty.
        let rest = std::iter::repeat_n(String::new(), 15).chain([second.to_owned()]);
        let parts: Vec<Part> = std::iter::once(first.to_owned()).chain(rest).map(Part::content).collect();
        Some(Stream { parts: Box::new(parts.into_iter()), error: Bytes::new() })
    }
}

pub(super) enum MockBody {
    Whole(Option<Bytes>, Fate),
    Pieces(mpsc::Receiver<io::Result<Bytes>>, Fate),
}

impl MockBody {
    pub(super) fn whole(bytes: impl Into<Bytes>, fate: Fate) -> MockBody {
        let bytes = bytes.into();
        if bytes.is_empty() {
            // The connection does not ask for an empty body.
            fate.finished();
            return MockBody::Whole(None, fate);
        }
        MockBody::Whole(Some(bytes), fate)
    }

    pub(super) fn pieces(stream: Stream, script: Script, fate: Fate) -> MockBody {
        // A capacity of one keeps the sender within one part of what the connection asked for: back-pressure shows.
        let (sender, receiver) = mpsc::channel(1);
        let record = Arc::clone(&fate.record);
        tokio::spawn(async move {
            // An error means that the client left, which the body's drop records.
            let _ = send(stream, script, record, sender).await;
        });
        MockBody::Pieces(receiver, fate)
    }
}

type Sender = mpsc::Sender<io::Result<Bytes>>;
type Gone = mpsc::error::SendError<io::Result<Bytes>>;

async fn send(stream: Stream, script: Script, record: Arc<Record>, to: Sender) -> Result<(), Gone> {
    if script.error_first {
        return write(&to, &script, &record, stream.error).await;
    }
    sleep(script.first_delay).await;
    let mut pieces = 0;
    let mut faults = Faults { script: &script, done_at: None };
    for part in stream.parts {
        if part.content && pieces > 0 && !script.delay.is_zero() {
            sleep(script.delay).await;
        }
        if !part.pause.is_zero() {
            sleep(part.pause).await;
        }
        if let Some(fault) = faults.due(pieces) {
            match fault {
                Fault::Error => return write(&to, &script, &record, stream.error.clone()).await,
                Fault::Malformed => {
                    write(&to, &script, &record, Bytes::from("data: {\"choices\":[{\n\n")).await?
                }
                Fault::End => return Ok(()),
                Fault::Close => return to.send(Err(io::Error::other("cut by script"))).await,
                Fault::Stall => {
                    to.closed().await;
                    return Ok(());
                }
            }
        }
        if part.content {
            let now = Instant::now();
            let _ = record.first_piece_at.set(now);
            if !script.delay.is_zero() {
                record.pieces_at.lock().expect("record").push(now);
            }
        }
        if script.comments && part.content {
            write(&to, &script, &record, Bytes::from(": keep-alive\n\n")).await?;
        }
        write(&to, &script, &record, part.bytes).await?;
        if part.content {
            pieces += 1;
            record.chunks_sent.fetch_add(1, Relaxed);
        }
    }
    Ok(())
}

async fn write(to: &Sender, script: &Script, record: &Record, bytes: Bytes) -> Result<(), Gone> {
    let bytes = match script.crlf {
        true => Bytes::from(String::from_utf8_lossy(&bytes).replace('\n', "\r\n")),
        false => bytes,
    };
    let size = script.split.unwrap_or(usize::MAX);
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(size));
        record.bytes_sent.fetch_add(piece.len() as u64, Relaxed);
        to.send(Ok(piece)).await?;
        if script.split.is_some() {
            // Lets the connection flush this piece before it sees the next.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

enum Fault {
    Error,
    Malformed,
    End,
    Close,
    Stall,
}

struct Faults<'a> {
    script: &'a Script,
    done_at: Option<usize>,
}

impl Faults<'_> {
    fn due(&mut self, pieces: usize) -> Option<Fault> {
        let script = self.script;
        if script.malformed_after == Some(pieces) && self.done_at != Some(pieces) {
            self.done_at = Some(pieces);
            return Some(Fault::Malformed);
        }
        let at = Some(pieces);
        match () {
            () if script.error_after == at => Some(Fault::Error),
            () if script.end_after == at => Some(Fault::End),
            () if script.close_after == at => Some(Fault::Close),
            () if script.stall_after == at => Some(Fault::Stall),
            () => None,
        }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            MockBody::Whole(bytes, fate) => {
                fate.finished();
                Poll::Ready(bytes.take().map(|bytes| {
                    fate.record.bytes_sent.fetch_add(bytes.len() as u64, Relaxed);
                    Ok(Frame::data(bytes))
                }))
            }
            MockBody::Pieces(receiver, fate) => receiver.poll_recv(cx).map(|piece| match piece {
                Some(Ok(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Err(error)) => {
                    fate.finished();
                    Some(Err(error))
                }
                None => {
                    fate.finished();
                    None
                }
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, MockBody::Whole(None, _))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            MockBody::Whole(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            MockBody::Pieces(..) => SizeHint::default(),
        }
    }
}
