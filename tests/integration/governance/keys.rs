//! API keys: made, used, changed while they are used, spent, expired, refused.

use serde_json::{Value, json};
use tidegate_tests::Gateway;

use super::orders::{answer, ask, asks, done, refused, service_key, text, workspace};
use crate::support::{World, world};

const INFER: &[&str] = &["completions.write"];

async fn row(gateway: &Gateway, id: &str) -> Value {
    done(gateway, "GET", &format!("/v1/api-keys/{id}"), Value::Null).await
}

async fn put(gateway: &Gateway, id: &str, order: Value) {
    let answered = done(gateway, "PUT", &format!("/v1/api-keys/{id}"), order).await;
    assert_eq!(answered, json!({}));
}

#[tokio::test]
async fn a_new_key_works_at_once_and_its_secret_is_shown_once() {
    let World { gateway, mock: _mock, .. } = world().await;
    let more = json!({
        "description": "of the shop", "alert_emails": ["a@example.com"], "expires_at": "2040-01-02T03:04:05.000Z",
        "rate_limits": [{"type": "requests", "unit": "rpm", "value": 50}],
        "usage_limits": {"type": "cost", "credit_limit": 12, "alert_threshold": 10.5, "periodic_reset": "monthly"},
        "defaults": {"metadata": {"team": "shop"}},
    });
    let (id, secret) = service_key(&gateway, "ws-default", INFER, more).await;
    assert_eq!(asks(&gateway, &secret).await, 200);
    let shown = row(&gateway, &id).await;
    assert_eq!(shown["type"], "workspace-service", "{shown}");
    assert_eq!((&shown["status"], &shown["object"]), (&json!("active"), &json!("api-key")), "{shown}");
    assert_eq!(shown["usage_limits"]["credit_limit"].to_string(), "12", "{shown}");
    assert_eq!(shown["usage_limits"]["alert_threshold"], 10.5, "{shown}");
    let next = shown["next_usage_reset_at"].as_str().unwrap_or_default();
    assert!(next.ends_with("-01T00:00:00.000Z"), "{shown}");
    assert_eq!(shown["rate_limits"], json!([{"type": "requests", "unit": "rpm", "value": 50}]));
    assert_eq!(shown["expires_at"], "2040-01-02T03:04:05.000Z");
    assert_eq!(shown["defaults"]["metadata"], json!({"team": "shop"}));
    assert_eq!((&shown["allow_config_override"], &shown["description"]), (&json!(1), &json!("of the shop")));
    let (start, end) = (&secret[..5], &secret[secret.len() - 3..]);
    assert_eq!(shown["key"], format!("{start}*****{end}"));
    let listed = done(&gateway, "GET", &format!("/v1/api-keys?ids={id},nobody"), Value::Null).await;
    assert_eq!((&listed["total"], &listed["data"][0]["id"]), (&json!(1), &json!(id)), "{listed}");
    let audit = done(&gateway, "GET", "/v1/audit-logs?resource_type=api_key", Value::Null).await;
    assert_eq!(audit["records"][0]["resource_id"], id.as_str(), "{audit}");
    let details = ask(
        &gateway.with_key(&secret),
        "GET",
        "/v1/api-keys/self/details?include_workspace=true",
        Value::Null,
    )
    .await;
    assert_eq!(details.1["data"]["api_key_details"]["id"], id.as_str(), "{details:?}");
    assert_eq!(details.1["data"]["workspace_details"]["slug"], "ws-default", "{details:?}");
    for told in [&shown, &listed, &audit, &details.1] {
        assert!(!told.to_string().contains(&secret), "the secret is told again: {told}");
    }
    done(&gateway, "DELETE", &format!("/v1/api-keys/{id}"), Value::Null).await;
    assert_eq!(asks(&gateway, &secret).await, 401);
    let gone = refused(&gateway.admin(), "GET", &format!("/v1/api-keys/{id}"), Value::Null).await;
    assert_eq!((gone.0, gone.1.as_str()), (404, "AB08"));
}

#[tokio::test]
async fn keys_of_the_organisation_are_made_in_every_spelling_and_never_infer() {
    let World { gateway, mock, .. } = world().await;
    for path in ["organisation/NOT_GIVEN", "organization/service", "organisation"] {
        let order =
            json!({"name": "ops", "workspace_id": "ws-default", "scopes": ["logs.view", "configs.read"]});
        let made = done(&gateway, "POST", &format!("/v1/api-keys/{path}"), order).await;
        let (status, shown) =
            ask(&gateway.with_key(&text(&made, "key")), "GET", "/v1/api-keys/self/details", Value::Null)
                .await;
        assert_eq!(status, 200, "{shown}");
        assert_eq!(shown["data"]["api_key_details"]["type"], "organisation-service", "{shown}");
        let (status, body) = answer(&gateway, &text(&made, "key")).await;
        assert_eq!((status, &body["error"]["code"]), (403, &json!("033")), "{body}");
    }
    assert!(mock.requests().is_empty(), "nothing went to the provider");
    let order = json!({"name": "x", "scopes": ["completions.write"]});
    let (status, code, message) =
        refused(&gateway.admin(), "POST", "/v1/api-keys/organisation/service", order).await;
    assert_eq!((status, code.as_str()), (400, "AB01"));
    assert!(message.contains("completions.write"), "{message}");
}

#[tokio::test]
async fn a_scope_counts_for_requests_in_every_spelling() {
    let World { gateway, mock: _mock, .. } = world().await;
    for scope in ["completions.write", "portkey.completions.write", "completions:write"] {
        let (_, secret) = service_key(&gateway, "ws-default", &[scope], Value::Null).await;
        assert_eq!(asks(&gateway, &secret).await, 200, "{scope}");
    }
    let (_, reader) = service_key(&gateway, "ws-default", &["configs.read"], Value::Null).await;
    assert_eq!(asks(&gateway, &reader).await, 403);
}

#[tokio::test]
async fn what_is_absent_stays_null_clears_and_a_value_sets() {
    let World { gateway, mock: _mock, .. } = world().await;
    let more = json!({
        "description": "first", "alert_emails": ["a@example.com"], "expires_at": "2040-01-01T00:00:00Z",
        "rate_limits": [{"type": "tokens", "unit": "rph", "value": 5000}],
        "usage_limits": {"type": "tokens", "credit_limit": 5000},
        "defaults": {"metadata": {"a": "b"}, "allow_config_override": false},
        "rotation_policy": {"rotation_period": "weekly", "key_transition_period_ms": 3_600_000},
        "models": ["@openai-prod/*"], "unmeasured": "deny",
    });
    let (id, _) = service_key(&gateway, "ws-default", INFER, more).await;
    let before = row(&gateway, &id).await;
    put(&gateway, &id, json!({"name": "renamed"})).await;
    let renamed = row(&gateway, &id).await;
    let cleared = [
        "description",
        "expires_at",
        "rate_limits",
        "usage_limits",
        "rotation_policy",
        "alert_emails",
        "defaults",
        "models",
        "unmeasured",
    ];
    assert_eq!(renamed["name"], "renamed");
    for name in cleared.into_iter().chain(["scopes", "type", "key"]) {
        assert_eq!(renamed[name], before[name], "{name}");
    }
    assert_eq!(before["rotation_policy"]["key_transition_period_ms"], 3_600_000, "{before}");
    put(&gateway, &id, cleared.into_iter().map(|name| (name.to_owned(), Value::Null)).collect()).await;
    let bare = row(&gateway, &id).await;
    for name in ["description", "expires_at", "usage_limits", "rotation_policy", "unmeasured"] {
        assert_eq!(bare[name], Value::Null, "{name}: {bare}");
    }
    for name in ["rate_limits", "alert_emails", "models"] {
        assert_eq!(bare[name], json!([]), "{name}: {bare}");
    }
    let plain = json!({"metadata": {}, "config_id": null, "allow_config_override": true});
    assert_eq!(bare["defaults"], plain);
    put(&gateway, &id, json!({"rate_limits": {"type": "requests", "unit": "rpd", "value": 7.0}})).await;
    assert_eq!(row(&gateway, &id).await["rate_limits"][0]["value"].to_string(), "7");
}

#[tokio::test]
async fn a_budget_acts_at_once_when_it_is_raised_reset_or_taken_away() {
    let World { gateway, mock: _mock, .. } = world().await;
    let limits = |limit: f64| json!({"usage_limits": {"type": "cost", "credit_limit": limit}});
    let (id, secret) = service_key(&gateway, "ws-default", INFER, limits(1.0)).await;
    assert_eq!(asks(&gateway, &secret).await, 200);
    let shown = row(&gateway, &id).await;
    assert!(shown["current_usage"].as_f64().is_some_and(|used| used > 0.0), "{shown}");
    put(&gateway, &id, limits(0.000_000_1)).await;
    assert_eq!(row(&gateway, &id).await["status"], "exhausted");
    let (status, body) = answer(&gateway, &secret).await;
    assert_eq!((status, &body["error"]["code"]), (412, &json!("04")), "{body}");
    put(&gateway, &id, limits(1.0)).await;
    assert_eq!(
        (asks(&gateway, &secret).await, row(&gateway, &id).await["status"].clone()),
        (200, json!("active"))
    );
    put(&gateway, &id, json!({"reset_usage": true})).await;
    let reset = row(&gateway, &id).await;
    assert_eq!(reset["current_usage"], 0, "{reset}");
    assert!(reset["last_reset_at"].is_string(), "{reset}");
    // Tokens are another budget: what was spent in dollars says nothing of them.
    put(&gateway, &id, json!({"usage_limits": {"type": "tokens", "credit_limit": 1}})).await;
    assert_eq!(row(&gateway, &id).await["current_usage"], 0);
    assert_eq!(asks(&gateway, &secret).await, 412);
    put(&gateway, &id, json!({"usage_limits": null})).await;
    assert_eq!(asks(&gateway, &secret).await, 200);
}

#[tokio::test]
async fn a_key_that_expires_is_refused_at_once_and_may_come_back() {
    let World { gateway, mock: _mock, .. } = world().await;
    let (id, secret) = service_key(&gateway, "ws-default", INFER, Value::Null).await;
    assert_eq!(asks(&gateway, &secret).await, 200);
    put(&gateway, &id, json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    let (status, body) = answer(&gateway, &secret).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("01")), "{body}");
    assert_eq!(row(&gateway, &id).await["status"], "expired");
    put(&gateway, &id, json!({"expires_at": null})).await;
    assert_eq!(asks(&gateway, &secret).await, 200);
}

#[tokio::test]
async fn keys_of_another_workspace_are_as_if_they_were_not_there() {
    let World { gateway, mock: _mock, .. } = world().await;
    let (ours, theirs) = (workspace(&gateway, "Ours").await, workspace(&gateway, "Theirs").await);
    let scopes = ["create", "read", "update", "delete", "list", "rotate"]
        .map(|action| format!("workspace_service_api_keys.{action}"));
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let (own, secret) = service_key(&gateway, &ours, &scopes, Value::Null).await;
    let (other, _) = service_key(&gateway, &theirs, INFER, Value::Null).await;
    let caller = gateway.with_key(&secret);
    for id in [other.as_str(), "admin", "key:tests", "nobody"] {
        let at = format!("/v1/api-keys/{id}");
        for (method, target) in [
            ("GET", at.clone()),
            ("PUT", at.clone()),
            ("DELETE", at.clone()),
            ("POST", format!("{at}/rotate")),
        ] {
            let (status, code, message) = refused(&caller, method, &target, Value::Null).await;
            assert_eq!((status, code.as_str()), (404, "AB08"), "{method} {target}: {message}");
        }
    }
    let (_, listed) = ask(&caller, "GET", "/v1/api-keys", Value::Null).await;
    assert_eq!((&listed["total"], &listed["data"][0]["id"]), (&json!(1), &json!(own)), "{listed}");
    let elsewhere =
        refused(&caller, "GET", &format!("/v1/api-keys?workspace_id={theirs}"), Value::Null).await;
    assert_eq!(elsewhere.0, 404);
    let order = json!({"name": "x", "workspace_id": theirs, "scopes": INFER});
    assert_eq!(refused(&caller, "POST", "/v1/api-keys/workspace/service", order).await.0, 404);
    let order = json!({"name": "x", "scopes": ["logs.view"]});
    assert_eq!(refused(&caller, "POST", "/v1/api-keys/organisation/service", order).await.0, 403);
    let (status, made) =
        ask(&caller, "POST", "/v1/api-keys/workspace/service", json!({"name": "x", "scopes": INFER})).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(row(&gateway, &text(&made, "id")).await["workspace_id"], ours.as_str());
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let World { gateway, mock: _mock, .. } = world().await;
    let order = json!({"name": "maker", "scopes": ["workspace_service_api_keys.create", "workspace_service_api_keys.rotate"]});
    let made = done(&gateway, "POST", "/v1/api-keys/organisation/service", order).await;
    let maker = gateway.with_key(&text(&made, "key"));
    let order = |scope: &str| json!({"name": "x", "scopes": [scope]});
    let (status, code, message) =
        refused(&maker, "POST", "/v1/api-keys/workspace/service", order("workspaces.update")).await;
    assert_eq!((status, code.as_str()), (403, "AB03"), "{message}");
    let (status, body) =
        ask(&maker, "POST", "/v1/api-keys/workspace/service", order("completions.write")).await;
    assert_eq!(status, 200, "{body}");
    let rotated = format!("/v1/api-keys/{}/rotate", text(&body, "id"));
    assert_eq!(ask(&maker, "POST", &rotated, json!({})).await.0, 200);
    // The new secret of a stronger key would be its power.
    let (stronger, _) = service_key(&gateway, "ws-default", &["workspaces.update"], Value::Null).await;
    let rotated = format!("/v1/api-keys/{stronger}/rotate");
    assert_eq!(refused(&maker, "POST", &rotated, json!({})).await.0, 403);
    let (status, _, _) = refused(&maker, "POST", "/v1/api-keys/organisation", order("admin")).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused_by_name() {
    let World { gateway, mock: _mock, .. } = world().await;
    let order = |more: Value| {
        let mut order = json!({"name": "x", "scopes": INFER});
        for (name, value) in more.as_object().into_iter().flatten() {
            order[name] = value.clone();
        }
        order
    };
    for (more, param) in [
        (json!({"scopes": []}), "scopes"),
        (json!({"scopes": null}), "scopes"),
        (json!({"scopes": ["do.everything"]}), "scopes[0]"),
        (json!({"scopes": ["completions.write", "audit_logs.list"]}), "scopes[1]"),
        (json!({"name": ""}), "name"),
        (json!({"usage_limits": {"type": "cost"}}), "usage_limits.credit_limit"),
        (json!({"rate_limits": [{"type": "requests", "unit": "rpm"}]}), "rate_limits[0].value"),
        (json!({"defaults": {"metadata": {"a": 1}}}), "defaults.metadata.a"),
        (json!({"defaults": {"config_id": "pc-none-000000"}}), "defaults.config_id"),
        (json!({"expires_at": "tomorrow"}), "expires_at"),
        (json!({"alert_emails": ["nobody"]}), "alert_emails[0]"),
        (json!({"rotation_policy": {"rotation_period": "daily"}}), "rotation_policy.rotation_period"),
        (
            json!({"rotation_policy": {"rotation_period": "weekly", "key_transition_period_ms": 60_000}}),
            "rotation_policy.key_transition_period_ms",
        ),
    ] {
        let (status, body) =
            ask(&gateway.admin(), "POST", "/v1/api-keys/workspace/service", order(more.clone())).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{more}: {body}");
        assert_eq!(body["errorCode"], "AB01", "{body}");
    }
    for path in ["workspace/robot", "planet/service", "organisation/user"] {
        let (status, _, message) =
            refused(&gateway.admin(), "POST", &format!("/v1/api-keys/{path}"), order(json!({}))).await;
        assert_eq!(status, 400, "{path}: {message}");
    }
}

#[tokio::test]
async fn keys_of_the_settings_file_and_the_admin_key_are_shown_and_not_changed() {
    let World { gateway, client, mock: _mock } = world().await;
    for id in ["key:tests", "admin"] {
        let shown = row(&gateway, id).await;
        assert_eq!(shown["status"], "active", "{shown}");
        let at = format!("/v1/api-keys/{id}");
        for (method, target) in
            [("PUT", at.clone()), ("DELETE", at.clone()), ("POST", format!("{at}/rotate"))]
        {
            let (status, code, message) =
                refused(&gateway.admin(), method, &target, json!({"name": "x"})).await;
            assert_eq!((status, code.as_str()), (409, "AB07"), "{message}");
            assert!(message.contains("settings file"), "{message}");
        }
    }
    client.chat(&crate::support::chat("@openai-prod/mock", "hello")).send().await.expect(200).await;
}

#[tokio::test]
async fn the_organisations_schema_of_metadata_is_asked_of_keys() {
    let World { gateway, mock: _mock, .. } = world().await;
    let schema = json!({"type": "object", "required": ["team"],
        "properties": {"team": {"type": "string", "enum": ["red", "blue"]}, "env": {"type": "string", "default": "dev"}}});
    done(&gateway, "PUT", "/v1/admin/organisation", json!({"metadata_schemas": {"api_key": schema}})).await;
    let order = |metadata: Value| json!({"name": "x", "scopes": INFER, "defaults": {"metadata": metadata}});
    for metadata in [json!({}), json!({"team": "green"})] {
        let (status, _, message) =
            refused(&gateway.admin(), "POST", "/v1/api-keys/workspace/service", order(metadata)).await;
        assert_eq!(status, 400);
        assert!(message.contains("metadata.team"), "{message}");
    }
    let made = done(&gateway, "POST", "/v1/api-keys/workspace/service", order(json!({"team": "red"}))).await;
    let shown = row(&gateway, &text(&made, "id")).await;
    assert_eq!(shown["defaults"]["metadata"], json!({"team": "red", "env": "dev"}));
}
