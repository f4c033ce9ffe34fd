//! Tells the forms apart and reports what was read.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use thiserror::Error;

use super::{litellm, portkey};
use crate::{
    name,
    table::{FORMAT, Table, TableError},
};

/// The form of a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Our own.
    Tidegate,
    /// Portkey's price file of one vendor.
    Portkey,
    /// LiteLLM's price file of all models.
    LiteLlm,
}

/// A model that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name in the file.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// What a file held.
#[derive(Clone, Debug, PartialEq)]
pub struct Refreshed {
    /// The form it had.
    pub form: Form,
    /// The prices; `date` and `note` are for the caller to set unless the file is of our own form.
    pub table: Table,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

/// Why a file was refused.
#[derive(Debug, Error)]
pub enum RefreshError {
    /// Not JSON, or not an object.
    #[error("the file is not a JSON object: {0}")]
    Json(#[source] serde_json::Error),
    /// Our own form with a mistake in it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// JSON of some other kind.
    #[error(
        "the file is of no known form (expected {FORMAT:?}, Portkey's pricing file or LiteLLM's model prices)"
    )]
    UnknownForm,
    /// Portkey's files do not name their vendor.
    #[error("a Portkey file does not name its vendor; say which one it is")]
    VendorNeeded,
    /// The file has no price for the vendor.
    #[error("the file has no price{}", vendor.as_ref().map(|vendor| format!(" of {vendor}")).unwrap_or_default())]
    Nothing {
        /// The vendor asked for, if any.
        vendor: Option<String>,
    },
}

/// Reads a file of any known form. `vendor` says whose prices a Portkey file holds, and picks one vendor of the
/// others.
///
/// # Errors
/// Not JSON, no known form, no vendor given for a Portkey file, or nothing in it.
pub fn parse(bytes: &[u8], vendor: Option<&str>) -> Result<Refreshed, RefreshError> {
    let entries: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).map_err(RefreshError::Json)?;
    let vendor = vendor.map(name::vendor);
    let has = |mark: &str| entries.values().any(|entry| entry.get().contains(mark));
    let mut refreshed =
        if entries.get("format").is_some_and(|format| format.get().contains("tidegate-prices/")) {
            Refreshed { form: Form::Tidegate, table: Table::parse(bytes)?, skipped: Vec::new() }
        } else if has("\"pricing_config\"") {
            portkey::read(&entries, vendor.ok_or(RefreshError::VendorNeeded)?)
        } else if has("\"litellm_provider\"") {
            litellm::read(&entries, vendor)
        } else {
            return Err(RefreshError::UnknownForm);
        };
    if let Some(vendor) = vendor {
        refreshed.table.vendors.retain(|name, _| name == vendor);
    }
    let says_nothing = refreshed
        .table
        .vendors
        .values()
        .all(|vendor| vendor.models.is_empty() && !vendor.free && vendor.same_as.is_none());
    if says_nothing {
        return Err(RefreshError::Nothing { vendor: vendor.map(str::to_owned) });
    }
    Ok(refreshed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn our_own_form_is_read_and_one_vendor_can_be_picked() {
        let embedded = Table::embedded().unwrap();
        let bytes = embedded.to_string().into_bytes();
        let all = parse(&bytes, None).unwrap();
        assert_eq!((all.form, &all.table), (Form::Tidegate, &embedded));
        let one = parse(&bytes, Some("gemini")).unwrap();
        assert_eq!(one.table.vendors.keys().collect::<Vec<_>>(), ["google"]);
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        let error = |text: &str, vendor| parse(text.as_bytes(), vendor).unwrap_err().to_string();
        assert!(error("<html>", None).contains("not a JSON object"));
        assert!(error("[1]", None).contains("not a JSON object"));
        assert!(error("{\"a\":{}}", None).contains("no known form"));
        assert!(error(r#"{"gpt":{"pricing_config":{}}}"#, None).contains("say which one"));
        assert!(error(r#"{"gpt":{"pricing_config":{}}}"#, Some("openai")).contains("no price of openai"));
        assert!(error(r#"{"format":"tidegate-prices/9","vendors":{}}"#, None).contains("tidegate-prices/9"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, Some("openai"));
        }
    }
}
