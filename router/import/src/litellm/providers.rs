//! The provider of a deployment: vendor, key, address, limits.

use super::convert::Reader;
use super::vendors::Vendor;
use crate::draft::{Limit, Provider, slug};
use crate::error::ImportError;
use crate::host;
use crate::place::Place;

/// Written where an address is not known.
const FILL_IN: &str = "https://fill-in.example.com/v1";
/// What people write where a key is demanded and none is needed.
const NO_KEYS: [&str; 12] = [
    "",
    "none",
    "null",
    "empty",
    "dummy",
    "fake",
    "na",
    "n/a",
    "not-needed",
    "no-key",
    "anything",
    "sk-no-key-required",
];

/// A deployment's `litellm_params`, with what a named credential lays under them.
pub(super) struct Params<'a> {
    pub(super) own: Place<'a>,
    pub(super) credential: Option<Place<'a>>,
}

impl<'a> Params<'a> {
    /// Returns the first of several spellings.
    pub(super) fn get(&self, names: &[&str]) -> Option<Place<'a>> {
        let of = |place: &Place<'a>| names.iter().find_map(|name| place.get(name));
        of(&self.own).or_else(|| of(self.credential.as_ref()?))
    }
}

/// Returns the slug of a deployment's provider, which is made if there is none with the same key and address.
/// A deployment with limits has a provider of its own, because limits are counted by provider.
pub(super) fn provide(
    params: &Params<'_>,
    vendor: &Vendor,
    model: &str,
    prices: Vec<(&'static str, String)>,
    reader: &mut Reader<'_>,
) -> Result<String, ImportError> {
    let base_url = base_url(params, vendor, reader)?;
    let trusted = base_url.as_deref().and_then(host::host_of).is_some_and(host::is_private);
    let mut wanted = Provider {
        vendor: vendor.slug.to_owned(),
        api_key: api_key(params, vendor, base_url.is_some(), reader)?,
        base_url,
        trusted,
        options: options(params, vendor, reader)?,
        limits: limits(params)?,
        ..Provider::default()
    };
    let draft = &mut reader.draft;
    let conflicts = |known: &Provider| {
        known.prices.iter().any(|(name, own)| name == model && *own != prices)
            || (prices.is_empty() != known.prices.iter().all(|(name, _)| name != model)
                && known.models.iter().any(|name| name == model))
    };
    let same = |known: &&mut Provider| {
        known.limits.is_empty()
            && wanted.limits.is_empty()
            && (&known.vendor, &known.api_key, &known.base_url, &known.options)
                == (&wanted.vendor, &wanted.api_key, &wanted.base_url, &wanted.options)
            && !conflicts(known)
    };
    if let Some(known) = draft.providers.iter_mut().find(same) {
        if !known.models.iter().any(|name| name == model) {
            known.models.push(model.to_owned());
            if !prices.is_empty() {
                known.prices.push((model.to_owned(), prices));
            }
        }
        return Ok(known.slug.clone());
    }
    if trusted {
        let path =
            params.get(&["api_base", "base_url"]).map_or_else(|| params.own.path.clone(), |at| at.path);
        draft.note(path, "is on a private network, so `trusted = true` was written; check that it is meant");
    }
    let name = match wanted.limits.is_empty() {
        true => vendor.slug.to_owned(),
        false => format!("{}-{}", vendor.slug, slug(model.rsplit('/').next().unwrap_or(model))),
    };
    wanted.slug = draft.free_slug(&name);
    wanted.models.push(model.to_owned());
    if !prices.is_empty() {
        wanted.prices.push((model.to_owned(), prices));
    }
    let slug = wanted.slug.clone();
    draft.providers.push(wanted);
    Ok(slug)
}

fn base_url(
    params: &Params<'_>,
    vendor: &Vendor,
    reader: &mut Reader<'_>,
) -> Result<Option<String>, ImportError> {
    let Some(place) = params.get(&["api_base", "base_url"]) else {
        if matches!(vendor.slug, "azure-openai" | "azure-ai" | "databricks") {
            reader.draft.note(
                params.own.path.clone(),
                format!(
                    "no api_base is written; {FILL_IN} stands in its place, put the resource's address there"
                ),
            );
            return Ok(Some(FILL_IN.to_owned()));
        }
        return Ok(vendor.base.map(str::to_owned));
    };
    let text = match reader.plain(&place)? {
        Ok(text) => text,
        Err(variable) => {
            reader.draft.note(
                place.path,
                format!(
                    "addresses can't be references; {FILL_IN} stands in its place, put the value of {variable} there"
                ),
            );
            return Ok(Some(FILL_IN.to_owned()));
        }
    };
    let url = match host::base_url(&text) {
        Ok(url) => url,
        Err(reason) => {
            reader.draft.note(place.path, format!("{reason}; {FILL_IN} stands in its place"));
            return Ok(Some(FILL_IN.to_owned()));
        }
    };
    Ok(Some(match vendor.slug {
        // LiteLLM adds the version itself.
        "anthropic" if host::is_bare(&url) => format!("{url}/v1"),
        "google" if host::is_bare(&url) => format!("{url}/v1beta"),
        "azure-openai" => azure(&url),
        _ => url,
    }))
}

/// LiteLLM puts `/openai/deployments/…` behind the address, unless it is written there; here the address of a gateway
/// in between ends with `/openai`.
fn azure(url: &str) -> String {
    let root = url.find("/openai/").map_or(url, |at| &url[..at]);
    let root = root.strip_suffix("/openai").unwrap_or(root);
    if host::is_bare(root) { root.to_owned() } else { format!("{root}/openai") }
}

fn api_key(
    params: &Params<'_>,
    vendor: &Vendor,
    has_base: bool,
    reader: &mut Reader<'_>,
) -> Result<Option<String>, ImportError> {
    let variable = if vendor.variable.is_empty() {
        format!("{}_API_KEY", crate::variables::upper(vendor.slug))
    } else {
        vendor.variable.to_owned()
    };
    let Some(place) = params.get(&["api_key"]) else {
        if vendor.variable.is_empty() || params.get(&["azure_ad_token"]).is_some() {
            return Ok(None);
        }
        return Ok(Some(
            reader.draft.variables.named(&variable, &format!("{}, by default", params.own.path)),
        ));
    };
    let text = place.text()?;
    let is_none = NO_KEYS.iter().any(|none| text.trim().eq_ignore_ascii_case(none));
    if is_none && (vendor.variable.is_empty() || has_base) {
        return Ok(None);
    }
    reader.secret(&place, &variable).map(Some)
}

fn options(
    params: &Params<'_>,
    vendor: &Vendor,
    reader: &mut Reader<'_>,
) -> Result<Vec<(String, String)>, ImportError> {
    let Some(place) = params.get(&["api_version"]) else { return Ok(Vec::new()) };
    if vendor.slug != "azure-openai" {
        reader.draft.note(place.path, "has no effect with this vendor");
        return Ok(Vec::new());
    }
    Ok(match reader.plain(&place)? {
        Ok(version) => vec![("azure_api_version".to_owned(), version)],
        Err(variable) => {
            reader.draft.note(
                place.path,
                format!(
                    "options can't be references; put the value of {variable} into options.azure_api_version"
                ),
            );
            Vec::new()
        }
    })
}

fn limits(params: &Params<'_>) -> Result<Vec<Limit>, ImportError> {
    let mut limits = Vec::new();
    if let Some(place) = params.get(&["rpm"]) {
        limits.push(Limit::Requests(place.whole()?, "minute"));
    }
    if let Some(place) = params.get(&["tpm"]) {
        limits.push(Limit::Tokens(place.whole()?, "minute"));
    }
    if let Some(place) = params.get(&["max_parallel_requests"]) {
        limits.push(Limit::Concurrent(place.whole()?));
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_azure_end_where_the_gateway_goes_on() {
        for (url, expected) in [
            ("https://a.openai.azure.com", "https://a.openai.azure.com"),
            ("https://a.openai.azure.com/openai", "https://a.openai.azure.com"),
            ("https://a.openai.azure.com/openai/deployments/x", "https://a.openai.azure.com"),
            ("https://apim.example.com/ai", "https://apim.example.com/ai/openai"),
        ] {
            assert_eq!(azure(url), expected, "{url}");
        }
    }
}
