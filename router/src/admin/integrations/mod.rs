//! `/integrations`: vendors' credentials, which models they open, and which workspaces may use them for how much.
//!
//! Credentials and configurations are sealed; what is shown and what the audit log keeps is masked.

mod configurations;
mod fields;
mod known;
mod mappings;
mod models;
mod routes;
mod show;
mod workspaces;

use super::route::Route;

pub(super) use configurations::{opened, sealed};
pub(super) use known::{Draft, find, made, provisioned};
pub(super) use workspaces::provision;

/// Every table of this folder.
pub(super) const TABLES: [&[Route]; 3] = [routes::ROUTES, models::ROUTES, workspaces::ROUTES];
