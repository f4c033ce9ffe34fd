//! Vendors that speak OpenAI's wire, a table row each.
//!
//! [`VENDORS`] is data: slug, place, key variables, endpoints, quirks. [`Compatible`] is the one implementation of
//! [`Provider`](crate::Provider) behind all rows. A vendor that needs code of its own doesn't belong here.
//!
//! ```
//! use tidegate_providers::{Provider, compatible::VENDORS};
//!
//! let groq = VENDORS.iter().find(|vendor| vendor.slug() == "groq").unwrap();
//! assert_eq!(groq.default_base(), Some("https://api.groq.com/openai/v1"));
//! ```

mod adapt;
mod base;
pub(crate) mod openai_models;
mod quirks;
mod table;
mod vendor;

#[cfg(test)]
mod tests;

pub(crate) use adapt::{ask_for_usage, chat_body, edit_messages};
pub(crate) use base::{header_value, http_url, plain_word};
pub use quirks::Quirks;
pub use table::VENDORS;
pub use vendor::Compatible;
