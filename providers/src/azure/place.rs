//! Where a request to Azure OpenAI goes.
//!
//! Two schemes: `/openai/deployments/{deployment}/{op}?api-version={date}`, and since API version `v1`
//! `/openai/v1/{op}` with the deployment as the body's `model`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::compatible::{http_url, plain_word};
use crate::error::InvalidCall;
use crate::provider::{Credential, Destination, Endpoint, Lane, joined};

/// Newest version of the dated scheme that is not a preview.
const DEFAULT_VERSION: &str = "2024-10-21";

/// Everything but what needs no escape in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns an option, written with Portkey's prefix `azure_` or without.
pub(super) fn option<'c>(credential: &'c Credential, name: &str) -> Option<&'c str> {
    let value = credential.option(name).or_else(|| credential.option(name.strip_prefix("azure_")?));
    value.map(str::trim).filter(|value| !value.is_empty())
}

pub(super) fn url(credential: &Credential, to: &Destination<'_>) -> Result<String, InvalidCall> {
    let version =
        plain_word(option(credential, "azure_api_version").unwrap_or(DEFAULT_VERSION), "azure_api_version")?;
    let mut url = root(credential)?;
    let path = match to.lane {
        Lane::Translate(_) => Endpoint::Chat.path(),
        Lane::Native | Lane::Exchange(_) => to.endpoint.path(),
    };
    let based_on_v1 = url.ends_with("/v1");
    if based_on_v1 || version == "v1" || version == "preview" {
        if !based_on_v1 {
            url.push_str("/v1");
        }
        url.push_str(path);
        if version == "preview" {
            url.push_str("?api-version=preview");
        }
        return Ok(url);
    }
    // Responses belong to the resource: their body names the deployment in both schemes.
    if to.endpoint != Endpoint::Responses || matches!(to.lane, Lane::Translate(_)) {
        url.push_str("/deployments/");
        url.push_str(&deployment(credential, to.model)?);
    }
    url.push_str(path);
    url.push_str("?api-version=");
    url.push_str(version);
    Ok(url)
}

/// Returns the URL of a path that is no endpoint: below `/openai`, with the API version unless the client names one.
pub(super) fn other_url(
    credential: &Credential,
    path: &str,
    query: Option<&str>,
) -> Result<String, InvalidCall> {
    let version =
        plain_word(option(credential, "azure_api_version").unwrap_or(DEFAULT_VERSION), "azure_api_version")?;
    let mut base = root(credential)?;
    let query = query.unwrap_or_default();
    let names_version = query.split('&').any(|pair| pair.starts_with("api-version="));
    if base.ends_with("/v1") || version == "v1" || version == "preview" {
        if !base.ends_with("/v1") {
            base.push_str("/v1");
        }
        return Ok(joined(base, path, Some(query)));
    }
    let mut query = query.to_owned();
    if !names_version {
        let and = if query.is_empty() { "" } else { "&" };
        query.push_str(&format!("{and}api-version={version}"));
    }
    Ok(joined(base, path, Some(&query)))
}

/// Returns the URL up to and with `/openai`.
pub(super) fn root(credential: &Credential) -> Result<String, InvalidCall> {
    if let Some(base) = &credential.base_url {
        let base = http_url(base, "base_url")?;
        let host = base.split_once("://").map_or(base, |(_, host)| host);
        return Ok(if host.contains('/') { base.to_owned() } else { format!("{base}/openai") });
    }
    let name = "azure_resource_name";
    let Some(resource) = option(credential, name) else {
        return Err(InvalidCall::at(
            name,
            format!("azure-openai needs `{name}` (or base_url) to know its address"),
        ));
    };
    if !resource.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(InvalidCall::at(name, format!("`{name}` may hold letters, digits and hyphens only")));
    }
    Ok(format!("https://{resource}.openai.azure.com/openai"))
}

fn deployment(credential: &Credential, model: &str) -> Result<String, InvalidCall> {
    let name = option(credential, "azure_deployment_id").unwrap_or(model);
    if name.is_empty() || name == "." || name == ".." {
        let message = "azure-openai needs `azure_deployment_id` or a model to know the deployment";
        return Err(InvalidCall::at("azure_deployment_id", message));
    }
    Ok(utf8_percent_encode(name, SEGMENT).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Wire;

    fn credential(options: &[(&str, &str)]) -> Credential {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Credential { options: options.collect(), ..Credential::default() }
    }

    fn to(endpoint: Endpoint) -> Destination<'static> {
        Destination { endpoint, lane: Lane::Native, model: "gpt-4o", stream: false }
    }

    fn chat_url(options: &[(&str, &str)]) -> Result<String, InvalidCall> {
        url(&credential(options), &to(Endpoint::Chat))
    }

    #[test]
    fn the_dated_scheme_names_the_deployment() {
        let wanted =
            "https://res.openai.azure.com/openai/deployments/dep/chat/completions?api-version=2024-10-21";
        let options = [("azure_resource_name", "res"), ("azure_deployment_id", "dep")];
        assert_eq!(chat_url(&options).unwrap(), wanted);
        assert_eq!(chat_url(&[("resource_name", "res"), ("deployment_id", "dep")]).unwrap(), wanted);
    }

    #[test]
    fn version_v1_has_neither_deployment_nor_query() {
        let options = [("resource_name", "res"), ("api_version", "v1"), ("deployment_id", "dep")];
        assert_eq!(chat_url(&options).unwrap(), "https://res.openai.azure.com/openai/v1/chat/completions");
    }

    #[test]
    fn a_base_url_stands_in_for_the_resource() {
        let mut credential = credential(&[]);
        for (base, wanted) in [
            ("https://h", "https://h/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
            (
                "https://h/openai/",
                "https://h/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            ),
            ("https://h/openai/v1", "https://h/openai/v1/chat/completions"),
        ] {
            credential.base_url = Some(base.to_owned());
            assert_eq!(url(&credential, &to(Endpoint::Chat)).unwrap(), wanted, "{base}");
        }
    }

    #[test]
    fn responses_belong_to_the_resource_unless_translated() {
        let credential = credential(&[("resource_name", "res")]);
        let native = url(&credential, &to(Endpoint::Responses)).unwrap();
        assert_eq!(native, "https://res.openai.azure.com/openai/responses?api-version=2024-10-21");
        let translated = Destination { lane: Lane::Translate(Wire::Chat), ..to(Endpoint::Messages) };
        assert!(url(&credential, &translated).unwrap().contains("/deployments/gpt-4o/chat/completions?"));
    }

    #[test]
    fn other_paths_get_the_version_once() {
        let dated = credential(&[("resource_name", "res")]);
        let url = |query| other_url(&dated, "/files", query).unwrap();
        let base = "https://res.openai.azure.com/openai/files";
        assert_eq!(url(None), format!("{base}?api-version=2024-10-21"));
        assert_eq!(url(Some("limit=2")), format!("{base}?limit=2&api-version=2024-10-21"));
        assert_eq!(url(Some("api-version=x")), format!("{base}?api-version=x"));
        let v1 = credential(&[("resource_name", "res"), ("api_version", "v1")]);
        let url = other_url(&v1, "/files/a", None).unwrap();
        assert_eq!(url, "https://res.openai.azure.com/openai/v1/files/a");
    }

    #[test]
    fn nothing_leaves_its_place_in_the_url() {
        for name in ["a.b", "a/b", "a@b", "a b", "a?b", ""] {
            assert!(chat_url(&[("resource_name", name)]).is_err(), "{name}");
        }
        assert!(chat_url(&[("resource_name", "r"), ("api_version", "v1&x=1")]).is_err());
        let url = chat_url(&[("resource_name", "r"), ("deployment_id", "a/../b?c")]).unwrap();
        assert!(url.contains("/deployments/a%2F..%2Fb%3Fc/"), "{url}");
    }
}
