//! Listening sockets, and what is set on those of clients.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait for a worker.
const BACKLOG: i32 = 4_096;

/// Listens on every address that a name stands for.
///
/// # Errors
/// When none of them can be bound.
pub(super) fn listen(name: &str) -> io::Result<Vec<TcpListener>> {
    let (listeners, mut errors): (Vec<_>, Vec<_>) =
        name.to_socket_addrs()?.map(listen_on).partition(Result::is_ok);
    if listeners.is_empty() {
        return Err(errors
            .pop()
            .and_then(Result::err)
            .unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address")));
    }
    listeners.into_iter().collect()
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A gateway that starts again at once finds its old connections waiting to be forgotten.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Prepares a client's connection; one that can't be set so is served all the same.
pub(super) fn prepare(stream: &TcpStream, write: Duration) {
    // Small SSE chunks must leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small writes to a connection may be held back");
    }
    limit_writes(stream, write);
}

/// Bounds how long a client may leave unread what was sent to it: it would keep its permit and holds for ever. The
/// kernel knows what was not taken (RFC 5482) and closes the connection, which is how the gateway learns of it.
#[cfg(target_os = "linux")]
fn limit_writes(stream: &TcpStream, within: Duration) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(within)) {
        tracing::debug!(%error, "no write timeout on a connection");
    }
}

/// Other kernels have no such option; there a client that stops reading is only noticed when it closes.
#[cfg(not(target_os = "linux"))]
fn limit_writes(_stream: &TcpStream, _within: Duration) {}
