//! An HTTP client for tests: one connection per request, so that dropping the answer hangs up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::{HeaderMap, Method, Uri, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::task::AbortHandle;

use crate::sse::{Event, Reader};
use crate::wait::{PATIENCE, within};

/// Where requests go, and as whom.
#[derive(Debug, Clone)]
pub struct Client {
    addr: SocketAddr,
    key: Option<String>,
}

/// A request being put together.
#[derive(Debug)]
pub struct Request {
    addr: SocketAddr,
    method: Method,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
    chunked: bool,
    receive_buffer: Option<u32>,
}

impl Client {
    /// A client without a key.
    pub fn new(addr: SocketAddr) -> Client {
        Client { addr, key: None }
    }

    /// The same client with this key, sent as `Authorization: Bearer`.
    pub fn with_key(&self, key: &str) -> Client {
        Client { addr: self.addr, key: Some(key.to_owned()) }
    }

    /// A request with any method.
    pub fn request(&self, method: &str, target: &str) -> Request {
        let mut request = Request {
            addr: self.addr,
            method: method.parse().expect("a method"),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            chunked: false,
            receive_buffer: None,
        };
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request
    }

    /// A GET request.
    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    /// A POST request with a JSON body.
    pub fn post(&self, target: &str, body: &Value) -> Request {
        self.request("POST", target).header("content-type", "application/json").body(body.to_string())
    }

    /// A chat completion.
    pub fn chat(&self, body: &Value) -> Request {
        self.post("/v1/chat/completions", body)
    }

    /// An Anthropic message.
    pub fn message(&self, body: &Value) -> Request {
        self.post("/v1/messages", body).header("anthropic-version", "2023-06-01")
    }
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Request {
        self.body = body.into();
        self
    }

    /// Sends the body with `Transfer-Encoding: chunked`, in pieces of 8 KB.
    #[must_use]
    pub fn chunked(mut self) -> Request {
        self.chunked = true;
        self
    }

    /// Reads through a small socket buffer, as a slow reader behind a thin line does.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Request {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Sends it and waits for the head of the answer.
    pub async fn send(self) -> Answer {
        let what = format!("the answer to {} {}", self.method, self.target);
        match within(&what, self.try_send()).await {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// Sends it; an error is a connection that was refused or cut before the head.
    pub async fn try_send(self) -> Result<Answer, String> {
        let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).map_err(|error| error.to_string())?;
        }
        let stream = socket.connect(self.addr).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            http1::handshake::<_, BoxBody<Bytes, std::convert::Infallible>>(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
        let task = tokio::spawn(async move {
            // How a connection ends shows in the answer.
            let _ = connection.await;
        });
        let connection = Connection(task.abort_handle());
        let mut request =
            http::Request::builder().method(self.method).uri(self.target.parse::<Uri>().expect("a target"));
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header(header::HOST, self.addr.to_string());
        }
        for (name, value) in &self.headers {
            let own = ["content-length", "transfer-encoding", "connection"];
            if !own.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                request = request.header(name, value.as_slice());
            }
        }
        let body = if self.chunked {
            let pieces: Vec<Bytes> = self.body.chunks(8192).map(Bytes::copy_from_slice).collect();
            let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
            BoxBody::new(StreamBody::new(futures_util::stream::iter(frames)))
        } else {
            BoxBody::new(Full::new(self.body))
        };
        let request = request.body(body).map_err(|error| error.to_string())?;
        let sent_at = Instant::now();
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            reason: head.extensions.get::<hyper::ext::ReasonPhrase>().map_or_else(
                || head.status.canonical_reason().unwrap_or_default().to_owned(),
                |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
            ),
            headers: head.headers,
            sent_at,
            body,
            reader: Reader::default(),
            queue: Vec::new().into_iter(),
            cut: false,
            connection,
        })
    }
}

/// The head of an answer, and its body as it comes. Dropping it closes the connection.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Reason phrase of the status line.
    pub reason: String,
    /// Headers.
    pub headers: HeaderMap,
    /// When the request was sent.
    pub sent_at: Instant,
    body: Incoming,
    reader: Reader,
    queue: std::vec::IntoIter<Event>,
    cut: bool,
    connection: Connection,
}

/// An open connection; dropping it closes it, also while its request is still on the way.
#[derive(Debug)]
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// A header as text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The next bytes of the body; `None` at its end, also when the connection was cut (see [`Answer::was_cut`]).
    pub async fn next_bytes(&mut self) -> Option<Bytes> {
        let frame =
            within("more of the answer", poll_fn(|cx| std::pin::Pin::new(&mut self.body).poll_frame(cx)))
                .await;
        match frame {
            Some(Ok(frame)) => Some(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => {
                self.cut = true;
                None
            }
            None => None,
        }
    }

    /// Whether the body ended without its proper end.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// The next event of an event stream.
    pub async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.next() {
                return Some(event);
            }
            let bytes = self.next_bytes().await?;
            self.queue = self.reader.feed(&bytes).into_iter();
        }
    }

    /// Whether nothing comes for this long.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        debug_assert!(time < PATIENCE);
        tokio::time::timeout(time, self.next_event()).await.is_err()
    }

    /// All events to the end.
    pub async fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next_event().await {
            events.push(event);
        }
        events
    }

    /// The whole body.
    pub async fn bytes(&mut self) -> Bytes {
        let body = within("the whole answer", (&mut self.body).collect()).await;
        match body {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                self.cut = true;
                Bytes::new()
            }
        }
    }

    /// The whole body as text.
    pub async fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes().await).into_owned()
    }

    /// The whole body as JSON.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{} with no JSON ({error}): {text:?}", self.status))
    }

    /// The whole body as JSON, after checking the status.
    pub async fn expect(mut self, status: u16) -> Value {
        let text = self.text().await;
        assert_eq!(self.status, status, "unexpected status, with {text}");
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{status} with no JSON ({error}): {text:?}"))
    }

    /// Hangs up now, and says when.
    pub fn hang_up(self) -> Instant {
        self.connection.0.abort();
        Instant::now()
    }
}
