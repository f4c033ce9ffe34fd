//! `tidegate admin`: everything of a running gateway's Admin API, by the names of its objects.

use std::io::Read as _;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};

use super::running::{Running, segment};
use super::{Context, Failure, pair, show};

/// Rows of a page.
const PAGE: usize = 1_000;

#[derive(Args, Debug)]
pub(super) struct Admin {
    /// Which kind of object.
    kind: Kind,
    /// What to do.
    #[arg(default_value = "list")]
    verb: Verb,
    /// Its id or slug; for `create key`: workspace-service, workspace-user or organisation-service.
    name: Option<String>,
    /// A member of the body, like `name=support` or `usage_limits={"credit_limit":5}`; values that are JSON are taken as
    /// JSON, and `NAME=null` clears.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// The whole body: JSON text, a file with `@FILE`, or `-` for standard input.
    #[arg(long)]
    data: Option<String>,
    /// A parameter of the query, like `workspace_id=ws-sales-0f3a9c`.
    #[arg(long = "query", value_name = "NAME=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    #[command(flatten)]
    gateway: Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Organisation,
    Defaults,
    Workspace,
    /// Needs `--query workspace=ID`.
    Member,
    User,
    Invite,
    Key,
    Integration,
    Provider,
    Config,
    Guardrail,
    UsagePolicy,
    RatePolicy,
    Secret,
    Audit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verb {
    List,
    Show,
    Create,
    Update,
    Delete,
    Versions,
    /// Of keys: a new secret; the old one works for a while.
    Rotate,
    /// Of usage policies: what its buckets have used.
    Entities,
    /// Of integrations.
    Models,
    /// Of integrations: which workspaces may use it.
    Workspaces,
}

impl Kind {
    fn path(self, query: &[(String, String)]) -> Result<String, Failure> {
        Ok(match self {
            Self::Organisation => "/v1/admin/organisation".to_owned(),
            Self::Defaults => "/v1/admin/organisation/defaults".to_owned(),
            Self::Workspace => "/v1/admin/workspaces".to_owned(),
            Self::Member => {
                let workspace = query.iter().find(|(name, _)| name == "workspace");
                let (_, id) = workspace.ok_or("members are of a workspace: --query workspace=ID")?;
                format!("/v1/admin/workspaces/{}/users", segment(id))
            }
            Self::User => "/v1/admin/users".to_owned(),
            Self::Invite => "/v1/admin/users/invites".to_owned(),
            Self::Key => "/v1/api-keys".to_owned(),
            Self::Integration => "/v1/integrations".to_owned(),
            Self::Provider => "/v1/providers".to_owned(),
            Self::Config => "/v1/configs".to_owned(),
            Self::Guardrail => "/v1/guardrails".to_owned(),
            Self::UsagePolicy => "/v1/policies/usage-limits".to_owned(),
            Self::RatePolicy => "/v1/policies/rate-limits".to_owned(),
            Self::Secret => "/v1/secret-references".to_owned(),
            Self::Audit => "/v1/audit-logs".to_owned(),
        })
    }

    /// There is one of these, without an id.
    fn is_single(self) -> bool {
        matches!(self, Self::Organisation | Self::Defaults)
    }
}

/// What the gateway is to be asked.
pub(super) struct Order {
    method: Method,
    path: String,
    is_list: bool,
}

impl Admin {
    /// Reads the arguments together.
    ///
    /// # Errors
    /// What is missing among them.
    pub(super) fn order(&self) -> Result<Order, Failure> {
        order(self)
    }
}

fn order(admin: &Admin) -> Result<Order, Failure> {
    let query = &admin.query;
    let base = admin.kind.path(query)?;
    let named = || {
        let name = admin.name.as_deref().ok_or("an id or slug is needed")?;
        Ok::<_, Failure>(format!("{base}/{}", segment(name)))
    };
    let (method, path) = match admin.verb {
        Verb::List | Verb::Show if admin.kind.is_single() => (Method::GET, base),
        Verb::Update if admin.kind.is_single() => (Method::PUT, base),
        Verb::List => (Method::GET, base),
        Verb::Show => (Method::GET, named()?),
        Verb::Create if admin.kind == Kind::Key => {
            let kind = admin.name.as_deref().unwrap_or("workspace-service");
            let (level, sub) = kind
                .split_once('-')
                .ok_or("workspace-service, workspace-user or organisation-service is expected")?;
            (Method::POST, format!("{base}/{}/{}", segment(level), segment(sub)))
        }
        Verb::Create => (Method::POST, base),
        Verb::Update => (Method::PUT, named()?),
        Verb::Delete => (Method::DELETE, named()?),
        Verb::Versions => (Method::GET, format!("{}/versions", named()?)),
        Verb::Rotate => (Method::POST, format!("{}/rotate", named()?)),
        Verb::Entities => (Method::GET, format!("{}/entities", named()?)),
        Verb::Models | Verb::Workspaces => {
            let what = if admin.verb == Verb::Models { "models" } else { "workspaces" };
            let changes = admin.data.is_some() || !admin.set.is_empty();
            (if changes { Method::PUT } else { Method::GET }, format!("{}/{what}", named()?))
        }
    };
    let is_list = method == Method::GET
        && !admin.kind.is_single()
        && matches!(admin.verb, Verb::List | Verb::Versions | Verb::Entities);
    let mut pairs: Vec<String> = query
        .iter()
        .filter(|(name, _)| name != "workspace")
        .map(|(name, value)| format!("{}={}", segment(name), segment(value)))
        .collect();
    if is_list && !query.iter().any(|(name, _)| name == "page_size") {
        pairs.push(format!("page_size={PAGE}"));
    }
    let path = if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) };
    Ok(Order { method, path, is_list })
}

pub(super) fn run(context: &Context, admin: &Admin, order: Order) -> Result<(), Failure> {
    let Order { method, path, is_list } = order;
    let body = body(admin)?;
    let body = if method == Method::GET { Bytes::new() } else { Bytes::from(body.to_string()) };
    let answer = admin.gateway.ask(context, method, &path, body)?;
    if context.json || !is_list {
        return show::json(&answer);
    }
    print(&answer);
    Ok(())
}

fn body(admin: &Admin) -> Result<Value, Failure> {
    let text = match admin.data.as_deref() {
        None => "{}".to_owned(),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
            text
        }
        Some(data) => match data.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?,
            None => data.to_owned(),
        },
    };
    let mut members: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("--data: a JSON object is expected: {error}"))?;
    for (name, value) in &admin.set {
        members.insert(name.clone(), serde_json::from_str(value).unwrap_or(json!(value)));
    }
    Ok(Value::Object(members))
}

/// Prints a list as a table of what most objects have.
fn print(answer: &Value) {
    let rows = ["data", "records", "workspaces", "models"].iter().find_map(|name| answer[*name].as_array());
    let rows = rows.map(Vec::as_slice).unwrap_or_default();
    let all = [
        "name",
        "email",
        "slug",
        "id",
        "type",
        "role",
        "status",
        "timestamp",
        "action",
        "resource_type",
        "value_key",
        "current_usage",
    ];
    let heads: Vec<&str> =
        all.into_iter().filter(|name| rows.iter().any(|row| !row[*name].is_null())).collect();
    let cell = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
    };
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| heads.iter().map(|name| cell(&row[*name])).collect()).collect();
    let upper: Vec<String> = heads.iter().map(|head| head.replace('_', " ").to_uppercase()).collect();
    show::table(&upper.iter().map(String::as_str).collect::<Vec<_>>(), &cells);
}
