//! The Admin API: Portkey's routes, names and answers over what the organisation decides.
//!
//! Every route stands in one table: its method and path, the scopes that it needs, the members that it reads, and
//! the function that serves it. The table registers routes, checks who may, checks what is sent, and is written out
//! as the OpenAPI document; nothing is said twice. A handler sees only what its caller may see: `Ctx` finds
//! workspaces and objects, and what belongs to another workspace is as if it were not there.

mod audit_logs;
mod catalogue;
mod change;
mod configs;
mod ctx;
mod customs;
mod exclusions;
mod field;
mod guardrails;
mod integrations;
mod keys;
mod limits;
mod logs;
mod openapi;
mod organisation;
mod people;
mod policies;
mod providers;
pub(crate) mod reply;
mod route;
mod schemas;
mod secret_references;
mod security;
mod slugs;
mod who;
mod workspaces;

pub(crate) use change::{Change, tell};
pub(crate) use keys::watch as rotate_keys;
pub use openapi::document;
pub(crate) use who::allow;

use actix_web::web::ServiceConfig;

use route::Route;

/// Every table of routes.
const TABLES: &[&[Route]] = &[
    organisation::ROUTES,
    workspaces::ROUTES,
    people::ROUTES,
    keys::ROUTES,
    policies::ROUTES,
    audit_logs::ROUTES,
    logs::ROUTES,
    integrations::TABLES[0],
    integrations::TABLES[1],
    integrations::TABLES[2],
    providers::TABLES[0],
    providers::TABLES[1],
    secret_references::ROUTES,
    guardrails::ROUTES,
    exclusions::ROUTES,
    configs::ROUTES,
];

/// Adds the routes of the Admin API, below `/v1` and `/v2`: Portkey's documents use both.
pub(crate) fn routes(config: &mut ServiceConfig) {
    route::register(config, TABLES);
    openapi::register(config);
}
