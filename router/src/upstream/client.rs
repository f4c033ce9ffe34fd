//! The HTTP client of one worker: pooled HTTP/1.1 connections, TLS, addresses checked at connect time.
//!
//! One client a worker, so that a stream's upstream socket is polled by the thread that polls its downstream one.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::address::is_private;
use super::body::OutBody;

/// Idle vendor connections are kept this long; most vendors close after a minute or more.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Resolves names on a blocking thread; drops private addresses unless trusted.
#[derive(Clone, Debug)]
struct Resolver {
    trusted: bool,
}

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let trusted = self.trusted;
        let resolving = tokio::task::spawn_blocking(move || {
            let all: Vec<SocketAddr> = (name.as_str(), 0).to_socket_addrs()?.collect();
            let allowed: Vec<SocketAddr> =
                all.into_iter().filter(|address| trusted || !is_private(address.ip())).collect();
            if allowed.is_empty() {
                return Err(io::Error::other("the host has no address that may be called"));
            }
            Ok(allowed.into_iter())
        });
        Box::pin(async move { resolving.await.map_err(io::Error::other)? })
    }
}

type Inner = Pooled<HttpsConnector<HttpConnector<Resolver>>, OutBody>;

/// Client of one worker.
#[derive(Clone)]
pub struct Client {
    public: Inner,
    trusted: Inner,
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// No connection: refused, unreachable, name unknown, TLS failed.
    Connect(String),
    /// The connection broke before the head of an answer.
    Broken(String),
}

impl Client {
    /// Makes a client.
    #[must_use]
    pub fn new(connect_timeout: Duration) -> Self {
        Self { public: inner(false, connect_timeout), trusted: inner(true, connect_timeout) }
    }

    /// Sends a request and waits for the head of the answer. `trusted` allows private addresses. Dropping the
    /// future, or the body of the answer before its end, closes the connection. Redirects are not followed.
    ///
    /// # Errors
    /// [`ConnectFailure`]
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        trusted: bool,
    ) -> Result<Response<Incoming>, ConnectFailure> {
        self.send_any(request.map(OutBody::Left), trusted).await
    }

    /// Sends a request as [`Client::send`] does; its body may be streamed.
    ///
    /// # Errors
    /// [`ConnectFailure`]
    pub async fn send_any(
        &self,
        request: Request<OutBody>,
        trusted: bool,
    ) -> Result<Response<Incoming>, ConnectFailure> {
        self.pool(trusted).request(request).await.map_err(|error| failure(&error))
    }

    /// Sends a request like [`Client::send`], with at most `connect` for the connection: name, TCP and TLS.
    ///
    /// # Errors
    /// [`ConnectFailure`]
    pub async fn send_within(
        &self,
        mut request: Request<OutBody>,
        trusted: bool,
        connect: Duration,
    ) -> Result<Response<Incoming>, ConnectFailure> {
        let mut captured = capture_connection(&mut request);
        let mut answer = pin!(self.pool(trusted).request(request));
        let connected = pin!(captured.wait_for_connection_metadata());
        // Whatever comes first: a connection, or the failure to make one.
        match timeout(connect, select(&mut answer, connected)).await {
            Ok(Either::Left((answer, _))) => return answer.map_err(|error| failure(&error)),
            Ok(Either::Right(_)) => {}
            Err(_) => {
                let reason = format!("no connection within {} ms", connect.as_millis());
                return Err(ConnectFailure::Connect(reason));
            }
        }
        answer.await.map_err(|error| failure(&error))
    }

    fn pool(&self, trusted: bool) -> &Inner {
        if trusted { &self.trusted } else { &self.public }
    }
}

fn failure(error: &hyper_util::client::legacy::Error) -> ConnectFailure {
    let reason = root_cause(error);
    if error.is_connect() { ConnectFailure::Connect(reason) } else { ConnectFailure::Broken(reason) }
}

fn inner(trusted: bool, connect_timeout: Duration) -> Inner {
    let mut http = HttpConnector::new_with_resolver(Resolver { trusted });
    http.enforce_http(false);
    // Without it a request written in two parts waits 40 ms for the peer's delayed acknowledgement.
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    http.set_keepalive(Some(Duration::from_secs(60)));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(ClientConfig::clone(tls()))
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Pooled::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(https)
}

/// TLS settings, made once: Mozilla's roots and the machine's own.
fn tls() -> &'static Arc<ClientConfig> {
    static TLS: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    TLS.get_or_init(|| {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|_| {
                ClientConfig::builder_with_provider(provider)
                    .with_protocol_versions(&[&rustls::version::TLS13])
                    .unwrap_or_else(|_| unreachable!("ring offers TLS 1.3"))
            });
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    })
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
