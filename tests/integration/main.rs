//! What a client, an operator and an upstream see of the whole gateway. One test binary, one module per behaviour.

mod architecture;
mod bad_input;
mod balance;
mod breaker;
mod budgets;
mod cache;
mod disconnect;
mod endpoints;
mod explain;
mod failures;
mod fault_matrix;
mod guard_streams;
mod guardrails;
mod headers;
mod observed;
mod openwebui;
mod operator;
mod passthrough;
mod plugins;
mod resilience;
mod routing;
mod settings;
mod slow_reader;
mod streaming;
mod support;
mod turns;
