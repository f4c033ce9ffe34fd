//! What a request asks for, as far as admission cares.

use tidegate_providers::{Endpoint, Fields};

use super::encode::Payload;
use super::shape::Shape;
use crate::money::Quantities;

/// What a request asks for, as far as admission cares.
pub(super) struct Demand<'a> {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Whether it is streamed.
    pub stream: bool,
    /// Vendor's model name.
    pub model: &'a str,
    /// Output limit of the client.
    pub max_tokens: Option<u64>,
    /// Choices asked for.
    pub n: u64,
    /// Price of the wished service, in thousandths of the plain one.
    pub per_mille: u64,
    /// Whether the vendor reads more than the body holds.
    pub stored_input: bool,
    /// What else it makes.
    pub quantities: &'a Quantities,
    /// The JSON body's members; `None` for forms.
    pub fields: Option<&'a Fields<'a>>,
}

impl<'a> Demand<'a> {
    /// Makes the demand of a body for a vendor's model.
    #[must_use]
    pub(super) fn of(endpoint: Endpoint, shape: &'a Shape, model: &'a str, payload: &Payload<'a>) -> Self {
        Self {
            endpoint,
            stream: shape.stream,
            model,
            max_tokens: shape.max_tokens,
            n: shape.n,
            per_mille: shape.per_mille,
            stored_input: shape.stored_input,
            quantities: &shape.quantities,
            fields: if let Payload::Json(fields) = payload { Some(*fields) } else { None },
        }
    }
}
