//! Turns configurations of other gateways into a `tidegate.toml`.
//!
//! Pure: text in, text and notes out; no file is read, no variable looked up. Every config that is made is read by
//! [`tidegate_config::Plan`] before it is handed out. What has no counterpart becomes a [`Note`]; keys found in clear
//! text never get into the output, which names environment variables in their place. Fails closed: input that can't
//! be understood is an [`ImportError`] with its line or path, and nothing is half converted.
//!
//! ```
//! let yaml = "model_list:\n- model_name: fast\n  litellm_params: {model: openai/gpt-4o-mini}\n";
//! let converted = tidegate_import::litellm(yaml)?;
//! assert!(converted.toml.contains("api_key = \"env:OPENAI_API_KEY\""));
//! # Ok::<(), tidegate_import::ImportError>(())
//! ```

mod decimal;
mod draft;
mod error;
mod host;
mod json_text;
mod litellm;
mod note;
mod place;
mod portkey;
mod render;
mod variables;
mod yaml;

pub use error::ImportError;
pub use litellm::litellm;
pub use note::{Converted, Note};
pub use portkey::portkey;
pub use variables::Variable;
