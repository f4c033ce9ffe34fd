//! `GET /v1/models` and `GET /v1/models/{id}`: what the key may use, as `@slug/model`.

use std::collections::BTreeMap;

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
        Ok(models) => match page(&request, models) {
            Ok(list) => render::document(&request, &worker, &list),
            Err(error) => render::refusal(&request, &worker, dialect(&request), &error),
        },
        Err(error) => render::refusal(&request, &worker, dialect(&request), &error),
    }
}

pub(super) async fn one(
    request: HttpRequest,
    worker: web::Data<Worker>,
    path: web::Path<String>,
) -> HttpResponse {
    let wanted = path.into_inner();
    // Of the provider that a header names a model needs no slug.
    let routing = head::routing(request.headers());
    let named =
        ["x-portkey-provider", "x-portkey-virtual-key"].into_iter().find_map(|name| routing.get(name));
    let slug = named.and_then(|named| named.to_str().ok()).map(|slug| slug.trim().trim_start_matches('@'));
    let whole = slug.map(|slug| format!("@{slug}/{wanted}"));
    let is_it = |model: &Value| {
        model["id"] == wanted.as_str() || whole.as_ref().is_some_and(|it| model["id"] == it.as_str())
    };
    let found = listed(&request, &worker).await.and_then(|models| {
        models.into_iter().find(is_it).ok_or_else(|| {
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

/// Cuts a page out where one is asked for, of one vendor or provider where one is named: Portkey's parameters.
fn page(request: &HttpRequest, mut models: Vec<Value>) -> Result<Value, GatewayError> {
    let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string());
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    for (name, member) in [("provider", "owned_by"), ("ai_service", "ai_service")] {
        if let Some(wanted) = query.get(name).map(|it| it.trim_start_matches('@')).filter(|it| !it.is_empty())
        {
            models.retain(|model| model[member] == wanted);
        }
    }
    let number = |name: &str| match query.get(name) {
        None => Ok(None),
        Some(text) => text.parse::<usize>().map(Some).map_err(|_| {
            GatewayError::new(ErrorKind::Invalid, format!("{name}: a whole number is expected")).at(name)
        }),
    };
    let (offset, limit) = (number("offset")?.unwrap_or(0), number("limit")?.unwrap_or(usize::MAX));
    let total = models.len();
    let mut list = render::list(models.into_iter().skip(offset).take(limit).collect());
    list["total_count"] = total.into();
    Ok(list)
}

fn dialect(request: &HttpRequest) -> Dialect {
    if request.headers().contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAi }
}

async fn listed(request: &HttpRequest, worker: &Worker) -> Result<Vec<Value>, GatewayError> {
    let gateway = &worker.gateway;
    let key = authenticate(gateway, head::credentials(request.headers()).key).await?;
    // Lists are free, but not for expired keys or keys without the scope; the permit is given back at once.
    let scopes = key.record().scopes.clone();
    let listing = ["models.list", "virtual_keys.list"];
    let scope = listing.into_iter().find(|scope| scopes.iter().any(|own| own == scope)).unwrap_or(SCOPE);
    let wish = Wish { scope, model: None, tokens: 0 };
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
    let record = key.record();
    let providers = gateway.providers_for(&record);
    let lists = gateway.models.of(&worker.client, &providers).await;
    let rules = gateway.objects.rules();
    let workspace = rules.workspace_id(&record);
    let mut models = Vec::new();
    // Answers come in the order of the questions.
    for ((slug, ids), provider) in lists.into_iter().zip(&providers) {
        let of = provider.record();
        let integration = of.integration.as_deref().and_then(|id| rules.integration(id, workspace));
        let offers = |id: &str| integration.as_ref().is_none_or(|it| it.enabled && it.models.allows(id));
        for id in ids.iter().filter(|id| model_allowed(&record.models, &slug, id) && offers(id)) {
            let base = of.by_model.get(id).and_then(|model| model.base.as_deref());
            models.push(json!({
                "id": format!("@{slug}/{id}"),
                "slug": id,
                "canonical_slug": base.unwrap_or(id),
                "object": "model",
                "created": CREATED,
                "owned_by": slug,
                "ai_service": of.vendor,
            }));
        }
    }
    Ok(models)
}
