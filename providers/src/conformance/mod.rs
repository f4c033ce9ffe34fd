//! One suite over every vendor and every wire; it finds vendors in the registry and payloads in `fixtures/`.
//!
//! A vendor's folder is named after its slug; `completions` and `responses` are named after the wire.
//! Names say what a file is:
//!
//! - `request.json`: a body as the vendor takes it
//! - `response.json` and `stream.sse`: one answer, whole and streamed; both must say the same
//! - `response_<what>.json` and `stream_<what>.sse`: further answers, which agree where both exist
//! - `stream_error.sse` and `stream_error_<what>.sse`: a stream that the vendor broke off
//! - `error_<status>.json`: an error answer
//! - `calls.json`, `embeddings.json`, `models.json`: read by the vendor's own tests
//!
//! A new vendor needs no test here: its row and its fixtures are the test.

mod clients;
mod corpus;
mod cuts;
mod expected;
mod fixtures;
mod matrix;
mod requests;
mod rounds;
mod seen;
mod sse;
mod told;
mod vendors;
