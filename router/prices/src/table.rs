//! A table of prices by vendor and model, in our own form.
//!
//! The embedded table is read in two steps, because starting fast matters: the first look-up splits the file
//! by vendor, and a vendor's models are read when one of them is asked for.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{name, price::Price};

/// The mark of our own form; the number rises with a change that old readers would misread.
pub(crate) const FORMAT: &str = "tidegate-prices/1";

const EMBEDDED: &str = include_str!("../data/prices.json");

/// Why a table was refused.
#[derive(Debug, Error)]
pub enum TableError {
    /// The text is not of our form; the source says where.
    #[error("not a table of prices: {0}")]
    Json(#[from] serde_json::Error),
    /// A form this program does not know.
    #[error("unknown format {found:?} (this program reads {FORMAT:?})")]
    Format {
        /// What the file calls itself.
        found: String,
    },
}

/// The prices of one vendor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vendor {
    /// The day on which the prices were known to hold, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub date: String,
    /// Where they are published.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Another vendor whose prices hold for models not listed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Whether models not listed here are free of charge.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
    /// Prices by the model's name as the vendor spells it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Arc<Price>>,
}

/// A table in our own form. `Display` writes it: sorted, one model a line, always the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The day on which the table was made, `YYYY-MM-DD`.
    pub date: String,
    /// Where the facts come from.
    pub note: String,
    /// Prices by vendor.
    pub vendors: BTreeMap<String, Vendor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<V> {
    format: String,
    #[serde(default)]
    date: String,
    #[serde(default)]
    note: String,
    vendors: BTreeMap<String, V>,
}

impl Table {
    /// Reads a table in our own form.
    ///
    /// # Errors
    /// Not JSON, not our form, or a price that makes no sense; with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let file: File<Vendor> = serde_json::from_slice(bytes)?;
        if file.format != FORMAT {
            return Err(TableError::Format { found: file.format });
        }
        Ok(Self { date: file.date, note: file.note, vendors: file.vendors })
    }

    /// Returns the table built into the program, read whole.
    ///
    /// # Errors
    /// None in a released program: a test reads it.
    pub fn embedded() -> Result<Self, TableError> {
        Self::parse(EMBEDDED.as_bytes())
    }

    /// Returns how many models have a price.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vendors.values().map(|vendor| vendor.models.len()).sum()
    }

    /// Returns whether no model has a price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over `newer`: its vendors' facts, and its models beside or in place of those here.
    pub fn merge(&mut self, newer: Table) {
        for (name, mut vendor) in newer.vendors {
            if let Some(old) = self.vendors.remove(&name) {
                let mut models = old.models;
                models.append(&mut vendor.models);
                vendor.models = models;
                vendor.same_as = vendor.same_as.or(old.same_as);
            }
            self.vendors.insert(name, vendor);
        }
        if !newer.date.is_empty() {
            self.date = newer.date;
        }
        if !newer.note.is_empty() {
            self.note = newer.note;
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{{\n \"format\": \"{FORMAT}\",\n \"date\": {},\n", json(&self.date)?)?;
        write!(out, " \"note\": {},\n \"vendors\": {{", json(&self.note)?)?;
        for (index, (name, vendor)) in self.vendors.iter().enumerate() {
            write!(out, "{}\n  {}: ", if index == 0 { "" } else { "," }, json(name)?)?;
            write_vendor(out, vendor)?;
        }
        out.write_str("\n }\n}\n")
    }
}

fn write_vendor(out: &mut fmt::Formatter<'_>, vendor: &Vendor) -> fmt::Result {
    let head = json(&Vendor { models: BTreeMap::new(), ..vendor.clone() })?;
    if vendor.models.is_empty() {
        return out.write_str(&head);
    }
    let head = head.trim_end_matches('}');
    write!(out, "{head}{}\"models\": {{", if head.len() > 1 { "," } else { "" })?;
    for (index, (model, price)) in vendor.models.iter().enumerate() {
        write!(out, "{}\n   {}: {}", if index == 0 { "" } else { "," }, json(model)?, json(price)?)?;
    }
    out.write_str("\n  }}")
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, fmt::Error> {
    serde_json::to_string(value).map_err(|_| fmt::Error)
}

/// A vendor's prices, ready for look-ups.
#[derive(Debug)]
pub(crate) struct Index {
    exact: HashMap<String, Arc<Price>>,
    stems: HashMap<String, Arc<Price>>,
    pub(crate) same_as: Option<String>,
    pub(crate) free: bool,
}

impl Index {
    pub(crate) fn new(vendor_name: &str, vendor: &Vendor) -> Self {
        let mut exact = HashMap::with_capacity(vendor.models.len());
        let mut stems = HashMap::new();
        // In rising order the newest snapshot comes last and stays; `-latest` sorts after digits.
        for (model, price) in &vendor.models {
            let key = name::key(vendor_name, model);
            let stem = name::stem(vendor_name, &key);
            if stem.len() < key.len() {
                stems.insert(stem.to_owned(), price.clone());
            }
            exact.insert(key.into_owned(), price.clone());
        }
        Self { exact, stems, same_as: vendor.same_as.clone(), free: vendor.free }
    }

    pub(crate) fn exact(&self, key: &str) -> Option<&Arc<Price>> {
        self.exact.get(key)
    }

    /// Returns the price of the same model in another snapshot, the undated name first.
    pub(crate) fn same_stem(&self, stem: &str) -> Option<&Arc<Price>> {
        self.exact.get(stem).or_else(|| self.stems.get(stem))
    }
}

type Slot = (&'static RawValue, OnceLock<Option<Index>>);

static EMBEDDED_VENDORS: LazyLock<HashMap<String, Slot>> = LazyLock::new(|| {
    let file: Result<File<&'static RawValue>, _> = serde_json::from_str(EMBEDDED);
    debug_assert!(file.is_ok(), "the embedded table cannot be split");
    let vendors = file.map(|file| file.vendors).unwrap_or_default();
    vendors.into_iter().map(|(name, raw)| (name, (raw, OnceLock::new()))).collect()
});

/// Returns the embedded prices of a vendor, read on first use.
pub(crate) fn embedded_vendor(name: &str) -> Option<&'static Index> {
    let (raw, index) = EMBEDDED_VENDORS.get(name)?;
    let read = || {
        let vendor = serde_json::from_str::<Vendor>(raw.get());
        debug_assert!(vendor.is_ok(), "the embedded prices of {name} cannot be read");
        vendor.ok().map(|vendor| Index::new(name, &vendor))
    };
    index.get_or_init(read).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"format":"tidegate-prices/1","date":"2026-01-01","vendors":{"v":{"models":{"b":{"input":1,"output":2},"a":{"input":"0.10","output":0}}}}}"#;

    #[test]
    fn the_embedded_table_is_whole_and_in_the_form_we_write() {
        let table = Table::embedded().unwrap();
        assert!(table.len() > 1_000, "{} models", table.len());
        assert!(EMBEDDED.len() < 400_000, "{} bytes", EMBEDDED.len());
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/data/prices.json"), table.to_string())
                .unwrap();
            return;
        }
        assert!(
            table.to_string() == EMBEDDED,
            "run the tests with TIDEGATE_BLESS=1 to rewrite data/prices.json"
        );
        for (name, vendor) in &table.vendors {
            assert!(
                vendor.free || vendor.same_as.is_some() || !vendor.source.is_empty(),
                "{name} has no source"
            );
            assert!(embedded_vendor(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_sorted_and_reads_back() {
        let table = Table::parse(SMALL.as_bytes()).unwrap();
        let text = table.to_string();
        assert_eq!(Table::parse(text.as_bytes()).unwrap(), table);
        assert_eq!(Table::parse(text.as_bytes()).unwrap().to_string(), text);
        assert!(text.contains("\n   \"a\": {\"input\":\"0.1\",\"output\":\"0\"},\n   \"b\""), "{text}");
    }

    #[test]
    fn merging_replaces_models_and_keeps_the_rest() {
        let mut table = Table::parse(SMALL.as_bytes()).unwrap();
        let newer = SMALL.replace("\"b\":{\"input\":1", "\"c\":{\"input\":3").replace("0.10", "0.20");
        table.merge(Table::parse(newer.as_bytes()).unwrap());
        assert_eq!(table.vendors["v"].models.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(table.to_string().contains("\"0.2\""));
    }

    #[test]
    fn a_foreign_or_newer_form_is_refused_with_its_name() {
        let newer = SMALL.replace("prices/1", "prices/2");
        let error = Table::parse(newer.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("tidegate-prices/2"), "{error}");
        let wrong = SMALL.replace("\"output\":2", "\"outptu\":2");
        let error = Table::parse(wrong.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("outptu") && error.contains("line 1"), "{error}");
    }
}
