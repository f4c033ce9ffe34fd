//! The Admin API over HTTP, and what its decisions do to requests.

mod apart;
mod audited_commands;
mod bench;
mod by_hand;
mod command_line;
mod guardrails;
mod inline;
mod integrations;
mod keys;
mod logging;
mod matrix;
mod notices;
mod orders;
mod providers;
mod rotation;
mod secrets;
mod switches;
mod tenancy;
mod user_keys;
mod users;
mod workspaces;
