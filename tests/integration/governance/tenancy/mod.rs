//! Workspaces kept apart, generated: every route × every place that may name something × what a workspace owns ×
//! whoever of another workspace asks.
//!
//! Routes, parameters and members come from the gateway's own OpenAPI document. What a place may name is written down
//! in `rules`, by its name; a place without a rule fails the test. Each order is sent twice: with a name of the other
//! workspace, and with one of the same shape that nobody has. The answers must be the same, nothing of the other
//! workspace may stand in them, and what it owns must be the same afterwards.

mod attackers;
mod data_plane;
mod forms;
mod generated;
mod home;
mod names;
mod orders;
mod rules;
mod victim;
