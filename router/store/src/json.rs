//! Records as the text that stores keep.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

pub(crate) fn read<T: DeserializeOwned>(id: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Record { id: id.to_owned(), reason: error.to_string() })
}

pub(crate) fn write<T: Serialize>(id: &str, record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record)
        .map_err(|error| StoreError::Record { id: id.to_owned(), reason: error.to_string() })
}
