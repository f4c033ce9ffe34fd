//! One request and its answer on a connection, polled by the task that wants the answer: nothing is handed from one
//! task to another, and a connection that waits has no buffer.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Method;
use hyper::body::{Body, Frame};
use tokio::io::{AsyncRead, ReadBuf};

use super::call::Call;
use super::connect::Link;
use super::framing::Framing;
use super::head::{self, Head};
use super::outgoing::Unsent;
use super::pool::Home;
use super::reply::Reply;
use super::unpack::Unpacking;

/// One read of a connection.
const READ_BYTES: usize = 64 << 10;
/// Largest head of an answer.
const HEAD_BYTES: usize = 256 << 10;

thread_local! {
    /// Where connections of this thread read into, one after the other: what was read is copied out at its own size.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Why an exchange broke.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection closed before the answer was complete.
    #[error("connection closed before message completed")]
    Closed,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The answer is no HTTP/1.1.
    #[error("{0}")]
    Malformed(String),
    /// The body of the request ended too early.
    #[error("{0}")]
    Upload(#[from] super::body::UploadFailure),
}

/// A connection with an exchange on it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) link: Box<Link>,
    unsent: Unsent,
    home: Home,
    keeps: bool,
}

/// The request could not be sent at all: nobody saw a byte of it, and it may go over another connection.
#[derive(Debug)]
pub(super) struct Untouched(pub(super) Call);

/// Sends a request over a connection and waits for the head of the answer. A connection that was used before may turn
/// out to be closed: then the request comes back.
///
/// # Errors
/// [`Broken`]
pub(super) async fn exchange(
    link: Box<Link>,
    home: Home,
    call: Call,
    used: bool,
) -> Result<Result<Reply, Untouched>, Broken> {
    let method = call.method.clone();
    let (unsent, again) = Unsent::new(call, used);
    let mut live = Live { link, unsent, home, keeps: true };
    let mut read = BytesMut::new();
    let head = std::future::poll_fn(|context| live.poll_head(context, &mut read, &method)).await;
    match (head, again) {
        (Ok((head, rest)), _) => Ok(Ok(live.answer(head, &rest)?)),
        (Err(_), Some(call)) if read.is_empty() && !live.unsent.has_begun() => Ok(Err(Untouched(call))),
        (Err(broken), _) => Err(broken),
    }
}

impl Live {
    /// Writes what can be written and reads until the head is complete. Returns it, and what came after it.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        read: &mut BytesMut,
        method: &Method,
    ) -> Poll<Result<(Head, Bytes), Broken>> {
        let unsent = self.unsent.poll(&mut self.link, context);
        loop {
            // Also where writing failed: the vendor may have answered before it closed.
            let first = read.is_empty();
            let whole = match self.poll_read(context, |bytes| {
                if first {
                    Bytes::copy_from_slice(bytes)
                } else {
                    read.extend_from_slice(bytes);
                    Bytes::copy_from_slice(read)
                }
            }) {
                Poll::Ready(Ok(Some(whole))) => whole,
                Poll::Pending if !matches!(unsent, Poll::Ready(Err(_))) => return Poll::Pending,
                ended => {
                    if let Poll::Ready(Err(broken)) = unsent {
                        return Poll::Ready(Err(broken));
                    }
                    return match ended {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                        _ => Poll::Ready(Err(Broken::Closed)),
                    };
                }
            };
            match head::read(&whole, method) {
                Ok(Some(head)) => {
                    let rest = whole.slice(head.length..);
                    return Poll::Ready(Ok((head, rest)));
                }
                Ok(None) if whole.len() > HEAD_BYTES => {
                    return Poll::Ready(Err(Broken::Malformed(
                        "the head of the answer is too large".to_owned(),
                    )));
                }
                Ok(None) if first => read.extend_from_slice(&whole),
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Err(Broken::Malformed(malformed.to_string()))),
            }
        }
    }

    /// Reads once and shows what was read; none at the end.
    fn poll_read<T>(
        &mut self,
        context: &mut Context<'_>,
        show: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *self.link).poll_read(context, &mut buffer))?;
            let filled = buffer.filled();
            Poll::Ready(Ok((!filled.is_empty()).then(|| show(filled))))
        })
    }

    fn answer(mut self, head: Head, rest: &Bytes) -> Result<Reply, Broken> {
        let Head { status, headers, mut framing, keeps, .. } = head;
        let mut first = BytesMut::new();
        let ready = match framing {
            // What came with the head is a part of it already.
            Framing::Length(length) if length >= rest.len() as u64 => {
                framing = Framing::Length(length - rest.len() as u64);
                rest.clone()
            }
            _ => {
                let used =
                    framing.decode(rest, &mut first).map_err(|error| Broken::Malformed(error.to_string()))?;
                self.keeps &= used == rest.len();
                first.freeze()
            }
        };
        self.keeps &= keeps;
        let mut incoming = Incoming { live: Some(self), framing, ready, unpacking: None };
        incoming.end_if_over();
        Ok(Reply { status, headers, body: incoming })
    }
}

/// The body of an answer. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct Incoming {
    live: Option<Live>,
    framing: Framing,
    /// What was read and not taken yet.
    ready: Bytes,
    /// Where the vendor packed it.
    unpacking: Option<Box<Unpacking>>,
}

impl Incoming {
    /// Unpacks the body from now on. Returns whether that coding is known.
    pub(crate) fn unpack(&mut self, coding: &str) -> bool {
        self.unpacking = Unpacking::of(coding).map(Box::new);
        self.unpacking.is_some()
    }

    /// Returns the next unpacked bytes.
    fn poll_unpacked(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let Some(unpacking) = &mut self.unpacking else { return Poll::Ready(None) };
            match unpacking.next() {
                Ok(None) => {}
                unpacked => return Poll::Ready(unpacked.map_err(Broken::from).transpose()),
            }
            match ready!(self.poll_bytes(context)) {
                Some(Ok(packed)) => {
                    if let Some(unpacking) = &mut self.unpacking {
                        unpacking.push(packed);
                    }
                }
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => {
                    let last = self.unpacking.as_mut().map_or(Ok(None), |unpacking| unpacking.finish());
                    return Poll::Ready(last.map_err(Broken::from).transpose());
                }
            }
        }
    }

    /// Gives the connection back where the answer is complete.
    fn end_if_over(&mut self) {
        if !self.framing.is_over() {
            return;
        }
        if let Some(live) = self.live.take().filter(|live| live.keeps && live.unsent.is_done()) {
            live.home.give_back(live.link);
        }
    }

    /// Returns the next bytes.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
        }
        loop {
            let framing = &mut self.framing;
            let Some(live) = self.live.as_mut().filter(|_| !framing.is_over()) else {
                return Poll::Ready(None);
            };
            if !live.unsent.is_done()
                && let Poll::Ready(Err(Broken::Upload(failure))) = live.unsent.poll(&mut live.link, context)
            {
                self.live = None;
                return Poll::Ready(Some(Err(failure.into())));
            }
            let read = ready!(live.poll_read(context, |bytes| {
                let mut out = BytesMut::with_capacity(bytes.len());
                framing.decode(bytes, &mut out).map(|used| (out.freeze(), used == bytes.len()))
            }));
            let broken = match read {
                Ok(Some(Ok((bytes, all)))) => {
                    live.keeps &= all;
                    self.end_if_over();
                    if bytes.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Ok(Some(Err(malformed))) => Broken::Malformed(malformed.to_string()),
                Ok(None) if self.framing == Framing::UntilClose => {
                    self.framing = Framing::Over;
                    self.live = None;
                    return Poll::Ready(None);
                }
                Ok(None) => Broken::Closed,
                Err(error) => error.into(),
            };
            self.live = None;
            return Poll::Ready(Some(Err(broken)));
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let read =
            if self.unpacking.is_some() { self.poll_unpacked(context) } else { self.poll_bytes(context) };
        read.map(|read| read.map(|read| read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.unpacking.is_none() && self.ready.is_empty() && self.framing.is_over()
    }
}
