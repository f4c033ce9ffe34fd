//! `DELETE /v1/admin/cache`: throws kept answers away. Needs the admin scope.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{admin, render};
use crate::pipeline::Dialect;
use crate::server::Worker;

/// Throws all entries away, those that gateways share included.
pub(super) async fn purge(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    if let Err(error) = admin::authorize(&request, &worker).await {
        return render::refusal(&request, &worker, Dialect::OpenAi, &error);
    }
    let purged = worker.gateway.cache.purge(None).await;
    tracing::info!(purged, "the cache was purged");
    render::document(&request, &worker, &json!({ "purged": purged }))
}
