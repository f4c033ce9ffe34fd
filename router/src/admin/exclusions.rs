//! `/workspace-exclusions`: workspaces that the organisation's guardrails leave alone.

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, Write};

use super::change::Change;
use super::ctx::{Ctx, flag, invalid, missing};
use super::field::{Field, Kind};
use super::route::{Route, route};
use crate::error::GatewayError;

const LISTED: &[Field] = &[Field::new("organisation_id", Kind::Any, "there is one organisation")];
const SET: &[Field] = &[
    Field::new("organisation_id", Kind::Any, "there is one organisation"),
    Field::new("workspaces", Kind::Objects, "workspace_id and excluded").required(),
    Field::new("override_existing", Kind::Flag, "forgets exclusions that are not listed"),
];
const INPUT: &str = "input_guardrails";
const OUTPUT: &str = "output_guardrails";

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/workspace-exclusions/input-guardrails" ["organisation_exclusions.list"] "List workspaces without the organisation's input guardrails", &[], LISTED => of_input),
    route!(PUT "/workspace-exclusions/input-guardrails" ["organisation_exclusions.update"] "Exempt workspaces from the organisation's input guardrails", SET, &[] => set_input),
    route!(GET "/workspace-exclusions/output-guardrails" ["organisation_exclusions.list"] "List workspaces without the organisation's output guardrails", &[], LISTED => of_output),
    route!(PUT "/workspace-exclusions/output-guardrails" ["organisation_exclusions.update"] "Exempt workspaces from the organisation's output guardrails", SET, &[] => set_output),
];

async fn of_input(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(listed(&ctx, INPUT))
}

async fn of_output(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(listed(&ctx, OUTPUT))
}

async fn set_input(ctx: Ctx) -> Result<Value, GatewayError> {
    set(&ctx, INPUT).await
}

async fn set_output(ctx: Ctx) -> Result<Value, GatewayError> {
    set(&ctx, OUTPUT).await
}

fn listed(ctx: &Ctx, side: &str) -> Value {
    let objects = &ctx.gateway().objects;
    let organisation = objects.organisation().map(|it| it.body.clone()).unwrap_or_default();
    let excluded = organisation["exclusions"][side].as_array().cloned().unwrap_or_default();
    let rows: Vec<Value> = objects
        .all(ObjectKind::Workspace)
        .iter()
        .map(|it| json!({"workspace_id": it.id, "slug": it.slug, "excluded": excluded.contains(&it.id.as_str().into())}))
        .collect();
    json!({"object": "list", "success": true, "total": rows.len(), "workspaces": rows, "data": rows})
}

async fn set(ctx: &Ctx, side: &str) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = ctx.gateway().objects.organisation().ok_or_else(|| missing("organisation", "default"))?;
    let mut body = before.body.clone();
    let mut excluded = match ctx.flag("override_existing") {
        Some(true) => Vec::new(),
        _ => body["exclusions"][side].as_array().cloned().unwrap_or_default(),
    };
    for (at, given) in ctx.body.get("workspaces").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let path = |name: &str| format!("workspaces[{at}].{name}");
        let name = given["workspace_id"].as_str().or_else(|| given["id"].as_str()).unwrap_or_default();
        let id = Value::from(
            ctx.known_workspace(name).map_err(|error| error.at(path("workspace_id")))?.id.clone(),
        );
        let is_excluded = match &given["excluded"] {
            Value::Null => true,
            value => flag(value).ok_or_else(|| invalid(&path("excluded"), "true or false is expected"))?,
        };
        excluded.retain(|known| *known != id);
        if is_excluded {
            excluded.push(id);
        }
    }
    if !body["exclusions"].is_object() {
        body["exclusions"] = json!({});
    }
    body["exclusions"][side] = Value::Array(excluded);
    let after = ctx.next_version(&before, body);
    let change = Change {
        resource: "organisation",
        id: &before.id,
        action: "update",
        workspace: None,
        before: json!({"exclusions": before.body["exclusions"]}),
        after: json!({"exclusions": after.body["exclusions"]}),
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(after))]).await?;
    Ok(json!({}))
}
