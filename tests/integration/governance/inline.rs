//! `block_inline_config`: what requests may not bring along themselves, and what goes on working.

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Mock};

use super::orders::{done, service_key, text};
use crate::support::{World, chat, providers, world};

/// Asks with these headers and returns the status, the code and the member at fault.
async fn asked(gateway: &Gateway, key: &str, headers: &[(&str, &str)]) -> (u16, Value, Value) {
    let mut request = gateway.with_key(key).chat(&chat("@openai-prod/mock", "hello"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut answer = request.send().await;
    let body = answer.json().await;
    (answer.status, body["error"]["code"].clone(), body["error"]["param"].clone())
}

fn blocked(what: &str, header: &str) -> (u16, Value, Value) {
    (400, json!(format!("inline_{what}_blocked")), json!(header))
}

const INLINE: (&str, &str) = ("x-portkey-config", r#"{"retry": {"attempts": 1}}"#);

#[tokio::test]
async fn nothing_inline_is_taken_and_saved_things_work_on() {
    let World { gateway, mock, .. } = world().await;
    let (_, key) =
        service_key(&gateway, "ws-default", &["completions.write"], json!({"header_credentials": true}))
            .await;
    let config = json!({"name": "kept", "config": {"retry": {"attempts": 1}}, "workspace_id": "ws-default"});
    let saved = text(&done(&gateway, "POST", "/v1/configs", config).await, "slug");
    let host = mock.url("/v1");
    let guest = [("x-portkey-provider", "openai"), ("authorization", "Bearer sk-own")];
    let elsewhere = [("x-portkey-custom-host", host.as_str())];
    let mine = [("x-portkey-api-key", key.as_str())];
    let guest = [mine.as_slice(), guest.as_slice()].concat();
    let by_slug = [("x-portkey-provider", "@openai-prod")];
    for (how, headers) in [("inline", vec![INLINE]), ("saved", vec![("x-portkey-config", saved.as_str())])] {
        assert_eq!(asked(&gateway, &key, &headers).await.0, 200, "{how}, while it is off");
    }
    let put = |word: Value| {
        let order = json!({"security_settings": {"block_inline_config": word}});
        done(&gateway, "PUT", "/v1/admin/organisation", order)
    };
    put(json!(true)).await;
    assert_eq!(asked(&gateway, &key, &[INLINE]).await, blocked("config", "x-portkey-config"));
    let list = ("x-portkey-config", r#" [{"provider": "openai"}]"#);
    assert_eq!(asked(&gateway, &key, &[list]).await, blocked("config", "x-portkey-config"));
    assert_eq!(asked(&gateway, &key, &elsewhere).await, blocked("custom_host", "x-portkey-custom-host"));
    assert_eq!(asked(&gateway, &key, &[("x-portkey-config", saved.as_str())]).await.0, 200);
    assert_eq!((asked(&gateway, &key, &[]).await.0, asked(&gateway, &key, &by_slug).await.0), (200, 200));
    // A vendor by its bare name, with a key of the client's own.
    let body = chat("mock", "hello");
    let mut request = gateway.client().chat(&body);
    for (name, value) in &guest {
        request = request.header(name, value);
    }
    let mut answer = request.send().await;
    let told = answer.json().await;
    assert_eq!((answer.status, &told["error"]["code"]), (400, &json!("inline_provider_blocked")), "{told}");
    assert_eq!(
        (&told["status"], &told["error"]["type"]),
        (&json!("failure"), &json!("invalid_request_error"))
    );

    let own = json!({"security_settings": {"block_inline_config": false}});
    done(&gateway, "PUT", "/v1/admin/workspaces/ws-default", own).await;
    assert_eq!(asked(&gateway, &key, &[INLINE]).await.0, 200, "the workspace says otherwise");
    let own = json!({"security_settings": {"block_inline_config": null}});
    done(&gateway, "PUT", "/v1/admin/workspaces/ws-default", own).await;
    assert_eq!(asked(&gateway, &key, &[INLINE]).await.0, 400);
    put(Value::Null).await;
    assert_eq!(asked(&gateway, &key, &[INLINE]).await.0, 200);
}

#[tokio::test]
async fn the_settings_file_forces_it_and_spares_a_keys_own_config() {
    let mock = Mock::start();
    let own = r#"{"retry": {"attempts": 2}}"#;
    let settings = providers(&mock)
        .toml("[security]\nblock_inline_config = true\n")
        .key("plain", "tg-plain-key-of-the-tests-0123", "")
        .key("own", "tg-own-key-of-the-tests-012345", &format!("config = '{own}'"));
    let gateway = Gateway::start(settings).await;
    let allowed = json!({"security_settings": {"block_inline_config": false}});
    done(&gateway, "PUT", "/v1/admin/workspaces/ws-default", allowed).await;
    let plain = asked(&gateway, "tg-plain-key-of-the-tests-0123", &[INLINE]).await;
    assert_eq!(plain, blocked("config", "x-portkey-config"));
    for headers in [vec![], vec![("x-portkey-config", own)]] {
        assert_eq!(asked(&gateway, "tg-own-key-of-the-tests-012345", &headers).await.0, 200);
    }
}
