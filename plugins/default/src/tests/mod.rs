//! Portkey's results, and streams.

mod jwt;
mod manifest;
mod observed;
mod remote;
mod request;
mod streams;
mod tokens;
