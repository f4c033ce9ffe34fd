//! `GET /v1/models` and `GET /v1/models/{id}`: what the key may use, as `@slug/model`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::{head, render};
use crate::actors::key::Wish;
use crate::error::{ErrorKind, GatewayError};
use crate::limits::model_allowed;
use crate::pipeline::{Dialect, SCOPE, authenticate};
use crate::server::Worker;

/// A fixed date: vendors' dates differ in meaning, and clients only sort by it.
const CREATED: u64 = 1_700_000_000;

pub(super) async fn all(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    match listed(&request, &worker).await {
        Ok(models) => render::document(&request, &worker, &render::list(models)),
        Err(error) => render::refusal(&request, &worker, dialect(&request), &error),
    }
}

pub(super) async fn one(
    request: HttpRequest,
    worker: web::Data<Worker>,
    path: web::Path<String>,
) -> HttpResponse {
    let wanted = path.into_inner();
    let found = listed(&request, &worker).await.and_then(|models| {
        models.into_iter().find(|model| model["id"] == wanted.as_str()).ok_or_else(|| {
            GatewayError::new(
                ErrorKind::NotFound,
                format!("The model '{wanted}' does not exist or is not allowed for this key"),
            )
            .at("model")
        })
    });
    match found {
        Ok(model) => render::document(&request, &worker, &model),
        Err(error) => render::refusal(&request, &worker, dialect(&request), &error),
    }
}

fn dialect(request: &HttpRequest) -> Dialect {
    if request.headers().contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAi }
}

async fn listed(request: &HttpRequest, worker: &Worker) -> Result<Vec<Value>, GatewayError> {
    let gateway = &worker.gateway;
    let key = authenticate(gateway, head::credentials(request).key).await?;
    // Lists are free, but not for expired keys or keys without the scope; the permit is given back at once.
    let wish = Wish { scope: SCOPE, model: None, tokens: 0 };
    if let Err(refusal) = key.admit(wish).await? {
        use crate::actors::key::KeyRefusal;
        match refusal {
            KeyRefusal::Revoked => return Err(GatewayError::new(ErrorKind::Key, "Invalid API Key")),
            KeyRefusal::Expired => return Err(GatewayError::new(ErrorKind::KeyExpired, "API Key Expired")),
            KeyRefusal::Scope(scope) => {
                return Err(GatewayError::new(
                    ErrorKind::Scope,
                    format!("This API key lacks the scope {scope}"),
                ));
            }
            // A used-up limit does not hide the list: pickers would show nothing.
            KeyRefusal::Model | KeyRefusal::Limit { .. } => {}
        }
    }
    let patterns = key.record().models.clone();
    let lists = gateway.models.of(&worker.client, &gateway.providers_for(&key.record())).await;
    let mut models = Vec::new();
    for (slug, ids) in lists {
        for id in ids.iter().filter(|id| model_allowed(&patterns, &slug, id)) {
            models.push(json!({
                "id": format!("@{slug}/{id}"),
                "object": "model",
                "created": CREATED,
                "owned_by": slug,
            }));
        }
    }
    Ok(models)
}
