//! Who is told what happens here: stories of actors, dates of keys and states of plugins become notifications.
//!
//! Nothing here is on the way of a request. What was told is remembered in the store, so that of several nodes one
//! tells; while the store is away each node remembers for itself. Without `[[notify]]` in the settings nothing is sent.

mod channels;
mod dates;
mod events;
mod limited;
mod outage;

pub use channels::Notices;
pub use dates::watch;
pub use events::{invited, listen};
pub use outage::watch as outage;
