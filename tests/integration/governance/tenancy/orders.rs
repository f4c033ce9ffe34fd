//! Orders to the Admin API, made from its OpenAPI document: right but for one place.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tidegate_tests::Client;

use super::super::bench::{Bench, VENDOR_KEY};
use super::home::Home;
use super::rules::{Form, Place, of};

/// One route of the document.
pub(super) struct Route {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) scopes: Vec<String>,
    /// Every place of it, with what may stand there.
    pub(super) places: Vec<(Place, String, Vec<Form>)>,
    /// A body that is right; null where there is none.
    body: Value,
}

/// Reads the routes of the document. Returns them with the places that nobody says anything of.
pub(super) fn routes(document: &Value) -> (Vec<Route>, Vec<String>) {
    let (mut routes, mut unknown) = (Vec::new(), Vec::new());
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let method = method.to_uppercase();
            let mut named: Vec<(Place, &str)> = Vec::new();
            for parameter in operation["parameters"].as_array().expect("parameters") {
                let place = if parameter["in"] == "path" { Place::Path } else { Place::Query };
                named.push((place, parameter["name"].as_str().expect("a name")));
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let members = schema["properties"].as_object().into_iter().flatten();
            named.extend(members.map(|(name, _)| (Place::Body, name.as_str())));
            let mut places = Vec::new();
            for (place, name) in named {
                match of(path, place, name) {
                    Some(forms) => places.push((place, name.to_owned(), forms)),
                    None => unknown.push(format!("{method} {path}: {name} ({place:?})")),
                }
            }
            let scopes = operation["x-scopes"].as_array().expect("scopes");
            let scopes = scopes.iter().map(|scope| scope.as_str().expect("a scope").to_owned());
            let body = body(&method, path, schema);
            routes.push(Route { method, path: path.clone(), scopes: scopes.collect(), places, body });
        }
    }
    (routes, unknown)
}

/// Makes a body with what must be there.
fn body(method: &str, path: &str, schema: &Value) -> Value {
    let mut members = Map::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        members.insert(name.to_owned(), sample(path, name, &schema["properties"][name]));
    }
    let more = match (method, path) {
        ("POST", "/v1/configs") => json!({"config": {"provider": "@home-main"}}),
        ("POST", "/v1/integrations" | "/v1/virtual-keys") => json!({"key": VENDOR_KEY}),
        ("POST", "/v1/configs/{slug}/activate") => json!({"version": 1}),
        ("DELETE", "/v1/integrations/{slug}/models") => json!({"models": ["home-model"]}),
        _ => json!({}),
    };
    members.extend(more.as_object().expect("members").clone());
    if members.is_empty() && schema.is_null() { Value::Null } else { Value::Object(members) }
}

fn sample(path: &str, name: &str, schema: &Value) -> Value {
    match name {
        "scopes" => json!(["completions.write"]),
        "checks" => json!([{"id": "default.notNull"}]),
        "actions" => json!({}),
        "conditions" | "group_by" | "models" => json!([]),
        "credit_limit" | "value" => json!(100_000),
        "integration_id" => "home-own".into(),
        "ai_provider_id" | "provider" => "openai".into(),
        "email" => "somebody@example.com".into(),
        "users" => json!([{"id": "", "role": "member"}]),
        "role" if path.ends_with("/{user}") => "manager".into(),
        "manager_type" => "env".into(),
        _ => match schema["enum"].as_array() {
            Some(words) => words[0].clone(),
            None => "attack".into(),
        },
    }
}

/// What is sent.
pub(super) struct Order {
    method: String,
    pub(super) target: String,
    pub(super) body: Value,
}

impl Route {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Makes an order that is right, of objects of its own.
    pub(super) async fn order(&self, bench: &Bench, home: &Home) -> Order {
        self.order_to(&self.path, bench, home).await
    }

    async fn order_to(&self, path: &str, bench: &Bench, home: &Home) -> Order {
        let mut body = self.body.clone();
        if body["users"].is_array() {
            body["users"][0]["id"] = home.nobodys[0].as_str().into();
        }
        Order { method: self.method.clone(), target: home.path(bench, path).await, body }
    }

    /// Makes an order that is right but for what stands in one place.
    pub(super) async fn order_with(
        &self,
        bench: &Bench,
        home: &Home,
        (place, member): (Place, &str),
        value: &Value,
    ) -> Order {
        let escaped = || {
            let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
            utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
        };
        match place {
            Place::Path => {
                let path = self.path.replacen(&format!("{{{member}}}"), &escaped(), 1);
                self.order_to(&path, bench, home).await
            }
            Place::Query => {
                let mut order = self.order(bench, home).await;
                order.target = format!("{}?{member}={}", order.target, escaped());
                order
            }
            Place::Body => {
                // Keys of services have no user.
                let sub_type = if member == "user_id" { "user" } else { "service" };
                let path = self.path.replace("{sub_type}", sub_type);
                let mut order = self.order_to(&path, bench, home).await;
                if member == "version_id"
                    && let Some(members) = order.body.as_object_mut()
                {
                    // The other name of the same thing, which would be read first.
                    members.remove("version");
                }
                order.body[member] = value.clone();
                order
            }
        }
    }
}

impl Order {
    /// Sends it and returns the status and the body's text.
    pub(super) async fn send(&self, client: &Client) -> (u16, String) {
        let mut request = client.request(&self.method, &self.target);
        if !self.body.is_null() {
            request = request.header("content-type", "application/json").body(self.body.to_string());
        }
        let mut answer = request.send().await;
        (answer.status, answer.text().await)
    }
}

/// What of an answer to an order must be the same whoever is named: all but the name itself, the objects that the order
/// is about, and what is new each time.
pub(super) fn told(text: &str, target: &str, name: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    // Ids and slugs have dashes. So have some words of routes: whoever is named, those stay the same.
    let own = path.split('/').filter(|part| part.len() > 5 && part.contains('-'));
    let text = own.fold(text.replace(name, "(named)"), |text, own| text.replace(own, "(own)"));
    const NEW: [&str; 12] = [
        "id",
        "slug",
        "version_id",
        "key",
        "created_at",
        "last_updated_at",
        "request_id",
        "integration_id",
        "integration_slug",
        "trace_id",
        "inviteLink",
        "invite_link",
    ];
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    if NEW.contains(&key.as_str()) && member.is_string() {
                        *member = "(new)".into();
                    } else {
                        walk(member);
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(walk),
            _ => {}
        }
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(mut value) => {
            walk(&mut value);
            value.to_string()
        }
        Err(_) => text,
    }
}
