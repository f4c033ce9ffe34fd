//! `/providers`: instances of integrations in workspaces, which requests name; `/virtual-keys`: the same with the
//! credential in one, as Portkey had it before.

mod fields;
mod known;
mod routes;
mod show;
mod virtual_keys;

use super::route::Route;

pub(super) use known::{new_provider, of_integration, removal};

/// Every table of this folder.
pub(super) const TABLES: [&[Route]; 2] = [routes::ROUTES, virtual_keys::ROUTES];
