//! Secret references: environment, files and Vault, read at use and kept by nobody.

use serde_json::{Value, json};

use super::bench::Bench;

const OPEN: &str = "secret_dir = \"SECRETS\"";

#[tokio::test]
async fn the_node_is_closed_to_references_until_the_operator_opens_it() {
    let bench = Bench::start("").await;
    for (manager, path, param) in [
        ("env", "HOME", "manager_type"),
        ("file", "passwd", "manager_type"),
        ("aws_sm", "x", "manager_type"),
        ("azure_kv", "x", "manager_type"),
    ] {
        let order = json!({"name": "a", "manager_type": manager, "secret_path": path, "auth_config": {}});
        let (status, answer) = bench.ask("POST", "/secret-references", &order).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{answer}");
    }
}

#[tokio::test]
async fn a_key_in_a_file_is_used_and_kept_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = "sk-of-a-file-0123456789";
    std::fs::write(folder.path().join("openai"), secret).expect("a secret");
    let bench = Bench::start(&OPEN.replace("SECRETS", &folder.path().display().to_string())).await;
    let order = json!({"name": "In a file", "slug": "file", "manager_type": "file", "secret_path": "openai"});
    bench.done("POST", "/secret-references", &order).await;
    let (status, answer) =
        bench.ask("PUT", "/secret-references/file", &json!({"secret_path": "../openai"})).await;
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("secret_path")), "{answer}");
    let order = json!({"name": "one", "ai_provider_id": "openai", "configurations": {"custom_host": bench.mock.url("/v1")},
        "secret_mappings": [{"target_field": "key", "secret_reference_id": "file"}]});
    bench.done("POST", "/integrations", &order).await;
    let (status, answer) = bench.chat("@one/mock").await;
    assert_eq!(status, 200, "{answer}");
    let seen = bench.mock.requests().pop().expect("a request");
    assert_eq!(seen.header("authorization"), Some("Bearer sk-of-a-file-0123456789"));
    bench.nowhere(secret);
    let (status, answer) = bench.ask("DELETE", "/secret-references/file", &Value::Null).await;
    assert_eq!(status, 400, "in use: {answer}");
    // A file that is gone leaves the last good value.
    std::fs::remove_file(folder.path().join("openai")).expect("removed");
    bench.done("PUT", "/secret-references/file", &json!({"description": "gone"})).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    bench.done("DELETE", "/integrations/one", &Value::Null).await;
    bench.done("DELETE", "/secret-references/file", &Value::Null).await;
}

/// Serves one secret as Vault's KV engine of version 2 does, to whoever has the token.
fn vault(token: &'static str, secret: &'static str) -> std::net::SocketAddr {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut head = String::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                head.push_str(&line.to_ascii_lowercase());
            }
            let fits = head.starts_with("get /v1/kv/data/vendors/openai ")
                && head.contains(&format!("x-vault-token: {token}"));
            let body =
                json!({"data": {"data": {"api_key": secret, "note": "x"}, "metadata": {"version": 1}}})
                    .to_string();
            let (status, body) = if fits { ("200 OK", body) } else { ("403 Forbidden", "{}".to_owned()) };
            let mut stream = stream;
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    addr
}

#[tokio::test]
async fn a_key_in_vault_is_read_with_the_token_that_nobody_is_shown() {
    let (token, secret) = ("hvs.token-of-the-tests-0123456789", "sk-of-vault-0123456789");
    let addr = vault(token, secret);
    let bench = Bench::start("").await;
    let order = json!({"name": "Vault", "slug": "vault", "manager_type": "hashicorp_vault", "secret_path": "kv/vendors/openai",
        "secret_key": "api_key", "auth_config": {"vault_addr": format!("http://{addr}"), "vault_token": token}});
    bench.done("POST", "/secret-references", &order).await;
    let one = bench.done("GET", "/secret-references/vault", &Value::Null).await;
    assert_eq!(one["auth_config"]["masked_vault_token"], "hvs.t*****789", "{one}");
    assert!(!one.to_string().contains(token), "{one}");
    let order = json!({"name": "one", "provider": "openai", "configurations": {"custom_host": bench.mock.url("/v1")},
        "secret_mappings": [{"target_field": "key", "secret_reference_id": "vault", "value_format": "string"}]});
    bench.done("POST", "/virtual-keys", &order).await;
    let (status, answer) = bench.chat("@one/mock").await;
    assert_eq!(status, 200, "{answer}");
    let seen = bench.mock.requests().pop().expect("a request");
    assert_eq!(seen.header("authorization"), Some("Bearer sk-of-vault-0123456789"));
    // Merged: the address changes nothing about the token.
    bench.done("PUT", "/secret-references/vault", &json!({"auth_config": {"vault_namespace": "team"}})).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    bench.nowhere(secret);
    bench.nowhere(token);
}
