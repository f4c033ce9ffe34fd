//! Vectors of texts, through the gateway itself: a request of the same key, paid and logged for itself, without the
//! key's config.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http::HeaderMap;
use serde_json::json;
use tidegate_providers::{Endpoint, Fields};
use tokio::time::timeout;
use uuid::Uuid;

use crate::clock;
use crate::pipeline::PlainHeaders;
use crate::pipeline::docket::Docket;
use crate::pipeline::request::{AnswerBody, Body, Dialect, Request};
use crate::pipeline::route::{Asked, Trip};
use crate::pipeline::shape::Shape;

/// A request waits so long for its vector.
const WITHIN: Duration = Duration::from_secs(5);

impl Trip<'_> {
    /// Returns the vector of a text.
    ///
    /// # Errors
    /// A sentence; the request goes on without.
    pub(super) fn embed<'s>(
        &'s self,
        model: &str,
        text: &str,
    ) -> LocalBoxFuture<'s, Result<Vec<f32>, String>> {
        let body =
            Bytes::from(json!({ "model": model, "input": text, "encoding_format": "float" }).to_string());
        let request = Request {
            endpoint: Endpoint::Embeddings,
            dialect: Dialect::OpenAi,
            id: Uuid::now_v7().to_string(),
            trace_id: self.request.trace_id.clone(),
            started: Instant::now(),
            started_at_ms: clock::unix_ms(),
            headers: HeaderMap::new(),
            plain_headers: PlainHeaders::default(),
            vendor_key: None,
            body: Body::Json(body.clone()),
            proxy: None,
        };
        // Boxed: a walk within a walk.
        async move {
            match timeout(WITHIN, self.walk_for(&request, &body)).await {
                Ok(vector) => vector,
                Err(_) => Err(format!("no vector within {} s", WITHIN.as_secs())),
            }
        }
        .boxed_local()
    }

    fn walk_for<'s>(
        &'s self,
        request: &'s Request,
        body: &'s Bytes,
    ) -> LocalBoxFuture<'s, Result<Vec<f32>, String>> {
        async move {
            let fields = Fields::parse(body).map_err(|error| error.to_string())?;
            let model = fields.get("model").ok().flatten();
            let mut row = crate::pipeline::row(self.caller, request, &Shape { model, ..Shape::default() });
            row.metadata.insert("_cache".to_owned(), "embedding".to_owned());
            let docket = Docket::new(self.gateway.clone(), row, request.started);
            let plan = self.gateway.plans.bare();
            let trip = Trip {
                gateway: self.gateway,
                client: self.client,
                caller: self.caller,
                request,
                asked: &Asked::Json(fields),
                plan: &plan,
                model: None,
                pathname: request.endpoint.pathname().into(),
                prefix: None,
            };
            let (answer, _) = trip.walk(&docket).await.map_err(|error| error.message)?;
            match answer.body {
                AnswerBody::Whole(bytes) => vector(&bytes),
                _ => Err("the model answered a stream".to_owned()),
            }
        }
        .boxed_local()
    }
}

/// Reads the one vector of OpenAI's answer.
fn vector(answer: &[u8]) -> Result<Vec<f32>, String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        data: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        embedding: Vec<f32>,
    }
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|error| format!("the answer holds no vector: {error}"))?;
    let mut items = answer.data.into_iter().map(|item| item.embedding);
    match (items.next(), items.next()) {
        (Some(vector), None) if !vector.is_empty() => Ok(vector),
        _ => Err("the answer does not hold one vector".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_vector_is_read() {
        assert_eq!(vector(br#"{"data":[{"embedding":[1.0,-0.5]}]}"#).unwrap(), [1.0, -0.5]);
        assert!(vector(br#"{"data":[]}"#).unwrap_err().contains("one vector"));
        assert!(vector(br#"{"data":[{"embedding":[]}]}"#).is_err());
        assert!(vector(b"{}").unwrap_err().contains("no vector"));
    }
}
