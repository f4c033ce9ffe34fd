//! `/configs`: save, list, show, change, put another version in force, delete.

mod routes;
mod show;

pub(super) use routes::ROUTES;
