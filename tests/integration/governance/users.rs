//! People: invited, coming in by a link, leaving with their keys.

use serde_json::{Value, json};
use tidegate_tests::Gateway;

use super::orders::{
    ask, asks, done, invited, meanwhile, path_of, person, refused, service_key, text, workspace,
};
use crate::support::{World, world};

const WHO: fn() -> Value = || json!({"first_name": "Ada", "last_name": "Byron"});

async fn accepts(gateway: &Gateway, link: &str) -> (u16, Value) {
    ask(&gateway.client(), "POST", &format!("{link}/accept"), WHO()).await
}

async fn status(gateway: &Gateway, invite: &str) -> Value {
    done(gateway, "GET", &format!("/v1/admin/users/invites/{invite}"), Value::Null).await["status"].clone()
}

#[tokio::test]
async fn an_invitation_makes_a_person_with_places_and_keys_once() {
    let World { gateway, mock: _mock, .. } = world().await;
    let team = workspace(&gateway, "Team").await;
    let order = json!({
        "email": "Ada@Example.com", "role": "member", "workspaces": [{"id": team, "role": "member"}],
        "workspace_api_key_details": {"scopes": ["completions.write", "configs.read"]},
    });
    let (invite, link) = invited(&gateway, order.clone()).await;
    assert_eq!(status(&gateway, &invite).await, "pending");
    let twice = refused(&gateway.admin(), "POST", "/v1/admin/users/invites", order).await;
    assert_eq!((twice.0, twice.1.as_str()), (409, "AB07"));
    let (_, look) = ask(&gateway.client(), "GET", &link, Value::Null).await;
    assert_eq!((&look["email"], &look["workspaces"][0]["name"]), (&json!("ada@example.com"), &json!("Team")));
    let (code, ada) = accepts(&gateway, &link).await;
    assert_eq!(code, 200, "{ada}");
    let key = text(&ada["api_keys"][0], "key");
    assert_eq!(asks(&gateway, &key).await, 200);
    let details = ask(&gateway.with_key(&key), "GET", "/v1/api-keys/self/details", Value::Null).await.1;
    let details = &details["data"]["api_key_details"];
    assert_eq!((&details["type"], &details["user_id"]), (&json!("workspace-user"), &ada["id"]), "{details}");
    assert_eq!(details["workspace_id"], team.as_str(), "{details}");
    let (again, body) = accepts(&gateway, &link).await;
    assert_eq!(again, 404, "{body}");
    assert_eq!(status(&gateway, &invite).await, "accepted");
    let users = done(&gateway, "GET", "/v1/admin/users?email=ada@example.com", Value::Null).await;
    assert_eq!((&users["total"], &users["data"][0]["workspace_ids"]), (&json!(1), &json!([team])), "{users}");
    let token = link.rsplit('/').next().expect("a token");
    let invites = done(&gateway, "GET", "/v1/admin/users/invites", Value::Null).await;
    let audit = done(&gateway, "GET", "/v1/audit-logs", Value::Null).await;
    for told in [&users, &invites, &audit] {
        let told = told.to_string();
        assert!(!told.contains(token) && !told.contains(&key), "a secret is told again: {told}");
    }
    done(&gateway, "DELETE", &format!("/v1/admin/users/{}", text(&ada, "id")), Value::Null).await;
    assert_eq!(asks(&gateway, &key).await, 401);
    let members = done(&gateway, "GET", &format!("/v1/admin/workspaces/{team}/users"), Value::Null).await;
    assert_eq!(members["total"], 0, "{members}");
}

#[tokio::test]
async fn links_end_when_they_are_sent_again_cancelled_or_too_old() {
    let World { mut gateway, mock: _mock, .. } = world().await;
    let (invite, first) = invited(&gateway, json!({"email": "a@example.com", "role": "member"})).await;
    let at = format!("/v1/admin/users/invites/{invite}");
    let again = done(&gateway, "POST", &format!("{at}/resend"), Value::Null).await;
    let second = path_of(&text(&again, "inviteLink"));
    assert_eq!(accepts(&gateway, &first).await.0, 404);
    done(&gateway, "DELETE", &at, Value::Null).await;
    assert_eq!(
        (accepts(&gateway, &second).await.0, status(&gateway, &invite).await),
        (404, json!("cancelled"))
    );
    let resent = refused(&gateway.admin(), "POST", &format!("{at}/resend"), Value::Null).await;
    assert_eq!(resent.0, 409);
    let (late, link) = invited(&gateway, json!({"email": "late@example.com", "role": "member"})).await;
    gateway.kill();
    meanwhile(
        &gateway,
        "UPDATE object SET record = json_set(record, '$.body.expires_at_ms', 1)
         WHERE kind = 'invite' AND json_extract(record, '$.body.email') = 'late@example.com'",
    );
    gateway.restart().await;
    assert_eq!((accepts(&gateway, &link).await.0, status(&gateway, &late).await), (404, json!("expired")));
    let listed = done(&gateway, "GET", "/v1/admin/users/invites?status=expired", Value::Null).await;
    assert_eq!(listed["total"], 1, "{listed}");
    let again = done(&gateway, "POST", &format!("/v1/admin/users/invites/{late}/resend"), Value::Null).await;
    assert_eq!(accepts(&gateway, &path_of(&text(&again, "invite_link"))).await.0, 200);
}

#[tokio::test]
async fn there_is_always_an_owner_and_only_owners_decide_on_owners() {
    let World { gateway, mock: _mock, .. } = world().await;
    let boss = text(&person(&gateway, "boss@example.com", "owner", json!([])).await, "id");
    let at = format!("/v1/admin/users/{boss}");
    for (method, body) in [("DELETE", Value::Null), ("PUT", json!({"role": "admin"}))] {
        let (status, code, message) = refused(&gateway.admin(), method, &at, body).await;
        assert_eq!((status, code.as_str()), (409, "AB07"), "{message}");
    }
    let same = refused(&gateway.admin(), "PUT", &at, json!({"role": "owner"})).await;
    assert_eq!((same.0, same.1.as_str()), (400, "AB01"));
    let scopes = ["create", "update", "delete"].map(|action| format!("organisation_users.{action}"));
    let order = json!({"name": "people", "scopes": scopes});
    let made = done(&gateway, "POST", "/v1/api-keys/organisation/service", order).await;
    let people = gateway.with_key(&text(&made, "key"));
    let order = json!({"email": "new@example.com", "role": "owner"});
    assert_eq!(refused(&people, "POST", "/v1/admin/users/invites", order).await.0, 403);
    let second = text(&person(&gateway, "second@example.com", "member", json!([])).await, "id");
    let promoted =
        refused(&people, "PUT", &format!("/v1/admin/users/{second}"), json!({"role": "owner"})).await;
    assert_eq!(promoted.0, 403);
    done(&gateway, "PUT", &format!("/v1/admin/users/{second}"), json!({"role": "owner"})).await;
    assert_eq!(refused(&people, "DELETE", &at, Value::Null).await.0, 403);
    done(&gateway, "DELETE", &at, Value::Null).await;
    let users = done(&gateway, "GET", "/v1/admin/users?role=owner", Value::Null).await;
    assert_eq!((&users["total"], &users["data"][0]["id"]), (&json!(1), &json!(second)), "{users}");
}

#[tokio::test]
async fn invitations_give_no_more_than_a_role_allows() {
    let World { gateway, mock: _mock, .. } = world().await;
    let team = workspace(&gateway, "Team").await;
    for (order, param) in [
        (json!({"email": "nobody", "role": "member"}), "email"),
        (json!({"email": "a@example.com", "role": "king"}), "role"),
        (
            json!({"email": "a@example.com", "role": "member", "workspaces": [{"id": team, "role": "owner"}]}),
            "workspaces[0].role",
        ),
        (
            json!({"email": "a@example.com", "role": "member", "workspaces": [{"id": team, "role": "member"}],
                "workspace_api_key_details": {"scopes": ["configs.update"]}}),
            "scopes[0]",
        ),
        (
            json!({"email": "a@example.com", "role": "member",
                "workspace_api_key_details": {"scopes": ["completions.write"]}}),
            "workspaces",
        ),
    ] {
        let (status, body) = ask(&gateway.admin(), "POST", "/v1/admin/users/invites", order.clone()).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{order}: {body}");
    }
    let order = json!({"email": "a@example.com", "role": "member", "workspaces": [{"id": "nowhere"}]});
    assert_eq!(refused(&gateway.admin(), "POST", "/v1/admin/users/invites", order).await.0, 404);
    // People are the organisation's matter.
    let (_, secret) = service_key(&gateway, &team, &["workspace_users.create"], Value::Null).await;
    let order = json!({"email": "a@example.com", "role": "member"});
    assert_eq!(refused(&gateway.with_key(&secret), "POST", "/v1/admin/users/invites", order).await.0, 403);
}
