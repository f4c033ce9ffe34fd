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
mod open_webui;
mod passthrough;
mod plugins;
pub(crate) mod render;
mod tidy;

use std::pin::pin;

use actix_web::web::{self, ServiceConfig};
use tidegate_providers::Endpoint;

use crate::pipeline::Dialect;
use crate::server::{Answer, Sent, SentBody, Worker};

pub(crate) use body::read as read_body;
pub use health::Readiness;
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
        config.service(
            web::resource(endpoint.pathname())
                .route(web::post().to(serve))
                .default_service(web::to(render::wrong_method)),
        );
    }
    let at = |path: &str| web::resource(path.to_owned()).default_service(web::to(render::wrong_method));
    config
        .service(at("/v1/models").route(web::get().to(list_models::all)))
        .service(at("/v1/models/{id:.+}").route(web::get().to(list_models::one)))
        .service(at("/").route(web::get().to(health::hello)))
        .service(at("/v1/health").route(web::get().to(health::health)))
        .service(at("/v1/ready").route(web::get().to(health::ready)))
        .service(at("/v1/admin/state").route(web::get().to(admin::state)))
        .service(at("/v1/admin/explain").route(web::post().to(explain::explain)))
        .service(at("/v1/admin/cache").route(web::delete().to(cache::purge)))
        .service(at("/v1/plugins").route(web::get().to(plugins::list)).route(web::post().to(plugins::upload)))
        .service(
            at("/v1/plugins/{id}")
                .route(web::get().to(plugins::one))
                .route(web::delete().to(plugins::remove)),
        )
        .service(at("/v1/plugins/{id}/activate").route(web::post().to(plugins::activate)))
        .service(at("/v1/plugins/{id}/rollback").route(web::post().to(plugins::roll_back)))
        .configure(model_configs::routes)
        .configure(crate::admin::routes)
        .default_service(web::to(passthrough::serve));
}
