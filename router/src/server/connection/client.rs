//! What a client sends while it waits for its answer: the rest of a body, further requests, or its end.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::h1::Message;
use actix_web::error::PayloadError;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::Decoder;

use super::{Connection, Handlers};

/// The most that is read at once.
const READ: usize = 32 << 10;
/// Bytes of further requests that are kept while one is answered.
const PIPELINED: usize = 64 << 10;

/// What the client did while it waits.
pub(super) enum Client {
    /// It sent some of the body: the handler must be polled again.
    Fed,
    Quiet,
    Gone,
}

impl<T, S> Connection<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Handlers,
{
    /// Looks at what the client does while it waits for its answer.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Client {
        loop {
            if self.eof {
                return Client::Gone;
            }
            if self.feeder.as_ref().is_some_and(|feeder| !feeder.wants(cx)) {
                return Client::Quiet;
            }
            if self.feeder.is_some() {
                if self.feed(cx) {
                    return Client::Fed;
                }
            } else if self.input.len() >= PIPELINED {
                return Client::Quiet;
            }
            match self.poll_read(cx) {
                Poll::Pending => return Client::Quiet,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => {
                    self.eof = true;
                    // The handler may say that the body is incomplete; who else closes doesn't wait for its answer.
                    if let Some(feeder) = self.feeder.take() {
                        feeder.end(Err(PayloadError::Incomplete(None)), cx);
                        return Client::Fed;
                    }
                }
            }
        }
    }

    /// Passes what was read to the handler, as far as it wants it. Returns whether there was any.
    pub(super) fn feed(&mut self, cx: &Context<'_>) -> bool {
        let mut fed = false;
        while let Some(feeder) = self.feeder.as_ref().filter(|feeder| feeder.wants(cx)) {
            let decoded = match &mut self.left {
                Some(0) => Ok(Some(Message::Chunk(None))),
                Some(_) if self.input.is_empty() => Ok(None),
                Some(left) => {
                    let length = self.input.len().min(*left);
                    *left -= length;
                    Ok(Some(Message::Chunk(Some(self.input.split_to(length).freeze()))))
                }
                None => self.codec.decode(&mut self.input),
            };
            match decoded {
                Ok(Some(Message::Chunk(Some(piece)))) => feeder.feed(piece, cx),
                Ok(Some(Message::Chunk(None) | Message::Item(_))) => {
                    feeder.end(Ok(()), cx);
                    self.feeder = None;
                    self.left = None;
                }
                Ok(None) => break,
                Err(_) => {
                    feeder.end(Err(PayloadError::EncodingCorrupted), cx);
                    self.feeder = None;
                    self.garbled = true;
                }
            }
            fed = true;
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        fed
    }

    /// Reads what there is. No bytes are the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut space))?;
        self.input.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }
}
