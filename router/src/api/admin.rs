//! `GET /v1/admin/state`: what the actors show of themselves, in nano-dollars. Needs the admin scope.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{head, render};
use crate::actors::key::{KeyHandle, KeyRefusal, Wish};
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::{Dialect, authenticate};
use crate::provision::ADMIN_SCOPE;
use crate::server::Worker;

/// Breakers of targets shown, the worst first.
const MOST_BREAKERS: usize = 200;

pub(super) async fn state(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    match observed(&request, &worker).await {
        Ok(state) => render::document(&request, &worker, &state),
        Err(error) => render::refusal(&request, &worker, Dialect::OpenAi, &error),
    }
}

/// Refuses whoever lacks the admin scope, and returns the key of who has it.
///
/// # Errors
/// 401 without a key that works, 403 without the scope.
pub(super) async fn authorize(
    request: &HttpRequest,
    worker: &Worker,
) -> Result<Arc<KeyHandle>, GatewayError> {
    let key = authenticate(&worker.gateway, head::credentials(request.headers()).key).await?;
    let wish = Wish { scope: ADMIN_SCOPE, model: None, tokens: 0 };
    match key.admit(wish).await? {
        Ok(_given_back) => Ok(key),
        Err(KeyRefusal::Scope(scope)) => {
            Err(GatewayError::new(ErrorKind::Scope, format!("This API key lacks the scope {scope}")))
        }
        Err(_) => Err(GatewayError::new(ErrorKind::Key, "Invalid API Key")),
    }
}

async fn observed(request: &HttpRequest, worker: &Worker) -> Result<serde_json::Value, GatewayError> {
    authorize(request, worker).await?;
    let gateway = &worker.gateway;
    let (keys, awake) = gateway.book.awake();
    let mut key_views = Vec::with_capacity(keys.len());
    for key in keys {
        key_views.push(key.observe().await?);
    }
    let mut budgets = Vec::new();
    for budget in awake {
        budgets.push(budget.observe().await?);
    }
    // Budgets at rest are as the store knows them: nothing is held.
    let resting = gateway.book.read(|store| store.budgets(crate::clock::unix())).await?;
    for (record, spent) in resting {
        if !budgets.iter().any(|view| view.id == record.id) {
            let now = crate::clock::unix();
            budgets.push(crate::actors::budget::BudgetView {
                id: record.id.clone(),
                name: record.name.clone(),
                limit: record.limit,
                spent,
                held: 0,
                period_start: record.period_start(now),
                resets_at: record.period_end(now),
            });
        }
    }
    let mut providers = Vec::new();
    for provider in gateway.book.providers() {
        providers.push(provider.observe().await?);
    }
    Ok(json!({
        "budgets": budgets,
        "keys": key_views,
        "providers": providers,
        "breakers": gateway.breakers.views(crate::clock::uptime(), MOST_BREAKERS),
        "ledger": gateway.ledger.view(),
        "cache": gateway.cache.view(),
        // Of several nodes: whether the shared Redis is lost, and what was let in without it since the start.
        "shared": gateway.shards.cluster().map(|cluster| json!({
            "lost": cluster.is_lost(),
            "unchecked": cluster.unchecked(),
        })),
    }))
}
