//! The HTTP client of one worker: HTTP/1.1 over connections that are used again, addresses checked at connect time.
//!
//! One client a worker, so that a stream's upstream socket is polled by the task that polls its downstream one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::timeout;

use super::body::OutBody;
use super::call::Call;
use super::connect::Connector;
use super::exchange::{Incoming, exchange};
use super::pool::{Home, Pool};
use super::reply::Reply;

/// Client of one worker.
#[derive(Clone)]
pub struct Client {
    public: Side,
    trusted: Side,
}

/// Connections that check addresses, or don't: they are never mixed.
#[derive(Clone)]
struct Side {
    connector: Connector,
    pool: Arc<Pool>,
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
        let side =
            |trusted| Side { connector: Connector::new(trusted, connect_timeout), pool: Arc::default() };
        Self { public: side(false), trusted: side(true) }
    }

    /// Sends a request and waits for the head of the answer. `trusted` allows private addresses. Dropping the
    /// future, or the body of the answer before its end, closes the connection. Redirects are not followed.
    ///
    /// # Errors
    /// [`ConnectFailure`]
    pub async fn send(
        &self,
        request: Request<Bytes>,
        trusted: bool,
    ) -> Result<Response<Incoming>, ConnectFailure> {
        self.send_any(request.map(OutBody::Whole).into(), trusted, None).await.map(Response::from)
    }

    /// Sends a request as [`Client::send`] does; its body may be streamed. With `connect`, a connection (name, TCP and
    /// TLS) must be made within that time.
    ///
    /// # Errors
    /// [`ConnectFailure`]
    pub async fn send_any(
        &self,
        mut call: Call,
        trusted: bool,
        connect: Option<Duration>,
    ) -> Result<Reply, ConnectFailure> {
        let side = if trusted { &self.trusted } else { &self.public };
        let home = Home::of(&side.pool, &call.envelope.place);
        loop {
            let waiting = home.take();
            let used = waiting.is_some();
            let link = match waiting {
                Some(link) => link,
                // Boxed: most requests find a connection and should not carry the making of one.
                None => Box::pin(side.connect(&call.envelope.url, connect)).await?,
            };
            match exchange(link, home.clone(), call, used).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(untouched)) => call = untouched.0,
                Err(broken) => return Err(ConnectFailure::Broken(broken.to_string())),
            }
        }
    }
}

impl Side {
    async fn connect(
        &self,
        url: &http::Uri,
        within: Option<Duration>,
    ) -> Result<Box<super::connect::Link>, ConnectFailure> {
        let connecting = self.connector.connect(url);
        let connected = match within {
            None => connecting.await,
            Some(within) => timeout(within, connecting)
                .await
                .unwrap_or_else(|_| Err(format!("no connection within {} ms", within.as_millis()))),
        };
        connected.map(Box::new).map_err(ConnectFailure::Connect)
    }
}
