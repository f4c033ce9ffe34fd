//! One table of routes for everything: serving, who may, what is read, the OpenAPI document.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::ctx::Ctx;
use super::field::Field;
use super::reply;
use crate::api::{Offer, wrong_method};
use crate::error::GatewayError;
use crate::server::Worker;

/// What a handler comes to.
pub(super) type Done = LocalBoxFuture<'static, Result<Value, GatewayError>>;

/// One route.
pub(super) struct Route {
    /// `GET`, `POST`, …
    pub method: Method,
    /// Path below `/v1`, like `/admin/workspaces/{id}`.
    pub path: &'static str,
    /// Scopes of which the caller needs one; empty for routes that look themselves.
    pub scopes: &'static [&'static str],
    /// Whether it needs no key: a secret stands in its path.
    pub open: bool,
    /// What it does, in a few words.
    pub what: &'static str,
    /// Members of its body.
    pub body: &'static [Field],
    /// Parameters of its query, beside those of pages.
    pub query: &'static [Field],
    /// Serves it.
    pub serve: fn(Ctx) -> Done,
}

/// Writes one row of a table: method, path, scopes, what it does, members of the body, parameters of the query, and
/// the function that serves it.
macro_rules! route {
    ($method:ident $path:literal [$($scope:literal),*] $what:literal, $body:expr, $query:expr => $serve:path) => {
        $crate::admin::route::Route {
            method: actix_web::http::Method::$method,
            path: $path,
            scopes: &[$($scope),*],
            open: false,
            what: $what,
            body: $body,
            query: $query,
            serve: |ctx| Box::pin($serve(ctx)),
        }
    };
    (open $method:ident $path:literal $what:literal, $body:expr => $serve:path) => {
        $crate::admin::route::Route { open: true, ..route!($method $path [] $what, $body, &[] => $serve) }
    };
}
pub(super) use route;

/// Registers tables: a path with the wrong method answers 405.
pub(super) fn register(config: &mut ServiceConfig, tables: &[&'static [Route]]) {
    let mut paths: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in tables.iter().flat_map(|table| table.iter()) {
        paths.entry(route.path).or_default().push(route);
    }
    // Literal segments before parameters: `/admin/users/invites` is no user.
    let mut ordered: Vec<_> = paths.into_iter().collect();
    ordered.sort_by_key(|(path, _)| path.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>());
    for version in ["/v1", "/v2"] {
        for (path, routes) in &ordered {
            let mut resource = web::resource(format!("{version}{path}"))
                .app_data(Offer::of(routes.iter().map(|route| &route.method)))
                .default_service(web::to(wrong_method));
            for route in routes.iter().copied() {
                let serve = move |request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>| {
                    served(route, request, payload, worker)
                };
                resource = resource.route(web::method(route.method.clone()).to(serve));
            }
            config.service(resource);
        }
    }
}

async fn served(
    route: &'static Route,
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let done = async {
        let ctx = Ctx::read(route, &request, payload, &worker).await?;
        (route.serve)(ctx).await
    };
    reply::answer(&request, &worker, done.await)
}
