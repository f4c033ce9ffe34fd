//! Azure OpenAI: OpenAI's wire under a resource, a deployment and an API version.
//!
//! ```
//! use tidegate_providers::{Credential, Endpoint, Lane, Provider, azure::Azure, provider::Destination};
//!
//! let mut credential = Credential::default();
//! credential.options.insert("azure_resource_name".into(), "contoso".into());
//! let to = Destination { endpoint: Endpoint::Chat, lane: Lane::Native, model: "gpt-4o", stream: false };
//! let url = "https://contoso.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
//! assert_eq!(Azure.url(&credential, &to).unwrap(), url);
//! ```

mod place;
mod provider;

pub use provider::Azure;
