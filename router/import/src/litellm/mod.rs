//! LiteLLM's proxy `config.yaml`.
//!
//! `model_list` becomes providers and one config, which sends each `model_name` where its deployments are; the key that
//! stands for the master key begins with it, so that clients keep asking for the names they know. One config and not
//! one a name, because configs can't refer to each other.

mod advice;
mod cache;
mod convert;
mod deployments;
mod general;
mod guardrails;
mod prices;
mod providers;
mod router_settings;
mod routing;
mod vendors;

pub use convert::litellm;
