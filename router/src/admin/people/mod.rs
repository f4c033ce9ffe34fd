//! `/admin/users` and their invitations: who is of the organisation.
//!
//! A person comes in by an invitation's link, which holds a secret that is shown once and kept as a hash. There is
//! always an owner once there was one.

mod accept;
mod invites;
mod routes;
mod users;

pub(super) use routes::ROUTES;
