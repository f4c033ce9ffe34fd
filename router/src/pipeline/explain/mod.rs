//! A request's decisions without the request: the same walk with the same functions, up to the point where a vendor
//! would be asked.
//!
//! The key, its budgets and the provider are asked to let it in, as for a request, and what they grant is given back at
//! once. Guardrails are bound and not run: they may call others. Plugins that conditions ask are asked.
//!
//! Never shows credentials: of URLs the query is left out, of headers only names stand there.

mod dry;
mod target;
mod text;
mod tree;
mod view;

pub use dry::explain;
pub use view::Explanation;
pub(super) use view::{CheckView, GuardView};
