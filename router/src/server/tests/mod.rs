//! Connections, over a pipe instead of a socket.

mod answers;
mod requests;
mod support;
