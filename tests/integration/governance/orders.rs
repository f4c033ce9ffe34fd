//! Orders to the Admin API, and the objects that most tests begin with.

use serde_json::{Value, json};
use tidegate_tests::{Client, Gateway};

use crate::support::chat;

/// Sends an order and returns status and body.
pub(super) async fn ask(client: &Client, method: &str, target: &str, body: Value) -> (u16, Value) {
    let request = client.request(method, target);
    let request = match body {
        Value::Null => request,
        body => request.header("content-type", "application/json").body(body.to_string()),
    };
    let mut answer = request.send().await;
    let body = answer.json().await;
    (answer.status, body)
}

/// Sends an order of the admin key that is obeyed.
pub(super) async fn done(gateway: &Gateway, method: &str, target: &str, body: Value) -> Value {
    let (status, answer) = ask(&gateway.admin(), method, target, body).await;
    assert_eq!(status, 200, "{method} {target}: {answer}");
    answer
}

/// Sends an order that is refused; returns status, Portkey's code, and the message.
pub(super) async fn refused(
    client: &Client,
    method: &str,
    target: &str,
    body: Value,
) -> (u16, String, String) {
    let (status, answer) = ask(client, method, target, body).await;
    assert!(status >= 400, "{method} {target} was obeyed: {answer}");
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text in {answer}")).to_owned();
    assert_eq!(answer["errorCode"], answer["error"]["code"], "{answer}");
    (status, text(&answer["errorCode"]), text(&answer["message"]))
}

/// A text of an answer.
pub(super) fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}

/// Makes a workspace and returns its id.
pub(super) async fn workspace(gateway: &Gateway, name: &str) -> String {
    text(&done(gateway, "POST", "/v1/admin/workspaces", json!({"name": name})).await, "id")
}

/// Makes a service key of a workspace and returns its id and its secret.
pub(super) async fn service_key(
    gateway: &Gateway,
    workspace: &str,
    scopes: &[&str],
    more: Value,
) -> (String, String) {
    let mut order = json!({"name": "service", "workspace_id": workspace, "scopes": scopes});
    for (name, value) in more.as_object().into_iter().flatten() {
        order[name] = value.clone();
    }
    let made = done(gateway, "POST", "/v1/api-keys/workspace/service", order).await;
    (text(&made, "id"), text(&made, "key"))
}

/// Asks a model and returns the status.
pub(super) async fn asks(gateway: &Gateway, key: &str) -> u16 {
    answer(gateway, key).await.0
}

/// Asks a model and returns the status and the body.
pub(super) async fn answer(gateway: &Gateway, key: &str) -> (u16, Value) {
    let mut answer = gateway.with_key(key).chat(&chat("@openai-prod/mock", "hello")).send().await;
    let body = answer.json().await;
    (answer.status, body)
}

/// Invites somebody and returns the invitation's id and the path of its link.
pub(super) async fn invited(gateway: &Gateway, order: Value) -> (String, String) {
    let made = done(gateway, "POST", "/v1/admin/users/invites", order).await;
    (text(&made, "id"), path_of(&text(&made, "invite_link")))
}

/// The path of a link.
pub(super) fn path_of(link: &str) -> String {
    let at = link.find("/v1/").unwrap_or_else(|| panic!("no path in {link}"));
    link[at..].to_owned()
}

/// Makes a person by invitation and returns what they are told.
pub(super) async fn person(gateway: &Gateway, email: &str, role: &str, workspaces: Value) -> Value {
    let (_, link) = invited(gateway, json!({"email": email, "role": role, "workspaces": workspaces})).await;
    let order = json!({"first_name": "Ada", "last_name": "Byron"});
    gateway.client().post(&format!("{link}/accept"), &order).send().await.expect(200).await
}

/// Changes the store of a gateway that is down, as time would.
pub(super) fn meanwhile(gateway: &Gateway, sql: &str) {
    let folder = gateway.settings_path().parent().expect("a folder").join("data");
    let store = rusqlite::Connection::open(folder.join("tidegate.db")).expect("the store");
    let changed = store.execute(sql, []).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(changed > 0, "nothing changed by {sql}");
}
