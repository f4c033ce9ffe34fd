//! The Admin API over HTTP, and what its decisions do to requests.

mod apart;
mod audited_commands;
mod bench;
mod command_line;
mod guardrails;
mod integrations;
mod keys;
mod matrix;
mod orders;
mod providers;
mod rotation;
mod secrets;
mod tenancy;
mod users;
mod workspaces;
