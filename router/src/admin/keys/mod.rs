//! `/api-keys`: keys of the organisation, of workspaces and of users, with their limits, budgets and rotation.
//!
//! A secret is shown once, when it is made. Keys that the settings file declares, and the admin key, are shown but not
//! changed here. A key of a workspace sees that workspace's keys only; others are as if they were not there.

mod draft;
mod due;
mod grant;
mod rotate;
mod routes;
mod serve;
mod standing;
mod view;

pub(super) use draft::{is_address, own_budget, read_metadata};
pub(crate) use due::watch;
pub(super) use grant::check_scopes;
pub(super) use routes::ROUTES;
pub(super) use serve::{doomed, made_for_user};
