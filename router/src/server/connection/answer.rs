//! A request's way to its handler, and the answer's to the client.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use actix_http::h1::Message;
use actix_http::{ConnectionType, Request};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Service;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Encoder;

use super::client::Client;
use super::{Answer, Connection, Next};

/// Bytes of an answer that are collected, if they are there, before they are written.
const COLLECTED: usize = 64 << 10;
/// Room for the head of an answer.
const HEAD: usize = 1 << 10;

/// What is still to come of an answer.
enum Rest {
    More,
    Nothing,
    /// It was broken off, and so is the connection.
    Cut,
}

impl<T, S> Connection<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request>,
    S::Response: Into<Answer>,
    S::Error: Into<Answer>,
{
    /// Asks the handler. None when the client went away.
    pub(super) async fn ask(&mut self, request: Request) -> Option<Answer> {
        let app = self.app.clone();
        let mut asked = pin!(app.call(request));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(answer) = asked.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer.map_or_else(Into::into, Into::into)));
                }
                if self.output.len() > 0
                    && let Poll::Ready(Err(_)) = self.output.poll_write(&mut self.io, cx)
                {
                    return Poll::Ready(None);
                }
                match self.poll_client(cx) {
                    Client::Fed => {}
                    Client::Quiet => return Poll::Pending,
                    Client::Gone => return Poll::Ready(None),
                }
            }
        })
        .await
    }

    /// Writes an answer. `old` clients know no chunks, and the answer to HEAD is `empty`.
    pub(super) async fn answer(&mut self, answer: Answer, old: bool, empty: bool) -> Next {
        let (mut head, body) = answer.into_parts();
        let size = body.size();
        let endless = old && size == BodySize::Stream;
        if endless {
            head.head_mut().no_chunking(true);
        }
        let stopping = poll_fn(|cx| Poll::Ready(self.is_stopping(cx))).await;
        if endless || stopping || self.eof || self.garbled || self.feeder.is_some() {
            head.head_mut().set_connection_type(ConnectionType::Close);
        }
        let content = match size {
            BodySize::Sized(size) => usize::try_from(size).unwrap_or(COLLECTED).min(COLLECTED),
            BodySize::None | BodySize::Stream => 0,
        };
        self.output.bytes().reserve(HEAD + content);
        if let Err(error) = self.codec.encode(Message::Item((head, size)), self.output.bytes()) {
            tracing::warn!(%error, "the head of an answer can't be written");
            return Next::Gone;
        }
        let mut rest = if empty || matches!(size, BodySize::None | BodySize::Sized(0)) {
            Rest::Nothing
        } else {
            Rest::More
        };
        let mut body = pin!(body);
        if !poll_fn(|cx| self.poll_answer(body.as_mut(), &mut rest, cx)).await {
            return Next::Gone;
        }
        if self.codec.keep_alive() && self.feeder.is_none() {
            return Next::Again;
        }
        Next::Close { lingering: self.garbled || self.feeder.is_some() || !self.input.is_empty() }
    }

    /// Writes an answer as it comes, to its end. False when it was broken off, or the client went away.
    ///
    /// What is ready is written at once and together; nothing is asked of the body while the client has not taken it.
    fn poll_answer(
        &mut self,
        mut body: Pin<&mut BoxBody>,
        rest: &mut Rest,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        loop {
            let mut waiting = false;
            if !self.output.is_blocked() && matches!(rest, Rest::More) {
                waiting = self.collect(body.as_mut(), rest, cx);
            }
            if self.output.len() > 0 {
                match self.output.poll_write(&mut self.io, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => waiting = true,
                }
            }
            if self.output.len() == 0 {
                match rest {
                    Rest::More => {}
                    Rest::Nothing => return Poll::Ready(true),
                    Rest::Cut => return Poll::Ready(false),
                }
            }
            if !waiting {
                continue;
            }
            match self.poll_client(cx) {
                Client::Fed => {}
                Client::Quiet => return Poll::Pending,
                Client::Gone => return Poll::Ready(false),
            }
        }
    }

    /// Collects what is ready of a body. Returns whether the body must be waited for.
    fn collect(&mut self, mut body: Pin<&mut BoxBody>, rest: &mut Rest, cx: &mut Context<'_>) -> bool {
        while self.output.len() < COLLECTED {
            let written = match body.as_mut().poll_next(cx) {
                // To the codec an empty piece is the end.
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => continue,
                Poll::Ready(Some(Ok(piece))) => {
                    self.codec.encode(Message::Chunk(Some(piece)), self.output.bytes())
                }
                Poll::Ready(Some(Err(error))) => Err(io::Error::other(error.to_string())),
                Poll::Ready(None) => {
                    *rest = Rest::Nothing;
                    self.codec.encode(Message::Chunk(None), self.output.bytes())
                }
                Poll::Pending => return true,
            };
            if let Err(error) = written {
                tracing::debug!(%error, "an answer is broken off");
                *rest = Rest::Cut;
            }
            if !matches!(rest, Rest::More) {
                break;
            }
        }
        false
    }
}
