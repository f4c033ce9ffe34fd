//! Workspaces: made, limited, left, archived with what is in them.

use serde_json::{Value, json};
use tidegate_tests::Gateway;

use super::bench::Bench;
use super::orders::{answer, ask, asks, done, person, refused, service_key, text, workspace};
use crate::support::{World, world};

const INFER: &[&str] = &["completions.write"];

async fn row(gateway: &Gateway, id: &str) -> Value {
    done(gateway, "GET", &format!("/v1/admin/workspaces/{id}"), Value::Null).await
}

async fn put(gateway: &Gateway, id: &str, order: Value) {
    let answered = done(gateway, "PUT", &format!("/v1/admin/workspaces/{id}"), order).await;
    assert_eq!(answered, json!({}));
}

#[tokio::test]
async fn a_workspace_is_found_by_id_slug_and_name() {
    let World { gateway, mock: _mock, .. } = world().await;
    let order = json!({
        "name": "Marketing Europe", "icon": "M", "description": "they sell",
        "defaults": {"metadata": {"team": "m"}},
        "usage_limits": [{"type": "cost", "credit_limit": 50, "periodic_reset": "weekly"}],
        "rate_limits": [{"type": "requests", "unit": "rpm", "value": 90}],
    });
    let made = done(&gateway, "POST", "/v1/admin/workspaces", order).await;
    let (id, slug) = (text(&made, "id"), text(&made, "slug"));
    assert!(slug.starts_with("ws-market-"), "{slug}");
    for name in [&id, &slug] {
        let shown = row(&gateway, name).await;
        assert_eq!((&shown["id"], &shown["slug"]), (&json!(id), &json!(slug)), "{shown}");
        // The icon is no part of the name.
        assert_eq!((&shown["name"], &shown["icon"]), (&json!("Marketing Europe"), &json!("M")), "{shown}");
        assert_eq!(shown["usage_limits"][0]["credit_limit"].to_string(), "50", "{shown}");
        assert!(shown["usage_limits"][0]["next_usage_reset_at"].is_string(), "{shown}");
        assert_eq!((&shown["is_default"], &shown["status"]), (&json!(0), &json!("active")), "{shown}");
        assert_eq!(shown["security_settings"]["membersViewLogs"], true, "{shown}");
        assert_eq!(shown["security_settings"]["membersWriteConfigs"], false, "{shown}");
    }
    for (query, total) in [
        ("", 2),
        ("?name=Market", 1),
        ("?name=market", 0),
        ("?exact_name=Marketing", 0),
        ("?exact_name=Marketing%20Europe&name_format=plain", 1),
        ("?status=archived", 0),
        ("?currentPage=1&pageSize=1", 2),
    ] {
        let listed = done(&gateway, "GET", &format!("/v1/admin/workspaces{query}"), Value::Null).await;
        assert_eq!(
            (&listed["object"], &listed["total"]),
            (&json!("list"), &json!(total)),
            "{query}: {listed}"
        );
    }
    let unknown = refused(&gateway.admin(), "GET", "/v1/admin/workspaces/ws-nobody", Value::Null).await;
    assert_eq!((unknown.0, unknown.1.as_str()), (404, "AB08"));
}

#[tokio::test]
async fn what_is_absent_stays_null_clears_and_a_value_sets() {
    let World { gateway, mock: _mock, .. } = world().await;
    let id = workspace(&gateway, "A").await;
    let order = json!({
        "icon": "I", "description": "D", "usage_limits": [{"type": "tokens", "credit_limit": 100}],
        "rate_limits": [{"type": "requests", "unit": "rpm", "value": 1}],
        "defaults": {"metadata": {"a": "b"}}, "settings": {"debug_log": 1},
        "security_settings": {"membersViewLogs": false},
    });
    put(&gateway, &id, order).await;
    let before = row(&gateway, &id).await;
    put(&gateway, &id, json!({"name": "B"})).await;
    let after = row(&gateway, &id).await;
    assert_eq!(after["name"], "B");
    for name in
        ["icon", "description", "usage_limits", "rate_limits", "defaults", "settings", "security_settings"]
    {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(before["security_settings"]["membersViewLogs"], false, "{before}");
    let nothing = json!({"icon": null, "description": null, "usage_limits": null, "rate_limits": null,
        "defaults": {"metadata": null}, "settings": {"debug_log": null}, "security_settings": null});
    put(&gateway, &id, nothing).await;
    let bare = row(&gateway, &id).await;
    assert_eq!((&bare["icon"], &bare["description"]), (&Value::Null, &Value::Null), "{bare}");
    assert_eq!((&bare["usage_limits"], &bare["rate_limits"]), (&json!([]), &json!([])), "{bare}");
    assert_eq!((&bare["defaults"]["metadata"], &bare["settings"]), (&Value::Null, &json!({})), "{bare}");
    assert_eq!(bare["security_settings"]["membersViewLogs"], true, "{bare}");
    for (order, param) in [
        (json!({"security_settings": {"everybody": true}}), "security_settings.everybody"),
        (json!({"settings": {"everything": true}}), "settings.everything"),
        (json!({"defaults": {"input_guardrails": ["none"]}}), "defaults.input_guardrails[0]"),
        (json!({"defaults": {"user_api_key_config": "pc-none-000000"}}), "defaults.user_api_key_config"),
        (json!({"usage_limits": [{"type": "cost"}]}), "usage_limits[0].credit_limit"),
    ] {
        let (status, body) =
            ask(&gateway.admin(), "PUT", &format!("/v1/admin/workspaces/{id}"), order.clone()).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{order}: {body}");
    }
    assert_eq!(row(&gateway, &id).await["usage_limits"], json!([]), "a refused order changes nothing");
}

#[tokio::test]
async fn a_workspaces_budget_holds_for_all_its_keys_and_acts_at_once() {
    let World { gateway, mock: _mock, .. } = world().await;
    let id = workspace(&gateway, "Small").await;
    let limits = |limit: f64| json!({"usage_limits": [{"type": "cost", "credit_limit": limit}]});
    put(&gateway, &id, limits(1.0)).await;
    let (_, one) = service_key(&gateway, &id, INFER, Value::Null).await;
    let (_, two) = service_key(&gateway, &id, INFER, Value::Null).await;
    assert_eq!((asks(&gateway, &one).await, asks(&gateway, &two).await), (200, 200));
    let used = row(&gateway, &id).await["usage_limits"][0]["current_usage"].as_f64();
    assert!(used.is_some_and(|used| used > 0.0), "{used:?}");
    put(&gateway, &id, limits(0.000_000_1)).await;
    for key in [&one, &two] {
        let (status, body) = answer(&gateway, key).await;
        assert_eq!((status, &body["error"]["type"]), (412, &json!("workspace_exhaust_error")), "{body}");
    }
    put(&gateway, &id, limits(1.0)).await;
    assert_eq!(asks(&gateway, &one).await, 200);
    put(&gateway, &id, json!({"reset_usage": true})).await;
    let reset = row(&gateway, &id).await;
    assert_eq!(reset["usage_limits"][0]["current_usage"], 0, "{reset}");
    assert!(reset["last_reset_at"].is_string(), "{reset}");
}

#[tokio::test]
async fn a_workspace_goes_with_what_is_in_it_only_when_that_is_meant() {
    let World { gateway, mock: _mock, .. } = world().await;
    let id = workspace(&gateway, "Leaving").await;
    let at = format!("/v1/admin/workspaces/{id}");
    let (key, secret) = service_key(&gateway, &id, INFER, Value::Null).await;
    let config = json!({"name": "c", "config": {"provider": "@openai-prod"}, "workspace_id": id});
    let config = text(&done(&gateway, "POST", "/v1/configs", config).await, "slug");
    let (status, code, message) = refused(&gateway.admin(), "DELETE", &at, json!({"name": "Leaving"})).await;
    assert_eq!((status, code.as_str()), (409, "AB07"), "{message}");
    assert!(message.contains("API keys (1)") && message.contains("configs (1)"), "{message}");
    let wrong =
        refused(&gateway.admin(), "DELETE", &at, json!({"name": "Other", "force_delete": true})).await;
    assert_eq!(wrong.0, 400);
    assert_eq!(asks(&gateway, &secret).await, 200);
    let answered = done(&gateway, "DELETE", &at, json!({"name": "Leaving", "force_delete": true})).await;
    assert_eq!(answered, json!({}));
    assert_eq!(asks(&gateway, &secret).await, 401);
    let gone = refused(&gateway.admin(), "GET", &format!("/v1/api-keys/{key}"), Value::Null).await;
    assert_eq!(gone.0, 404);
    let gone = refused(&gateway.admin(), "GET", &format!("/v1/configs/{config}"), Value::Null).await;
    assert_eq!(gone.0, 404);
    for (method, target) in [("GET", &at), ("PUT", &at), ("DELETE", &at)] {
        let (status, code, message) = refused(&gateway.admin(), method, target, Value::Null).await;
        assert_eq!((status, code.as_str()), (403, "AB03"), "{method}: {message}");
    }
    let order = json!({"name": "x", "workspace_id": id, "scopes": INFER});
    assert_eq!(refused(&gateway.admin(), "POST", "/v1/api-keys/workspace/service", order).await.0, 403);
    let archived = done(&gateway, "GET", "/v1/admin/workspaces?status=archived", Value::Null).await;
    assert_eq!((&archived["total"], &archived["data"][0]["id"]), (&json!(1), &json!(id)), "{archived}");
    let order = json!({"force_delete": true});
    let (status, _, message) =
        refused(&gateway.admin(), "DELETE", "/v1/admin/workspaces/ws-default", order).await;
    assert_eq!(status, 400, "{message}");
}

#[tokio::test]
async fn members_come_change_and_go_with_their_keys() {
    let World { gateway, mock: _mock, .. } = world().await;
    let id = workspace(&gateway, "Team").await;
    let at = format!("/v1/admin/workspaces/{id}/users");
    let ada = text(&person(&gateway, "ada@example.com", "member", json!([])).await, "id");
    let stranger = json!({"users": [{"id": "nobody", "role": "member"}]});
    assert_eq!(refused(&gateway.admin(), "POST", &at, stranger).await.0, 404);
    let order = json!({"users": [{"id": ada, "role": "member"}]});
    assert_eq!(done(&gateway, "POST", &at, order.clone()).await, json!({}));
    let twice = refused(&gateway.admin(), "POST", &at, order).await;
    assert_eq!((twice.0, twice.1.as_str()), (409, "AB07"));
    let listed = done(&gateway, "GET", &format!("{at}?email=ada@example.com"), Value::Null).await;
    assert_eq!(listed["total"], 1, "{listed}");
    let shown = &listed["data"][0];
    assert_eq!((&shown["role"], &shown["org_role"]), (&json!("member"), &json!("member")), "{shown}");
    assert_eq!((&shown["workspace_id"], &shown["first_name"]), (&json!(id), &json!("Ada")), "{shown}");
    let same = refused(&gateway.admin(), "PUT", &format!("{at}/{ada}"), json!({"role": "member"})).await;
    assert_eq!((same.0, same.1.as_str()), (400, "AB01"));
    done(&gateway, "PUT", &format!("{at}/{ada}"), json!({"role": "manager"})).await;
    assert_eq!(done(&gateway, "GET", &format!("{at}/{ada}"), Value::Null).await["role"], "manager");
    let order = json!({"name": "hers", "workspace_id": id, "user_id": ada,
        "scopes": ["completions.write", "workspace_users.create", "workspace_users.update"]});
    let key = text(&done(&gateway, "POST", "/v1/api-keys/workspace/user", order).await, "key");
    assert_eq!(asks(&gateway, &key).await, 200);
    // A manager stays below the admins.
    let bob = text(&person(&gateway, "bob@example.com", "member", json!([])).await, "id");
    let her = gateway.with_key(&key);
    let order = |role: &str| json!({"users": [{"id": bob, "role": role}]});
    assert_eq!(refused(&her, "POST", &at, order("admin")).await.0, 403);
    assert_eq!(ask(&her, "POST", &at, order("member")).await.0, 200);
    assert_eq!(refused(&her, "PUT", &format!("{at}/{ada}"), json!({"role": "admin"})).await.0, 403);
    done(&gateway, "DELETE", &format!("{at}/{ada}"), Value::Null).await;
    assert_eq!(asks(&gateway, &key).await, 401);
    let gone = refused(&gateway.admin(), "GET", &format!("{at}/{ada}"), Value::Null).await;
    assert_eq!((gone.0, gone.1.as_str()), (404, "AB08"));
    let order = json!({"name": "x", "workspace_id": id, "user_id": ada, "scopes": INFER});
    assert_eq!(refused(&gateway.admin(), "POST", "/v1/api-keys/workspace/user", order).await.0, 400);
}

#[tokio::test]
async fn a_key_of_a_workspace_sees_no_other() {
    let World { gateway, mock: _mock, .. } = world().await;
    let (ours, theirs) = (workspace(&gateway, "Ours").await, workspace(&gateway, "Theirs").await);
    let scopes = &["workspaces.read", "workspaces.list", "workspaces.update", "workspace_users.list"];
    let (_, secret) = service_key(&gateway, &ours, scopes, Value::Null).await;
    let caller = gateway.with_key(&secret);
    let (_, listed) = ask(&caller, "GET", "/v1/admin/workspaces", Value::Null).await;
    assert_eq!((&listed["total"], &listed["data"][0]["id"]), (&json!(1), &json!(ours)), "{listed}");
    let unknown = refused(&caller, "GET", "/v1/admin/workspaces/nobody", Value::Null).await;
    for (method, target) in [
        ("GET", format!("/v1/admin/workspaces/{theirs}")),
        ("PUT", format!("/v1/admin/workspaces/{theirs}")),
        ("GET", format!("/v1/admin/workspaces/{theirs}/users")),
    ] {
        let hidden = refused(&caller, method, &target, Value::Null).await;
        assert_eq!((hidden.0, &hidden.1), (404, &unknown.1), "{method} {target}: {}", hidden.2);
        assert_eq!(hidden.2.replace(&theirs, "nobody"), unknown.2, "there is no difference to see");
    }
    let own =
        ask(&caller, "PUT", &format!("/v1/admin/workspaces/{ours}"), json!({"description": "ours"})).await;
    assert_eq!(own.0, 200, "{own:?}");
}

#[tokio::test]
async fn filters_that_nothing_fits_are_refused_with_their_words() {
    let bench = Bench::start("").await;
    for (path, param, part) in [
        ("/admin/workspaces?status=foo", "status", "active, archived"),
        ("/integrations?type=foo", "type", "workspace, organisation, all"),
        ("/integrations?status=foo", "status", "active, archived"),
        ("/policies/usage-limits?type=foo", "type", "cost, tokens, requests"),
        ("/admin/users?role=foo", "role", "owner, admin, member"),
        ("/admin/users/invites?status=foo", "status", "pending, cancelled, accepted, expired"),
    ] {
        let (status, answer) = bench.ask("GET", path, &Value::Null).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{path}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(part)), "{path}: {answer}");
    }
    bench.done("GET", "/admin/workspaces?status=active,archived", &Value::Null).await;
    bench.done("GET", "/integrations?type=all&status=", &Value::Null).await;
}
