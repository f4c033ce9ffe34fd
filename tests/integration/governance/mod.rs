//! The Admin API over HTTP, and what its decisions do to requests.

mod bench;
mod guardrails;
mod integrations;
mod providers;
mod secrets;
