//! Key text → key actor, by the address book.

use std::sync::Arc;

use crate::actors::key::KeyHandle;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::secret::hash_key;

/// Longest key text that is looked at.
const LONGEST: usize = 512;

/// Finds the key of a request.
///
/// # Errors
/// 401 when the text is missing or nobody knows it, 503 when the store can't be asked.
pub async fn authenticate(gateway: &Gateway, text: Option<&str>) -> Result<Arc<KeyHandle>, GatewayError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Err(GatewayError::new(
            ErrorKind::Key,
            "No API key was sent; send it as `Authorization: Bearer KEY` or `x-portkey-api-key: KEY`",
        ));
    };
    if text.len() > LONGEST {
        return Err(unknown());
    }
    gateway.book.key(&hash_key(text)).await?.ok_or_else(unknown)
}

fn unknown() -> GatewayError {
    GatewayError::new(ErrorKind::Key, "Invalid API Key")
}
