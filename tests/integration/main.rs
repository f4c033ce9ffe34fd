//! What a client, an operator and an upstream see of the whole gateway. One test binary, one module per behaviour.

mod architecture;
mod bad_input;
mod balance;
mod breaker;
mod budgets;
mod cache;
mod disconnect;
mod endpoints;
mod failures;
mod guard_streams;
mod guardrails;
mod openwebui;
mod operator;
mod plugins;
mod routing;
mod settings;
mod slow_reader;
mod streaming;
mod support;
mod turns;
