//! The Admin API over HTTP, and what its decisions do to requests.

mod keys;
mod orders;
mod rotation;
mod users;
mod workspaces;
