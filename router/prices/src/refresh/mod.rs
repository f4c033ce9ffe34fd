//! Other people's price lists, read into a [`Table`](crate::Table) in our own form.
//!
//! Three forms are told apart by their content: our own, Portkey's file of one vendor (US cents per token), and
//! LiteLLM's file of all models (dollars per token). Nothing is fetched or written here. A model that cannot be
//! priced without guessing is left out and named; a file of no known form is an error. Figures finer than our
//! unit are rounded up.

mod litellm;
mod number;
mod portkey;
mod source;

pub use source::{Form, RefreshError, Refreshed, Skipped, parse};
