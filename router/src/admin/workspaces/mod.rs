//! `/admin/workspaces` and their members.
//!
//! A workspace that is deleted is archived: it is refused from then on, and its name stays known to the audit log and
//! the request log. The default workspace stays.

mod draft;
mod members;
mod remove;
mod routes;
mod serve;

pub(super) use members::membership;
pub(super) use routes::ROUTES;
pub(super) use serve::live;
