//! Key settings of the organisation and of workspaces: how long users' keys live, how many there are, how often they
//! get a new secret, and whose requests carry.

use serde_json::{Value, json};
use tidegate_tests::{Gateway, wait};

use super::orders::{ask, done, person, text, workspace};
use crate::support::{World, chat, world};

const DAY: i64 = 86_400;

struct Team {
    home: String,
    ada: String,
}

async fn team(gateway: &Gateway, settings: Value) -> Team {
    let home = workspace(gateway, "Team").await;
    done(gateway, "PUT", &format!("/v1/admin/workspaces/{home}"), json!({"settings": settings})).await;
    let joined = json!([{"id": home, "role": "member"}]);
    let ada = text(&person(gateway, "ada@example.com", "member", joined).await, "id");
    Team { home, ada }
}

impl Team {
    fn order(&self, more: &Value) -> Value {
        let mut order = json!({"name": "hers", "workspace_id": self.home, "user_id": self.ada,
            "scopes": ["completions.write"]});
        for (name, value) in more.as_object().into_iter().flatten() {
            order[name] = value.clone();
        }
        order
    }

    /// Makes a key and returns its row and its text.
    async fn key(&self, gateway: &Gateway, more: Value) -> (Value, String) {
        let made = done(gateway, "POST", "/v1/api-keys/workspace/user", self.order(&more)).await;
        let row = done(gateway, "GET", &format!("/v1/api-keys/{}", text(&made, "id")), Value::Null).await;
        (row, text(&made, "key"))
    }

    /// Orders a key that is refused, and returns the member at fault and the message.
    async fn refused(&self, gateway: &Gateway, more: Value) -> (Value, String) {
        let (status, told) =
            ask(&gateway.admin(), "POST", "/v1/api-keys/workspace/user", self.order(&more)).await;
        assert_eq!((status, &told["errorCode"]), (400, &json!("AB01")), "{more}: {told}");
        (told["error"]["param"].clone(), text(&told, "message"))
    }
}

/// Days from a key's making to a moment of its row.
fn days(row: &Value, member: &Value) -> i64 {
    let at = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("no moment in {row}"));
        let (date, time) = text.split_once('T').expect("a moment");
        let part = |text: &str, at: usize| {
            text.split(['-', ':', '.']).nth(at).expect("a part").parse::<i64>().expect("a number")
        };
        let (year, month, day) = (part(date, 0), part(date, 1), part(date, 2));
        // Days since 1970, by the way of the civil calendar.
        let shifted = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, of_era) = (shifted.0.div_euclid(400), shifted.0.rem_euclid(400));
        let of_year = (153 * shifted.1 + 2) / 5 + day - 1;
        let number = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        number * DAY + part(time, 0) * 3_600 + part(time, 1) * 60 + part(time, 2)
    };
    (at(member) - at(&row["created_at"])) / DAY
}

#[tokio::test]
async fn keys_end_when_they_must() {
    let World { gateway, mock: _mock, .. } = world().await;
    let house = json!({"settings": {"user_api_key_max_ttl": 60, "user_api_key_ttl": 10}});
    done(&gateway, "PUT", "/v1/admin/organisation", house).await;
    let team = team(&gateway, json!({"user_api_key_max_ttl": 90, "user_api_key_ttl": 30})).await;
    let (row, _) = team.key(&gateway, json!({})).await;
    assert_eq!((days(&row, &row["expires_at"]), &row["expiry_enforced"]), (30, &json!(1)), "{row}");
    let (param, message) = team.refused(&gateway, json!({"expires_at": "2099-01-01T00:00:00Z"})).await;
    assert_eq!(param, "expires_at");
    assert!(
        message.contains("60 days") && message.contains("user_api_key_max_ttl"),
        "the lower ceiling: {message}"
    );
    let at = format!("/v1/api-keys/{}", text(&row, "id"));
    let late = ask(&gateway.admin(), "PUT", &at, json!({"expires_at": "2099-01-01T00:00:00Z"})).await;
    assert_eq!((late.0, &late.1["error"]["param"]), (400, &json!("expires_at")), "{late:?}");
    done(&gateway, "PUT", &at, json!({"expires_at": null, "name": "renamed"})).await;
    let cleared = done(&gateway, "GET", &at, Value::Null).await;
    assert_eq!(cleared["expires_at"], row["expires_at"], "without an end of its own it has that of all");
    done(&gateway, "PUT", &at, json!({"description": "more"})).await;
    // Others are not keys of users.
    let service = json!({"name": "bot", "workspace_id": team.home, "scopes": ["completions.write"]});
    let service = done(&gateway, "POST", "/v1/api-keys/workspace/service", service).await;
    let service = done(&gateway, "GET", &format!("/v1/api-keys/{}", text(&service, "id")), Value::Null).await;
    assert_eq!((&service["expires_at"], &service["expiry_enforced"]), (&Value::Null, &json!(0)), "{service}");
    // Keys that come with an invitation, too.
    let order = json!({"email": "eve@example.com", "role": "member", "workspaces": [{"id": team.home, "role": "member"}],
        "workspace_api_key_details": {"scopes": ["completions.write"]}});
    let (_, link) = super::orders::invited(&gateway, order).await;
    let joined =
        gateway.client().post(&format!("{link}/accept"), &json!({"first_name": "E", "last_name": "V"}));
    let joined = joined.send().await.expect(200).await;
    let hers = format!("/v1/api-keys/{}", text(&joined["api_keys"][0], "id"));
    let hers = done(&gateway, "GET", &hers, Value::Null).await;
    assert_eq!(days(&hers, &hers["expires_at"]), 30, "{hers}");
}

#[tokio::test]
async fn nobody_has_more_keys_than_they_may() {
    let World { gateway, mock: _mock, .. } = world().await;
    let team = team(&gateway, json!({"user_api_key_count": 2})).await;
    let (first, _) = team.key(&gateway, json!({})).await;
    team.key(&gateway, json!({})).await;
    let (param, message) = team.refused(&gateway, json!({})).await;
    assert_eq!(param, "user_id");
    assert!(message.contains("user_api_key_count") && message.contains("2 are allowed"), "{message}");
    done(&gateway, "DELETE", &format!("/v1/api-keys/{}", text(&first, "id")), Value::Null).await;
    team.key(&gateway, json!({})).await;
    let house = json!({"settings": {"user_api_key_count": 1}});
    done(&gateway, "PUT", "/v1/admin/organisation", house).await;
    assert_eq!(team.refused(&gateway, json!({})).await.0, "user_id");
}

#[tokio::test]
async fn keys_of_users_rotate_as_they_must_also_those_that_are_there() {
    let World { gateway, mock: _mock, .. } = world().await;
    let team = team(&gateway, json!({})).await;
    let weekly =
        json!({"rotation_policy": {"rotation_period": "weekly", "key_transition_period_ms": 3_600_000}});
    let (free, _) = team.key(&gateway, json!({})).await;
    let (week, _) = team.key(&gateway, weekly.clone()).await;
    // A policy whose time has come long ago, made before: it is followed at once.
    let due = json!({"rotation_policy": {"rotation_period": "monthly", "next_rotation_at": "2026-01-01T00:00:00Z"}});
    let at = format!("/v1/admin/workspaces/{}", team.home);
    done(&gateway, "PUT", &at, json!({"settings": {"user_api_key_rotation_period": 7}})).await;
    for (row, overlap) in [(&free, 1_800_000), (&week, 3_600_000)] {
        let key = format!("/v1/api-keys/{}", text(row, "id"));
        let policy = wait::until_async("the rotation to be given", || async {
            let shown = done(&gateway, "GET", &key, Value::Null).await;
            let policy = shown["rotation_policy"].clone();
            (policy["rotation_period_days"] == 7).then_some(policy)
        })
        .await;
        assert_eq!(
            (&policy["rotation_period"], &policy["key_transition_period_ms"]),
            (&Value::Null, &json!(overlap))
        );
        let seen = days(row, &policy["next_rotation_at"]);
        assert!((0..=7).contains(&seen), "{policy}");
        let audit =
            done(&gateway, "GET", &format!("/v1/audit-logs?resource_id={}", text(row, "id")), Value::Null)
                .await;
        assert_eq!(audit["records"][0]["user_type"], "system", "{audit}");
    }
    let (made, _) = team.key(&gateway, json!({})).await;
    assert_eq!(made["rotation_policy"]["rotation_period_days"], 7, "{made}");
    for (more, param) in [
        (weekly, "rotation_policy.rotation_period"),
        (due, "rotation_policy.rotation_period"),
        (json!({"rotation_policy": {"rotation_period_days": 8}}), "rotation_policy.rotation_period_days"),
        (
            json!({"rotation_policy": {"rotation_period_days": 7, "next_rotation_at": "2099-01-01T00:00:00Z"}}),
            "rotation_policy.next_rotation_at",
        ),
    ] {
        let (at, message) = team.refused(&gateway, more.clone()).await;
        assert_eq!(at, param, "{more}");
        assert!(message.contains("user_api_key_rotation_period"), "{message}");
    }
    let key = format!("/v1/api-keys/{}", text(&made, "id"));
    done(&gateway, "PUT", &key, json!({"rotation_policy": null})).await;
    let kept = done(&gateway, "GET", &key, Value::Null).await;
    assert_eq!(kept["rotation_policy"]["rotation_period_days"], 7, "{kept}");
    // The worker that follows policies follows this one.
    let soon =
        json!({"rotation_policy": {"rotation_period_days": 7, "next_rotation_at": "2026-01-01T00:00:00Z"}});
    done(&gateway, "PUT", &key, soon).await;
    let rotated = wait::until_async("the new secret", || async {
        let shown = done(&gateway, "GET", &key, Value::Null).await;
        (shown["has_new_secret"] == true).then_some(shown)
    })
    .await;
    assert_eq!(rotated["rotation_policy"]["rotation_period_days"], 7, "{rotated}");
    assert_eq!(days(&made, &rotated["rotation_policy"]["next_rotation_at"]), 6, "{rotated}");
}

#[tokio::test]
async fn requests_of_users_carry_who_they_are() {
    let World { gateway, mock: _mock, .. } = world().await;
    let team = team(&gateway, json!({})).await;
    let (_, key) = team.key(&gateway, json!({})).await;
    let user = |trace: &'static str, said: Option<&'static str>| {
        let (gateway, key) = (&gateway, &key);
        async move {
            let mut request = gateway.with_key(key).chat(&chat("@openai-prod/mock", "hello"));
            request = request.header("x-portkey-trace-id", trace);
            if let Some(said) = said {
                request = request.header("x-portkey-metadata", format!(r#"{{"_user": "{said}"}}"#));
            }
            request.send().await.expect(200).await;
            gateway.log_of(trace).await["metadata"]["_user"].clone()
        }
    };
    assert_eq!(user("none", None).await, Value::Null);
    let house =
        |settings: Value| done(&gateway, "PUT", "/v1/admin/organisation", json!({"settings": settings}));
    house(json!({"user_key_metadata": 1})).await;
    assert_eq!(
        (user("own", None).await, user("other", Some("bob")).await),
        (json!("ada@example.com"), json!("ada@example.com"))
    );
    house(json!({"user_key_metadata_override": 1})).await;
    assert_eq!(
        (user("own-2", None).await, user("other-2", Some("bob")).await),
        (json!("ada@example.com"), json!("bob"))
    );
    let at = format!("/v1/admin/workspaces/{}", team.home);
    done(&gateway, "PUT", &at, json!({"settings": {"user_key_metadata": 0}})).await;
    assert_eq!(user("off", None).await, Value::Null);
    // What the organisation asks of all requests.
    house(json!({"required_metadata": ["cost_center"]})).await;
    let refused =
        gateway.with_key(&key).chat(&chat("@openai-prod/mock", "hello")).send().await.expect(400).await;
    assert_eq!(refused["error"]["param"], "x-portkey-metadata", "{refused}");
}

#[tokio::test]
async fn users_keys_take_the_config_of_their_workspace() {
    let World { gateway, mock, .. } = world().await;
    let team = team(&gateway, json!({})).await;
    let config =
        json!({"name": "short", "config": {"override_params": {"max_tokens": 5}}, "workspace_id": team.home});
    let slug = text(&done(&gateway, "POST", "/v1/configs", config).await, "slug");
    let at = format!("/v1/admin/workspaces/{}", team.home);
    done(&gateway, "PUT", &at, json!({"defaults": {"user_api_key_config": slug}})).await;
    let (_, key) = team.key(&gateway, json!({})).await;
    gateway.with_key(&key).chat(&chat("@openai-prod/mock", "a user's")).send().await.expect(200).await;
    assert!(mock.request_with("a user's").body_text().contains(r#""max_tokens":5"#));
    let held = ask(&gateway.admin(), "DELETE", &format!("/v1/configs/{slug}"), Value::Null).await;
    assert_eq!((held.0, &held.1["errorCode"]), (409, &json!("AB07")), "{held:?}");
}
