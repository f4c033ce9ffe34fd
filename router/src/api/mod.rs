//! HTTP in, HTTP out: reads requests for the pipeline and renders what it answers.

mod admin;
mod body;
mod cache;
pub(crate) mod cors;
pub mod explain;
mod head;
mod health;
mod inference;
mod list_models;
mod model_configs;
mod offer;
mod open_webui;
mod passthrough;
mod plugins;
pub(crate) mod render;
mod tidy;

use std::pin::pin;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use tidegate_providers::Endpoint;

use crate::pipeline::Dialect;
use crate::server::{Answer, Sent, SentBody, Worker};

pub(crate) use body::read as read_body;
pub use health::Readiness;
pub(crate) use offer::Offer;
use offer::Offered;
pub(crate) use render::wrong_method;
pub(crate) use tidy::Tidy;

/// Finds the gateway key of a request.
pub(crate) fn credentials_of(request: &actix_web::HttpRequest) -> Option<&str> {
    head::credentials(request.headers()).key
}

/// Every inference endpoint with its path and dialect.
const ENDPOINTS: [(Endpoint, Dialect); 11] = [
    (Endpoint::Chat, Dialect::OpenAi),
    (Endpoint::Completions, Dialect::OpenAi),
    (Endpoint::Responses, Dialect::OpenAi),
    (Endpoint::Messages, Dialect::Anthropic),
    (Endpoint::CountTokens, Dialect::Anthropic),
    (Endpoint::Embeddings, Dialect::OpenAi),
    (Endpoint::ImageGenerations, Dialect::OpenAi),
    (Endpoint::ImageEdits, Dialect::OpenAi),
    (Endpoint::Speech, Dialect::OpenAi),
    (Endpoint::Transcriptions, Dialect::OpenAi),
    (Endpoint::Translations, Dialect::OpenAi),
];

/// Returns which route of inference a path is, written as it should be.
pub(crate) fn inference_at(path: &str) -> Option<usize> {
    ENDPOINTS.iter().position(|(endpoint, _)| endpoint.pathname() == path)
}

/// Serves a request to a route of inference, without a detour through actix's app.
#[inline]
pub(crate) async fn infer(route: usize, sent: Sent, body: SentBody, worker: web::Data<Worker>) -> Answer {
    let (endpoint, dialect) = ENDPOINTS.get(route).copied().unwrap_or(ENDPOINTS[0]);
    pin!(inference::answer(endpoint, dialect, &sent, body, &worker)).await
}

/// Adds all routes. A path with the wrong method answers 405; what the gateway doesn't model below `/v1` goes on to a
/// provider, and everything else answers 404, in the caller's dialect.
pub fn routes(config: &mut ServiceConfig) {
    for (endpoint, dialect) in ENDPOINTS {
        let serve =
            move |request, payload, worker| inference::serve(endpoint, dialect, request, payload, worker);
        let offered = Offered::to_pages(endpoint.pathname()).on(Method::POST, serve);
        // Chats that a vendor keeps are listed there; what follows the path goes on anyway.
        let offered = if endpoint == Endpoint::Chat { offered.on_passed(Method::GET) } else { offered };
        config.service(offered.done());
    }
    let (at, to_pages) = (Offered::at, Offered::to_pages);
    config
        .service(to_pages("/v1/models").on(Method::GET, list_models::all).done())
        .service(
            to_pages("/v1/models/{id:.+}").on(Method::GET, list_models::one).on_passed(Method::DELETE).done(),
        )
        .service(to_pages("/").on(Method::GET, health::hello).done())
        .service(to_pages("/v1/health").on(Method::GET, health::health).done())
        .service(to_pages("/v1/ready").on(Method::GET, health::ready).done())
        .service(at("/v1/admin/state").on(Method::GET, admin::state).done())
        .service(at("/v1/admin/explain").on(Method::POST, explain::explain).done())
        .service(at("/v1/admin/cache").on(Method::DELETE, cache::purge).done())
        .service(at("/v1/plugins").on(Method::GET, plugins::list).on(Method::POST, plugins::upload).done())
        .service(
            at("/v1/plugins/{id}").on(Method::GET, plugins::one).on(Method::DELETE, plugins::remove).done(),
        )
        .service(at("/v1/plugins/{id}/activate").on(Method::POST, plugins::activate).done())
        .service(at("/v1/plugins/{id}/rollback").on(Method::POST, plugins::roll_back).done())
        .configure(model_configs::routes)
        .configure(crate::admin::routes)
        .default_service(web::to(passthrough::serve));
}
