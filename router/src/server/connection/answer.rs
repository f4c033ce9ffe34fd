//! A request's way to its handler, and the answer's to the client.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use tokio::io::{AsyncRead, AsyncWrite};

use super::client::Client;
use super::frame::{self, Frame, Line};
use super::{Answer, Asked, Connection, Handlers, Next};

/// Bytes of an answer that are collected, if they are there, before they are written.
const COLLECTED: usize = 64 << 10;
/// Room for the head of an answer.
const HEAD: usize = 1 << 10;

/// An answer whose head is collected.
pub(super) struct Begun {
    body: BoxBody,
    frame: Frame,
    rest: Rest,
    /// Whether the connection goes on after it.
    keep: bool,
}

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
    S: Handlers,
{
    /// Waits for the answer of a handler, and writes its head. None when the client went away.
    pub(super) async fn ask(&mut self, mut asked: Asked) -> Option<Begun> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(answer) = asked.answering.as_mut().poll(cx) {
                    return Poll::Ready(Some(self.begin_answer(answer, &asked, cx)));
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

    /// Collects the head of an answer.
    fn begin_answer(&mut self, answer: Answer, asked: &Asked, cx: &mut Context<'_>) -> Begun {
        let size = answer.body.size();
        let frame = Frame::of(&answer, size, asked.old, asked.empty);
        let keep = self.keep
            && !(answer.last || self.is_stopping(cx) || self.eof || self.garbled)
            && self.feeder.is_none()
            && frame != Frame::Endless;
        let content = match size {
            BodySize::Sized(size) => usize::try_from(size).unwrap_or(COLLECTED).min(COLLECTED),
            BodySize::None | BodySize::Stream => 0,
        };
        let output = self.output.bytes();
        output.reserve(HEAD + content);
        frame::head(&answer, size, &Line { old: asked.old, keep }, &self.terms.config, output);
        let rest = if frame == Frame::Nothing { Rest::Nothing } else { Rest::More };
        Begun { body: answer.body, frame, rest, keep }
    }

    /// Writes an answer whose head is collected.
    pub(super) async fn answer(&mut self, begun: Begun) -> Next {
        let Begun { body, mut frame, mut rest, keep } = begun;
        let mut body = pin!(body);
        if !poll_fn(|cx| self.poll_answer(body.as_mut(), (&mut rest, &mut frame), cx)).await {
            return Next::Gone;
        }
        if keep && self.feeder.is_none() {
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
        (rest, frame): (&mut Rest, &mut Frame),
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        loop {
            let mut waiting = false;
            if !self.output.is_blocked() && matches!(rest, Rest::More) {
                waiting = self.collect(body.as_mut(), (rest, frame), cx);
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
    fn collect(
        &mut self,
        mut body: Pin<&mut BoxBody>,
        (rest, frame): (&mut Rest, &mut Frame),
        cx: &mut Context<'_>,
    ) -> bool {
        while self.output.len() < COLLECTED && matches!(rest, Rest::More) {
            let ended = match body.as_mut().poll_next(cx) {
                // In chunks an empty piece is the end.
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => continue,
                Poll::Ready(Some(Ok(piece))) => {
                    frame.write(&piece, self.output.bytes());
                    continue;
                }
                Poll::Ready(Some(Err(error))) => Err(io::Error::other(error.to_string())),
                Poll::Ready(None) => frame.end(self.output.bytes()),
                Poll::Pending => return true,
            };
            *rest = match ended {
                Ok(()) => Rest::Nothing,
                Err(error) => {
                    tracing::debug!(%error, "an answer is broken off");
                    Rest::Cut
                }
            };
        }
        false
    }
}
