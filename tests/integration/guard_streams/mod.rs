//! Guardrails on streams: whatever the dialect and wherever upstream cuts its answer, nothing leaves that the whole
//! answer would not show, and what may leave leaves as soon as it may.

mod corners;
mod corpus;
mod cuts;
mod denials;
mod faults;
mod interleaved;
mod joint;
mod memory;
mod pace;
mod swaps;
mod wire;
