//! Connections to vendors: names resolved off the thread, addresses checked, TCP, TLS.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::address::is_private;

/// A connection, encrypted where the URL says so.
pub(super) type Link = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<HttpConnector<Resolver>>);

impl Connector {
    /// Makes a connector. `trusted` allows private addresses; `within` bounds TCP's handshake.
    pub(super) fn new(trusted: bool, within: Duration) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver { trusted });
        http.enforce_http(false);
        // Without it a request written in two parts waits 40 ms for the peer's delayed acknowledgement.
        http.set_nodelay(true);
        http.set_connect_timeout(Some(within));
        http.set_keepalive(Some(Duration::from_secs(60)));
        let builder = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(tls()));
        Self(builder.https_or_http().enable_http1().wrap_connector(http))
    }

    /// Connects to the host of a URL.
    ///
    /// # Errors
    /// Why not, in words: name unknown, refused, unreachable, too late, TLS failed.
    pub(super) async fn connect(&self, url: &Uri) -> Result<Link, String> {
        let mut connector = self.0.clone();
        let connected = match std::future::poll_fn(|context| connector.poll_ready(context)).await {
            Ok(()) => connector.call(url.clone()).await,
            Err(error) => Err(error),
        };
        connected.map(TokioIo::new).map_err(|error| root_cause(&*error))
    }
}

/// Resolves names on a blocking thread; drops private addresses unless trusted.
#[derive(Clone, Debug)]
struct Resolver {
    trusted: bool,
}

impl Service<Name> for Resolver {
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

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
