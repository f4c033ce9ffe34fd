//! The HTTP server: workers, each with an upstream client of its own, and the drain at the end.
//!
//! Actix accepts connections, spreads them over workers and stops them; its app routes requests. What lies between,
//! a connection's life, is in `connection`.

mod answer;
mod body;
mod connection;
mod output;
mod sent;
mod socket;
#[cfg(test)]
mod tests;
mod timer;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{KeepAlive, Request, Response, ServiceConfig};
use actix_service::IntoServiceFactory;
use actix_web::body::BoxBody;
use actix_web::dev::{
    AppConfig, Server, ServerHandle, Service, ServiceFactory, ServiceResponse, fn_factory, fn_service,
};
use actix_web::http::header::HeaderValue;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};

use crate::api::{self, Readiness, Tidy};
use crate::boxed::boxed;
use crate::gateway::Gateway;
use crate::upstream::Client;

use self::connection::{Answering, Connection, Handlers, Terms};

pub(crate) use self::answer::{Answer, Lines};
pub(crate) use self::sent::{Headers, Sent, SentBody};

/// Connections a worker serves at the same time.
const CONNECTIONS: usize = 50_000;
/// How long readiness says no before new connections are refused, so that load balancers look elsewhere first.
const NOTICE: Duration = Duration::from_millis(300);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client is listened to after the last answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often a worker gives back memory that it does not use any more.
const GIVE_BACK: Duration = Duration::from_secs(10);

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
    pub server: Server,
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
    let connect = Duration::from_millis(settings.timeouts.connect_ms);
    let write = Duration::from_millis(settings.timeouts.write_ms);
    let workers =
        settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let failed = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", settings.listen))
    };
    let mut server = Server::build()
        .max_concurrent_connections(CONNECTIONS)
        .workers(workers)
        .shutdown_timeout(settings.timeouts.drain_ms.div_ceil(1_000))
        .disable_signals();
    let stop = server.graceful_shutdown_signal();
    let mut addresses = Vec::new();
    for listener in socket::listen(&settings.listen).map_err(failed)? {
        let address = listener.local_addr().map_err(failed)?;
        addresses.push(address);
        let (gateway, shown, stop) = (gateway.clone(), shown.clone(), stop.clone());
        server = server
            .listen("tidegate", listener, move || {
                let (gateway, shown, stop) = (gateway.clone(), shown.clone(), stop.clone());
                fn_factory(move || {
                    if workers == 1 {
                        gateway.shards.move_in();
                    }
                    let worker = Worker { gateway: gateway.clone(), client: Client::new(connect) };
                    let worker = web::Data::new(worker);
                    let app = app(worker.clone(), shown.clone());
                    let stop = stop.clone();
                    give_back();
                    async move {
                        let app = Rc::new(Front { app: app.await?, worker });
                        let terms = Rc::new(terms(address));
                        Ok::<_, ()>(fn_service(move |io: TcpStream| {
                            socket::prepare(&io, write);
                            let peer = io.peer_addr().ok();
                            let stop = stop.clone();
                            let stop = Box::pin(async move { stop.notified().await });
                            let connection = Connection::new(io, app.clone(), terms.clone(), peer, stop);
                            async move {
                                connection.run().await;
                                Ok::<_, ()>(())
                            }
                        }))
                    }
                })
            })
            .map_err(failed)?;
    }
    Ok(Bound { server: server.run(), addresses, readiness })
}

/// A worker's handlers: inference at once, all else by its app.
struct Front<S> {
    app: S,
    worker: web::Data<Worker>,
}

impl<S> Handlers for Front<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
    S::Future: 'static,
{
    fn route(&self, path: &str) -> Option<usize> {
        api::inference_at(path)
    }

    fn infer(&self, route: usize, sent: Sent, body: SentBody) -> Answering {
        boxed(|| api::infer(route, sent, body, self.worker.clone()))
    }

    fn ask(&self, request: Request) -> Answering {
        let answering = self.app.call(request);
        Box::pin(
            async move { answering.await.map_or_else(|error| Response::from(error).into(), Answer::from) },
        )
    }
}

/// Makes a worker's app.
async fn app(
    worker: web::Data<Worker>,
    readiness: Readiness,
) -> Result<impl Service<Request, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>, ()> {
    App::new()
        .app_data(worker)
        .app_data(web::Data::new(readiness))
        .wrap(Tidy)
        .configure(api::routes)
        .into_factory()
        .new_service(AppConfig::default())
        .await
}

/// Lets this thread give back, from now on, what a peak of connections left behind.
fn give_back() {
    // It ends with the worker's thread.
    actix_web::rt::spawn(async {
        loop {
            tokio::time::sleep(GIVE_BACK).await;
            tidegate_memory::give_back();
        }
    });
}

/// Returns what the connections to an address share.
fn terms(address: SocketAddr) -> Terms {
    let config = ServiceConfig::new(KeepAlive::Timeout(IDLE), HEAD, FAREWELL, false, Some(address));
    let host =
        HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| HeaderValue::from_static("localhost"));
    Terms { config, head: HEAD, idle: IDLE, farewell: FAREWELL, host }
}

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
