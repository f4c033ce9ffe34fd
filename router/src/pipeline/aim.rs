//! Where a target points, as far as that is known without starting anything.
//!
//! For looking around among targets: [`super::resolve`] decides, and tells what is wrong.

use std::sync::Arc;

use serde_json::Value;
use tidegate_config::Target;
use tidegate_store::KeyRecord;

use super::request::Request;
use super::resolve::{Named, named, slug_of, split_model};
use crate::actors::provider::ProviderHandle;
use crate::gateway::Gateway;

/// Provider and model of a target.
pub(super) struct Aim {
    /// The provider; `None` where the client brings its own credentials, or there is none of that name.
    pub provider: Option<Arc<ProviderHandle>>,
    /// Its slug, or the vendor's name.
    pub slug: String,
    /// Vendor's model name.
    pub model: String,
}

/// Finds out where a target points.
pub(super) fn aim(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    target: &Target,
    body_model: Option<&str>,
) -> Aim {
    let Named { provider: vendor, virtual_key, takes_key } = named(target, request);
    let (own, model) = split_model(model_of(target, body_model));
    let model = model.unwrap_or_default().to_owned();
    let found = |slug: &str| (gateway.provider_for(key, slug), slug.to_owned());
    let (provider, slug) = match (slug_of(vendor, virtual_key, own), vendor) {
        (Some(slug), _) => found(slug),
        (None, Some(vendor)) => {
            let brings = target.api_key.is_some()
                || target.custom_host.is_some()
                || request.headers.contains_key("x-portkey-custom-host")
                || (takes_key && request.vendor_key.is_some());
            if brings { (None, vendor.to_owned()) } else { found(vendor) }
        }
        (None, None) => {
            let mut providers = gateway.providers_for(key);
            let only = (providers.len() == 1).then(|| providers.remove(0));
            let slug = only.as_ref().map(|only| only.record().slug.clone()).unwrap_or_default();
            (only, slug)
        }
    };
    Aim { provider, slug, model }
}

/// Returns the model that a target leaves of the body's.
pub(super) fn model_of<'a>(target: &'a Target, body_model: Option<&'a str>) -> Option<&'a str> {
    let text = |params: &'a serde_json::Map<String, Value>| params.get("model").and_then(Value::as_str);
    text(&target.override_params).or(body_model).or_else(|| text(&target.default_params))
}
