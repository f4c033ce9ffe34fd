//! One client's connection: requests one after the other, each parsed once, answered in as few writes as possible.
//!
//! Parsing of requests and writing of heads and frames are actix's codec; this is only the loop around it. While an
//! answer is under way the codec isn't asked, but the socket is watched: a client that closes is gone, and its handler
//! and answer are dropped at once. A connection that waits, for a request or for the next piece of an answer, holds
//! no buffer of requests.

mod answer;
mod client;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::ParseError;
use actix_http::h1::{Codec, Message, MessageType};
use actix_http::{ConnectionType, Payload, Request, Response, ServiceConfig};
use actix_web::body::{BodySize, BoxBody};
use actix_web::dev::Service;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::codec::{Decoder, Encoder};

use super::body::{Feeder, body};
use super::output::Output;
use super::timer::Timer;

/// What all connections of a worker share.
pub(super) struct Terms {
    /// Of the codec.
    pub(super) config: ServiceConfig,
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long a connection may wait for its next request.
    pub(super) idle: Duration,
    /// How long what the client still sends is taken and thrown away, so that it reads the answer.
    pub(super) farewell: Duration,
    /// The host of requests that name none.
    pub(super) host: HeaderValue,
}

/// Resolves when no more requests are welcome.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()>>>;

/// What a handler gives.
pub(super) type Answer = Response<BoxBody>;

/// A client's connection.
pub(super) struct Connection<T, S> {
    io: T,
    app: Rc<S>,
    terms: Rc<Terms>,
    peer: Option<SocketAddr>,
    codec: Codec,
    input: BytesMut,
    /// The client will send no more.
    eof: bool,
    /// A body was malformed: what follows it can't be told apart.
    garbled: bool,
    /// Where the rest of the request's body goes; none when there is no rest.
    feeder: Option<Feeder>,
    output: Output,
    timer: Timer,
    /// None when no more requests are welcome.
    stop: Option<Stop>,
}

/// What comes instead of a request.
enum Head {
    Request(Request),
    Refused(StatusCode),
    Over,
}

/// How a connection goes on after an answer.
enum Next {
    Again,
    /// The answer is written; `lingering` when the client may still be sending.
    Close {
        lingering: bool,
    },
    Gone,
}

impl<T, S> Connection<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request>,
    S::Response: Into<Answer>,
    S::Error: Into<Answer>,
{
    /// Makes a connection that has just been accepted.
    pub(super) fn new(io: T, app: Rc<S>, terms: Rc<Terms>, peer: Option<SocketAddr>, stop: Stop) -> Self {
        let codec = Codec::new(terms.config.clone());
        let timer = Timer::new(Instant::now() + terms.head);
        Self {
            io,
            app,
            terms,
            peer,
            codec,
            input: BytesMut::new(),
            eof: false,
            garbled: false,
            feeder: None,
            output: Output::default(),
            timer,
            stop: Some(stop),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) {
        // The clock of the first head runs already.
        let mut timed = true;
        loop {
            let next = match poll_fn(|cx| self.poll_head(&mut timed, cx)).await {
                Head::Request(request) => self.serve(request).await,
                Head::Refused(status) => self.refuse(status).await,
                Head::Over => return,
            };
            match next {
                Next::Again => {
                    timed = false;
                    self.timer.set(Instant::now() + self.terms.idle);
                }
                Next::Close { lingering } => return self.close(lingering).await,
                Next::Gone => return,
            }
        }
    }

    /// Reads the head of a request, and as much of its body as is there. `timed` says that its clock runs.
    fn poll_head(&mut self, timed: &mut bool, cx: &mut Context<'_>) -> Poll<Head> {
        loop {
            // Some clients end a body with an empty line of their own (RFC 9112, 2.2).
            while self.input.starts_with(b"\r\n") {
                self.input.advance(2);
            }
            if !self.input.is_empty() {
                match self.codec.decode(&mut self.input) {
                    Ok(Some(Message::Item(request))) => return Poll::Ready(self.begin(request, cx)),
                    Ok(Some(Message::Chunk(_))) | Err(ParseError::Io(_)) => return Poll::Ready(Head::Over),
                    Ok(None) => {}
                    Err(ParseError::TooLarge) => {
                        return Poll::Ready(Head::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
                    }
                    Err(_) => return Poll::Ready(Head::Refused(StatusCode::BAD_REQUEST)),
                }
                if !*timed {
                    *timed = true;
                    self.timer.set(Instant::now() + self.terms.head);
                }
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Head::Over),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.output.release();
            if self.is_stopping(cx) {
                return Poll::Ready(Head::Over);
            }
        }
        ready!(self.timer.poll(cx));
        Poll::Ready(if *timed { Head::Refused(StatusCode::REQUEST_TIMEOUT) } else { Head::Over })
    }

    /// Prepares a request for its handler.
    fn begin(&mut self, mut request: Request, cx: &Context<'_>) -> Head {
        let head = request.head_mut();
        head.peer_addr = self.peer;
        if !head.headers.contains_key(HOST) {
            head.headers.insert(HOST, self.terms.host.clone());
        }
        if !matches!(self.codec.message_type(), MessageType::None) {
            let (feeder, body) = body();
            *request.payload() = Payload::Stream { payload: Box::pin(body) };
            self.feeder = Some(feeder);
            self.feed(cx);
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Head::Request(request)
    }

    /// Asks the handler and writes its answer.
    async fn serve(&mut self, request: Request) -> Next {
        let empty = request.method() == Method::HEAD;
        let old = request.version() < Version::HTTP_11;
        // Who sent its body already waits for nothing.
        if request.head().expect() && self.feeder.is_some() {
            self.output.bytes().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        match self.ask(request).await {
            Some(answer) => self.answer(answer, old, empty).await,
            None => Next::Gone,
        }
    }

    /// Returns whether no more requests are welcome.
    fn is_stopping(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready()) {
            self.stop = None;
        }
        self.stop.is_none()
    }

    /// Refuses what can't be read as a request.
    async fn refuse(&mut self, status: StatusCode) -> Next {
        let mut head = Response::with_body(status, ());
        head.head_mut().set_connection_type(ConnectionType::Close);
        let written = self.codec.encode(Message::Item((head, BodySize::Sized(0))), self.output.bytes());
        if written.is_err() || poll_fn(|cx| self.output.poll_write(&mut self.io, cx)).await.is_err() {
            return Next::Gone;
        }
        Next::Close { lingering: true }
    }

    /// Says that nothing more comes. A client that still sends would be told by a reset, and might lose the answer.
    async fn close(&mut self, lingering: bool) {
        if poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await.is_err() || !lingering {
            return;
        }
        self.timer.set(Instant::now() + self.terms.farewell);
        poll_fn(|cx| {
            loop {
                self.input.clear();
                match self.poll_read(cx) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return self.timer.poll(cx),
                }
            }
        })
        .await;
    }
}
