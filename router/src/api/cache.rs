//! `DELETE /v1/admin/cache`: throws kept answers away. Needs the admin scope.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::{admin, render};
use crate::admin::{Change, tell};
use crate::error::GatewayError;
use crate::pipeline::Dialect;
use crate::server::Worker;

/// Throws all entries away, those that gateways share included.
pub(super) async fn purge(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    match purged(&request, &worker).await {
        Ok(answer) => render::document(&request, &worker, &answer),
        Err(error) => render::refusal(&request, &worker, Dialect::OpenAi, &error),
    }
}

async fn purged(request: &HttpRequest, worker: &Worker) -> Result<Value, GatewayError> {
    let key = admin::authorize(request, worker).await?.record();
    let purged = worker.gateway.cache.purge(None).await;
    tracing::info!(purged, "the cache was purged");
    let after = json!({ "purged": purged });
    let (before, answer) = (Value::Null, after.clone());
    let change = Change { resource: "cache", id: "", action: "purge", workspace: None, before, after };
    tell(&worker.gateway, request, &key, change).await?;
    Ok(answer)
}
