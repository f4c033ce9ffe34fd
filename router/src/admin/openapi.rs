//! The OpenAPI document (3.1.0) of the Admin API, made from the tables that serve it.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, http::header};
use serde_json::{Map, Value, json};

use super::TABLES;
use super::field::Field;
use super::route::Route;

/// Returns the document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in TABLES.iter().flat_map(|table| table.iter()) {
        let operations = paths.entry(format!("/v1{}", route.path)).or_insert_with(|| json!({}));
        operations[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    paths.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate Admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Portkey's routes and names. Errors carry `errorCode` AB01 to AB08; lists are \
                            `{object, total, data}` and read `current_page` (from 0) and `page_size`.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"bearer": []}],
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {"Error": error()},
        },
        "paths": paths,
    })
}

fn error() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["success", "status_code", "errorCode", "message", "error", "data"],
        "properties": {
            "success": {"const": false},
            "status_code": {"type": "integer"},
            "errorCode": text,
            "message": text,
            "error": {"type": "object", "properties": {"message": text, "code": text, "type": text, "param": text}},
            "data": {"type": "object", "properties": {"message": text, "errorCode": text}},
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.query.iter().map(|field| {
        json!({"name": field.name, "in": "query", "required": field.required, "schema": field.schema()})
    }));
    let failure = json!({"description": "What is wrong", "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Error"}}}});
    let mut operation = json!({
        "summary": route.what,
        "operationId": operation_id(route),
        "parameters": parameters,
        "x-scopes": route.scopes,
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}},
            "4XX": failure,
        },
    });
    if route.open {
        operation["security"] = json!([]);
    }
    if !route.body.is_empty() {
        let is_needed = route.body.iter().any(|field| field.required);
        operation["requestBody"] =
            json!({"required": is_needed, "content": {"application/json": {"schema": schema(route.body)}}});
    }
    operation
}

fn schema(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), field.schema())).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// Makes a name like `get_admin_workspaces_id`.
fn operation_id(route: &Route) -> String {
    let method = route.method.as_str().to_ascii_lowercase();
    let parts = route
        .path
        .split(['/', '-'])
        .map(|part| part.trim_matches(['{', '}']))
        .filter(|part| !part.is_empty());
    std::iter::once(method.as_str()).chain(parts).collect::<Vec<_>>().join("_")
}

async fn serve() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-cache")).json(document())
}

pub(super) fn register(config: &mut ServiceConfig) {
    config.route("/v1/openapi.json", web::get().to(serve));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_name_of_its_own() {
        let mut names: Vec<String> = TABLES.iter().flat_map(|table| table.iter()).map(operation_id).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn scopes_of_routes_are_in_the_catalogue() {
        for route in TABLES.iter().flat_map(|table| table.iter()) {
            for scope in route.scopes {
                assert!(super::super::catalogue::exists(scope), "{scope} of {}", route.path);
            }
        }
    }
}
