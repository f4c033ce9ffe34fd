//! A connection to handlers of tests, over a pipe.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_http::{KeepAlive, Payload, Request, Response, ServiceConfig};
use actix_web::body::{BodyStream, BoxBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};

use crate::server::answer::Answer;
use crate::server::connection::{Answering, Connection, Handlers, Terms};
use crate::server::sent::{Headers, Sent, SentBody};

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Paths whose POSTs the connection reads itself: those of most tests of bodies. `/codec` is an echo that it doesn't.
const READ_HERE: [&str; 3] = ["/echo", "/sip", "/refuse"];

/// Pieces of an answer, or why it breaks off.
pub(super) type Piece = Result<Bytes, io::Error>;

/// What handlers do, and what became of them.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// How often a handler was called.
    pub(super) calls: Rc<Cell<usize>>,
    /// Whether a handler or an answer was dropped before its end.
    pub(super) dropped: Rc<Cell<bool>>,
    /// How many bytes an endless answer gave.
    pub(super) given: Rc<Cell<usize>>,
    /// How many bytes of a body the handler took.
    pub(super) taken: Rc<Cell<usize>>,
    /// Writes to the client.
    pub(super) writes: Rc<Cell<usize>>,
    /// How the body of a request ended.
    pub(super) ended: Rc<RefCell<Option<PayloadError>>>,
}

/// The client's end.
pub(super) struct Peer {
    pub(super) io: DuplexStream,
    pub(super) seen: Seen,
    /// Pieces of the answer of `/drip`; none end it.
    pub(super) drip: Option<mpsc::UnboundedSender<Piece>>,
    /// Takes a piece of a body in `/sip`.
    pub(super) sip: mpsc::UnboundedSender<()>,
    /// Says that the server stops.
    pub(super) stop: watch::Sender<bool>,
    /// Bytes of the connection with all its states, but for a handler's.
    pub(super) size: usize,
    served: JoinHandle<()>,
}

/// Durations that no test waits for.
pub(super) fn terms() -> Terms {
    Terms {
        config: ServiceConfig::new(KeepAlive::Timeout(PATIENCE), PATIENCE, PATIENCE, false, None),
        head: 10 * PATIENCE,
        idle: 10 * PATIENCE,
        farewell: 10 * PATIENCE,
        host: HeaderValue::from_static("here:8787"),
    }
}

/// Connects to the handlers.
pub(super) fn connect() -> Peer {
    connect_with(terms(), 1 << 20)
}

/// Connects to the handlers, with a pipe that takes so many bytes.
pub(super) fn connect_with(terms: Terms, pipe: usize) -> Peer {
    let seen = Seen::default();
    let (drip, pieces) = mpsc::unbounded_channel();
    let (sip, sips) = mpsc::unbounded_channel();
    let handlers = Tested {
        seen: seen.clone(),
        pieces: Rc::new(RefCell::new(Some(pieces))),
        sips: Rc::new(RefCell::new(Some(sips))),
    };
    let app = Rc::new(handlers);
    let (io, far) = duplex(pipe);
    let far = Counted { io: far, writes: seen.writes.clone() };
    let (stop, mut stopped) = watch::channel(false);
    let stopping = Box::pin(async move { drop(stopped.wait_for(|stop| *stop).await) });
    let connection = Connection::new(far, app, Rc::new(terms), None, stopping);
    let running = connection.run();
    let size = size_of_val(&running);
    let served = actix_web::rt::spawn(running);
    Peer { size, io, seen, drip: Some(drip), sip, stop, served }
}

impl Peer {
    /// Sends bytes.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(PATIENCE, self.io.write_all(bytes.as_ref())).await.expect("it is read").expect("it is open");
    }

    /// Reads up to some text.
    pub(super) async fn read_to(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let byte = timeout(PATIENCE, self.io.read_u8()).await;
            let so_far = || format!("{end:?} after {:?}", String::from_utf8_lossy(&read));
            read.push(
                byte.unwrap_or_else(|_| panic!("no {}", so_far()))
                    .unwrap_or_else(|_| panic!("end: no {}", so_far())),
            );
        }
        String::from_utf8(read).expect("text")
    }

    /// Reads all there is to the end of the connection.
    pub(super) async fn read_all(&mut self) -> String {
        let mut read = Vec::new();
        let end = timeout(PATIENCE, self.io.read_to_end(&mut read)).await;
        end.unwrap_or_else(|_| panic!("it stays open after {:?}", String::from_utf8_lossy(&read)))
            .expect("reads");
        String::from_utf8(read).expect("text")
    }

    /// Waits for the server's end of the connection.
    pub(super) async fn ended(&mut self) {
        timeout(PATIENCE, &mut self.served).await.expect("it ends").expect("no panic");
    }

    /// Lets the server do all it can.
    pub(super) async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Gives a piece of the answer of `/drip`.
    pub(super) fn give(&self, piece: &'static str) {
        self.drip
            .as_ref()
            .expect("not ended")
            .send(Ok(Bytes::from_static(piece.as_bytes())))
            .expect("it is read");
    }
}

/// Sets a flag when it is dropped.
struct Guard(Rc<Cell<bool>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Counts writes.
struct Counted {
    io: DuplexStream,
    writes: Rc<Cell<usize>>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, to)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.io).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[derive(Clone)]
struct Tested {
    seen: Seen,
    pieces: Rc<RefCell<Option<mpsc::UnboundedReceiver<Piece>>>>,
    sips: Rc<RefCell<Option<mpsc::UnboundedReceiver<()>>>>,
}

impl Handlers for Tested {
    fn route(&self, path: &str) -> Option<usize> {
        READ_HERE.iter().position(|known| *known == path)
    }

    fn infer(&self, route: usize, sent: Sent, body: SentBody) -> Answering {
        let payload: Payload = match body {
            SentBody::Whole(bytes) => Payload::from(bytes),
            SentBody::Coming(body) => Payload::Stream { payload: Box::pin(body) },
        };
        let mut request = Request::with_payload(payload);
        let head = request.head_mut();
        head.uri = READ_HERE[route].parse().expect("a path");
        for (name, value) in sent.all() {
            let name: HeaderName = name.parse().expect("a name");
            head.headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        Box::pin(self.clone().handle(request))
    }

    fn ask(&self, request: Request) -> Answering {
        Box::pin(self.clone().handle(request))
    }
}

impl Tested {
    async fn handle(self, request: Request) -> Answer {
        self.answer(request).await.map_or_else(Answer::from, Answer::from)
    }

    async fn answer(self, mut request: Request) -> Result<Response<BoxBody>, Response<BoxBody>> {
        self.seen.calls.set(self.seen.calls.get() + 1);
        match request.path() {
            "/echo" | "/codec" => {
                let mut body = Vec::new();
                let mut payload = request.take_payload();
                while let Some(piece) = payload.next().await {
                    match piece {
                        Ok(piece) => body.extend_from_slice(&piece),
                        Err(error) => {
                            *self.seen.ended.borrow_mut() = Some(error);
                            return Ok(text(StatusCode::BAD_REQUEST, "no body"));
                        }
                    }
                }
                let host = request.head().headers.get("host").and_then(|host| host.to_str().ok());
                let body = format!("{}@{}", String::from_utf8_lossy(&body), host.unwrap_or_default());
                Ok(Response::with_body(StatusCode::OK, BoxBody::new(body)))
            }
            "/refuse" => Ok(text(StatusCode::UNAUTHORIZED, "who?")),
            "/fail" => Err(text(StatusCode::INTERNAL_SERVER_ERROR, "oh")),
            "/wait" => {
                let _guard = Guard(self.seen.dropped);
                std::future::pending().await
            }
            "/drip" => {
                let guard = Guard(self.seen.dropped);
                let pieces = self.pieces.borrow_mut().take().expect("asked once");
                Ok(stream(UnboundedReceiverStream::new(pieces).map(move |piece| {
                    let _ = &guard;
                    piece
                })))
            }
            "/flood" => {
                let given = self.seen.given;
                Ok(stream(tokio_stream::iter(0..100_000).map(move |_| {
                    given.set(given.get() + (8 << 10));
                    Ok(Bytes::from_static(&[b'x'; 8 << 10]))
                })))
            }
            "/short" => {
                let pieces = tokio_stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"too short"))]);
                Ok(Response::with_body(StatusCode::OK, BoxBody::new(SizedStream::new(100, pieces))))
            }
            "/sip" => {
                let mut sips = self.sips.borrow_mut().take().expect("asked once");
                let mut payload = request.take_payload();
                while sips.recv().await.is_some() {
                    match payload.next().await {
                        Some(Ok(piece)) => self.seen.taken.set(self.seen.taken.get() + piece.len()),
                        Some(Err(error)) => *self.seen.ended.borrow_mut() = Some(error),
                        None => break,
                    }
                }
                Ok(text(StatusCode::OK, "sipped"))
            }
            _ => Ok(text(StatusCode::OK, "hello")),
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<BoxBody> {
    Response::with_body(status, BoxBody::new(text))
}

fn stream(pieces: impl Stream<Item = Piece> + 'static) -> Response<BoxBody> {
    Response::with_body(StatusCode::OK, BoxBody::new(BodyStream::new(pieces)))
}
