//! Notifications delivered to real receivers: an HTTP server that checks signatures itself, and an SMTP server.
//!
//! `tests/receivers` installs what it needs.

#![expect(clippy::expect_used, reason = "helpers of tests fail tests")]

mod encryption;
mod mail;
mod receiver;
mod support;
mod webhooks;
