//! Tidegate's gateway: from a client's request to a vendor's answer, with limits, budgets and a log of each.
//!
//! `gateway` wires the parts together. Arrows point down only: {api, powers} → pipeline → {cache, configs, plugins} →
//! {actors, providers} → {upstream, limits, versions, config, store}. Actors never import the pipeline, the API or provider
//! translation beyond a vendor's handle.

pub mod actors;
pub mod admin;
pub mod api;
mod boxed;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod configs;
pub mod error;
pub mod gateway;
pub mod governance;
mod joining;
pub mod limits;
pub mod models;
pub mod money;
pub mod notices;
pub mod pipeline;
pub mod plugins;
pub mod powers;
pub mod provision;
pub mod routing;
pub mod scopes;
pub mod sealing;
pub mod secret;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod upstream;
pub mod versions;
pub mod watch;
