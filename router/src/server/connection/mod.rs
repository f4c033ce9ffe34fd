//! One client's connection: requests one after the other, each parsed once, answered in as few writes as possible.
//!
//! Plain requests of inference are read here, all others by actix's codec; this is the loop around both. While an
//! answer is under way no request is read, but the socket is watched: a client that closes is gone, and its handler
//! and answer are dropped at once. A connection that waits, for a request or for the next piece of an answer, holds
//! no buffer of requests.

mod answer;
mod client;
mod frame;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::ParseError;
use actix_http::h1::{Codec, Message, MessageType};
use actix_http::{Payload, Request, ServiceConfig};
use actix_web::body::BodySize;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::codec::Decoder;

use self::frame::Line;
use super::answer::Answer;
use super::body::{Feeder, body};
use super::output::Output;
use super::sent::{self, Read, Sent, SentBody};
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

/// A request that is being answered.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer>>>;

/// What answers requests.
pub(super) trait Handlers {
    /// Returns which route of inference a path is, if it is one.
    fn route(&self, path: &str) -> Option<usize>;

    /// Answers a POST to a route of inference.
    fn infer(&self, route: usize, sent: Sent, body: SentBody) -> Answering;

    /// Answers any other request.
    fn ask(&self, request: Request) -> Answering;
}

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
    /// Bytes of the body that are still to come, where the codec doesn't count them.
    left: Option<usize>,
    /// The client wants to keep the connection.
    keep: bool,
    output: Output,
    timer: Timer,
    /// None when no more requests are welcome.
    stop: Option<Stop>,
}

/// What comes instead of a request.
enum Head {
    Request(Asked),
    Refused(StatusCode),
    Over,
}

/// A request that a handler has.
struct Asked {
    answering: Answering,
    /// The client knows no chunks.
    old: bool,
    /// The answer has no body: it is one to HEAD.
    empty: bool,
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
    S: Handlers,
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
            left: None,
            keep: false,
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
            let asked = match poll_fn(|cx| self.poll_head(&mut timed, cx)).await {
                Head::Request(asked) => asked,
                Head::Refused(status) => return self.refuse(status).await,
                Head::Over => return,
            };
            let Some(begun) = self.ask(asked).await else { return };
            match self.answer(begun).await {
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
                if let Some(read) = sent::read(&mut self.input, |path| self.app.route(path)) {
                    return Poll::Ready(self.begin_inference(read, cx));
                }
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

    /// Asks for the answer to a request that was read here, with what is there of its body.
    fn begin_inference(&mut self, read: Read, cx: &Context<'_>) -> Head {
        let Read { route, sent, length, keep } = read;
        self.keep = keep;
        let body = if self.input.len() < length {
            let (feeder, body) = body();
            self.feeder = Some(feeder);
            self.left = Some(length);
            self.feed(cx);
            SentBody::Coming(body)
        } else {
            SentBody::Whole(self.take(length))
        };
        Head::Request(Asked { answering: self.app.infer(route, sent, body), old: false, empty: false })
    }

    /// Takes bytes off the input, which gives its memory back when it is empty.
    fn take(&mut self, length: usize) -> Bytes {
        if length < self.input.len() {
            return self.input.split_to(length).freeze();
        }
        std::mem::take(&mut self.input).freeze()
    }

    /// Asks the handler of a request.
    fn begin(&mut self, mut request: Request, cx: &Context<'_>) -> Head {
        self.keep = self.codec.keep_alive();
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
        // Who sent its body already waits for nothing.
        if request.head().expect() && self.feeder.is_some() {
            self.output.bytes().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let empty = request.method() == Method::HEAD;
        let old = request.version() < Version::HTTP_11;
        Head::Request(Asked { answering: self.app.ask(request), old, empty })
    }

    /// Returns whether no more requests are welcome.
    fn is_stopping(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready()) {
            self.stop = None;
        }
        self.stop.is_none()
    }

    /// Refuses what can't be read as a request.
    async fn refuse(&mut self, status: StatusCode) {
        let line = Line { old: false, keep: false };
        let config = &self.terms.config;
        frame::head(&Answer::bare(status), BodySize::Sized(0), &line, config, self.output.bytes());
        if poll_fn(|cx| self.output.poll_write(&mut self.io, cx)).await.is_ok() {
            self.close(true).await;
        }
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
