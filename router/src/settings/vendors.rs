//! Vendors that settings name, and what is said about them.

use std::collections::BTreeMap;

use tidegate_providers::{Credential, Provider};

/// Refuses what every request to such a provider would fail at, or would not have an effect.
///
/// # Errors
/// The member and what is accepted, beginning with `provider.`.
pub(crate) fn check(
    vendor: &dyn Provider,
    base_url: Option<&str>,
    options: &BTreeMap<String, String>,
) -> Result<(), String> {
    let (slug, known) = (vendor.slug(), vendor.options());
    if let Some(name) = options.keys().find(|name| !known.iter().any(|known| known == *name)) {
        let accepted = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(format!("provider.options: {slug} has no option \"{name}\"; it has: {accepted}"));
    }
    if base_url.is_none() && vendor.default_base().is_none() {
        let credential = Credential { options: options.clone(), ..Credential::default() };
        vendor.base(&credential).map_err(|error| {
            let place = if options.is_empty() { "base_url" } else { "options" };
            format!("provider.{place}: {}", error.message)
        })?;
    }
    Ok(())
}

/// Says that a vendor is unknown, and which one was probably meant.
pub(crate) fn unknown(name: &str) -> String {
    let nearest = tidegate_providers::registry::all()
        .map(|provider| provider.slug())
        .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    match nearest {
        Some(nearest) => {
            format!(
                "\"{name}\" is unknown; did you mean \"{nearest}\"? `tidegate provider vendors` lists all"
            )
        }
        None => format!("\"{name}\" is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(vendor: &str, base_url: Option<&str>, options: &[(&str, &str)]) -> Result<(), String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(tidegate_providers::registry::find(vendor).unwrap(), base_url, &options)
    }

    #[test]
    fn options_that_a_vendor_does_not_read_are_refused() {
        let misspelt = checked("azure-openai", None, &[("azure_resource", "contoso")]).unwrap_err();
        assert!(
            misspelt.starts_with("provider.options: azure-openai has no option \"azure_resource\"; it has: "),
            "{misspelt}"
        );
        assert!(misspelt.contains("azure_resource_name"), "{misspelt}");
        for (vendor, name) in [("openai", "azure_resource_name"), ("google", "anything")] {
            assert!(checked(vendor, None, &[(name, "a")]).is_err(), "{vendor} {name}");
        }
        for (vendor, name) in [
            ("azure-openai", "resource_name"),
            ("openai", "openai_organization"),
            ("anthropic", "anthropic_beta"),
        ] {
            assert_eq!(checked(vendor, None, &[(name, "a")]), Ok(()), "{vendor} {name}");
        }
    }

    #[test]
    fn a_vendor_must_know_its_address() {
        let lacking = checked("azure-openai", None, &[("azure_api_version", "v1")]).unwrap_err();
        assert!(
            lacking.starts_with("provider.options: ") && lacking.contains("azure_resource_name"),
            "{lacking}"
        );
        assert!(checked("azure-openai", None, &[]).unwrap_err().starts_with("provider.base_url: "));
        assert_eq!(
            checked("azure-openai", Some("https://a.example"), &[("azure_api_version", "v1")]),
            Ok(())
        );
    }

    #[test]
    fn every_vendor_reads_the_options_that_its_address_needs() {
        for vendor in tidegate_providers::registry::all().filter(|vendor| vendor.default_base().is_none()) {
            let names = vendor.options();
            let all: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "https://a.example")).collect();
            let plain: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "a")).collect();
            let is_fine =
                checked(vendor.slug(), None, &all).is_ok() || checked(vendor.slug(), None, &plain).is_ok();
            assert_eq!(is_fine, !names.is_empty(), "{}", vendor.slug());
        }
    }
}
