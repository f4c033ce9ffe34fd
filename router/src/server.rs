//! The HTTP server: workers, each with an upstream client of its own, and the drain at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use crate::api::{self, Readiness, Tidy};
use crate::gateway::Gateway;
use crate::upstream::Client;

/// Connections that wait for a worker.
const BACKLOG: u32 = 4_096;
/// Connections a worker serves at the same time.
const CONNECTIONS: usize = 50_000;
/// How long readiness says no before new connections are refused, so that load balancers look elsewhere first.
const NOTICE: Duration = Duration::from_millis(300);

/// What a worker thread needs.
pub struct Worker {
    /// The shared gateway.
    pub gateway: Arc<Gateway>,
    /// The worker's own client.
    pub client: Client,
}

/// A bound server.
pub struct Bound {
    /// The server; runs when awaited.
    pub server: actix_web::dev::Server,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Whether it is ready.
    pub readiness: Readiness,
}

/// Binds the address of the settings.
///
/// # Errors
/// When the address can't be bound; the message names it.
pub fn bind(gateway: Arc<Gateway>) -> io::Result<Bound> {
    let settings = gateway.settings();
    let readiness = Readiness::default();
    let shown = readiness.clone();
    let workers =
        settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let connect = Duration::from_millis(settings.timeouts.connect_ms);
    let write = Duration::from_millis(settings.timeouts.write_ms);
    let server = HttpServer::new(move || {
        if workers == 1 {
            gateway.shards.move_in();
        }
        let worker = Worker { gateway: gateway.clone(), client: Client::new(connect) };
        App::new()
            .app_data(web::Data::new(worker))
            .app_data(web::Data::new(shown.clone()))
            .wrap(Tidy)
            .configure(api::routes)
    })
    .on_connect(move |io, _| {
        if let Some(stream) = io.downcast_ref::<actix_web::rt::net::TcpStream>() {
            limit_writes(stream, write);
        }
    })
    .backlog(BACKLOG)
    .max_connections(CONNECTIONS)
    .workers(workers)
    // Small SSE chunks must leave at once.
    .tcp_nodelay(true)
    // A client that closes its side is gone: its upstream is cancelled at once.
    .h1_allow_half_closed(false)
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(settings.timeouts.drain_ms.div_ceil(1_000))
    .disable_signals()
    .bind(&settings.listen)
    .map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", settings.listen))
    })?;
    let addresses = server.addrs();
    Ok(Bound { server: server.run(), addresses, readiness })
}

/// Bounds how long a client may leave unread what was sent to it: it would keep its permit and holds for ever. The
/// kernel knows what was not taken (RFC 5482) and closes the connection, which is how the gateway learns of it.
#[cfg(target_os = "linux")]
fn limit_writes(stream: &actix_web::rt::net::TcpStream, within: Duration) {
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(within)) {
        tracing::debug!(%error, "no write timeout on a connection");
    }
}

/// Other kernels have no such option; there a client that stops reading is only noticed when it closes.
#[cfg(not(target_os = "linux"))]
fn limit_writes(_stream: &actix_web::rt::net::TcpStream, _within: Duration) {}

/// Waits for SIGTERM or SIGINT, then drains: readiness first, then new connections, then streams within the
/// deadline of the settings.
pub async fn drain_on_signal(handle: ServerHandle, readiness: Readiness) {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "signals can't be heard");
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("draining: no new requests, streams may finish");
    readiness.drain();
    tokio::time::sleep(NOTICE).await;
    // Whoever asks a second time does not want to wait for streams.
    tokio::select! {
        () = handle.stop(true) => {}
        _ = terminate.recv() => handle.stop(false).await,
        _ = tokio::signal::ctrl_c() => handle.stop(false).await,
    }
}
