//! `/policies/usage-limits` and `/policies/rate-limits`.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Write};

use super::change::Change;
use super::ctx::{Ctx, invalid, missing};
use super::field::{Field, Kind};
use super::reply::moment;
use super::route::{Route, route};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::policy::Scope;
use crate::governance::{rate_policy, terms, usage_policy};

const STATUS: Field = Field::new("status", Kind::Word(&["active", "archived"]), "whether it counts");
const WORKSPACE: Field =
    Field::new("workspace_id", Kind::Text(255), "id or slug of the workspace that it is for");
const NAME: Field = Field::new("name", Kind::Text(255), "name for people");
const CONDITIONS: Field =
    Field::new("conditions", Kind::Objects, "what must hold: key, value (a text, a list, or *), excludes");

const STORE_LOSS: Field = Field::new(
    "on_store_loss",
    Kind::Word(&["closed", "open"]),
    "what holds while the nodes' shared Redis does not answer; closed without",
);

const NEW_USAGE: &[Field] = &[
    NAME,
    STORE_LOSS,
    WORKSPACE,
    CONDITIONS.required(),
    Field::new("description", Kind::Text(500), "more words"),
    Field::new("organisation_id", Kind::Any, "there is one organisation"),
    Field::new("group_by", Kind::Objects, "what each bucket is of: key").required(),
    Field::new("type", Kind::Word(&["cost", "tokens", "requests"]), "what is counted").required(),
    Field::new("credit_limit", Kind::Number, "US dollars, tokens or requests").required(),
    Field::new("alert_threshold", Kind::Number, "somebody is told from here on"),
    Field::new("periodic_reset", Kind::Word(&["daily", "weekly", "monthly"]), "when buckets start again"),
    Field::new("periodic_reset_days", Kind::Whole, "every so many days, 1 to 365, in its place"),
    Field::new("next_usage_reset_at", Kind::Text(64), "a moment at which they start again once more"),
];

const USAGE: &[Field] = &[
    NAME,
    STORE_LOSS,
    STATUS,
    CONDITIONS,
    Field::new("description", Kind::Text(500), "more words"),
    Field::new("credit_limit", Kind::Number, "US dollars, tokens or requests"),
    Field::new("alert_threshold", Kind::Number, "somebody is told from here on"),
    Field::new("periodic_reset", Kind::Word(&["daily", "weekly", "monthly"]), "when buckets start again"),
    Field::new("periodic_reset_days", Kind::Whole, "every so many days, in its place"),
    Field::new("next_usage_reset_at", Kind::Text(64), "a moment at which they start again once more"),
    Field::new("reset_usage_for_value", Kind::Text(1_024), "value key of the bucket to set to zero"),
];

const NEW_RATE: &[Field] = &[
    NAME,
    STORE_LOSS,
    WORKSPACE,
    CONDITIONS.required(),
    Field::new("description", Kind::Text(500), "more words"),
    Field::new("organisation_id", Kind::Any, "there is one organisation"),
    Field::new(
        "target",
        Kind::Word(&["llm"]),
        "what is limited; calls of MCP tools do not pass this gateway",
    ),
    Field::new("group_by", Kind::Objects, "what each bucket is of: key").required(),
    Field::new("type", Kind::Word(&["requests", "tokens"]), "what is counted").required(),
    Field::new("unit", Kind::Word(&["rps", "rpm", "rph", "rpd", "rpw"]), "in what time").required(),
    Field::new("value", Kind::Whole, "how many").required(),
];

const RATE: &[Field] = &[
    NAME,
    STORE_LOSS,
    STATUS,
    CONDITIONS,
    Field::new("description", Kind::Text(500), "more words"),
    Field::new("unit", Kind::Word(&["rps", "rpm", "rph", "rpd", "rpw"]), "in what time"),
    Field::new("value", Kind::Whole, "how many"),
];

const LISTED: &[Field] =
    &[WORKSPACE, STATUS, Field::new("type", Kind::Word(&["cost", "tokens", "requests"]), "only such")];
const WITH_USAGE: &[Field] = &[Field::new("include_usage", Kind::Flag, "adds what each bucket has used")];
const ENTITIES: &[Field] = &[
    Field::new("status", Kind::Word(&["active", "exhausted"]), "only such buckets"),
    Field::new("search", Kind::Text(255), "only buckets whose name contains this"),
];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/policies/usage-limits" ["policies.list"] "List usage limit policies", &[], LISTED => list_usage),
    route!(POST "/policies/usage-limits" ["policies.create"] "Make a usage limit policy", NEW_USAGE, &[] => create_usage),
    route!(GET "/policies/usage-limits/{id}" ["policies.read"] "Show a usage limit policy", &[], WITH_USAGE => one_usage),
    route!(PUT "/policies/usage-limits/{id}" ["policies.update"] "Change a usage limit policy", USAGE, &[] => change_usage),
    route!(DELETE "/policies/usage-limits/{id}" ["policies.delete"] "Archive a usage limit policy", &[], &[] => archive_usage),
    route!(GET "/policies/usage-limits/{id}/entities" ["policies.read"] "List a policy's buckets", &[], ENTITIES => entities),
    route!(PUT "/policies/usage-limits/{id}/entities/{entity}/reset" ["policies.update"] "Set a bucket to zero", &[], &[] => reset),
    route!(GET "/policies/rate-limits" ["policies.list"] "List rate limit policies", &[], LISTED => list_rate),
    route!(POST "/policies/rate-limits" ["policies.create"] "Make a rate limit policy", NEW_RATE, &[] => create_rate),
    route!(GET "/policies/rate-limits/{id}" ["policies.read"] "Show a rate limit policy", &[], &[] => one_rate),
    route!(PUT "/policies/rate-limits/{id}" ["policies.update"] "Change a rate limit policy", RATE, &[] => change_rate),
    route!(DELETE "/policies/rate-limits/{id}" ["policies.delete"] "Archive a rate limit policy", &[], &[] => archive_rate),
];

const KEPT: [&str; 15] = [
    "name",
    "on_store_loss",
    "description",
    "conditions",
    "group_by",
    "type",
    "credit_limit",
    "alert_threshold",
    "periodic_reset",
    "periodic_reset_days",
    "next_usage_reset_at",
    "unit",
    "value",
    "target",
    "status",
];

/// What every policy shows.
fn row(ctx: &Ctx, object: &ObjectRecord) -> Value {
    let mut row = json!({
        "id": object.id,
        "object": "policy",
        "workspace_id": object.workspace,
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "created_at": moment(object.created_at_ms),
        "last_updated_at": moment(object.updated_at_ms),
        "created_by": object.created_by,
        "status": "active",
    });
    for name in KEPT {
        if let Some(value) = object.body.get(name) {
            row[name] = value.clone();
        }
    }
    row
}

/// Returns whether the caller may see a policy: a workspace its own, and those of everyone that name nobody else's.
fn sees(ctx: &Ctx, object: &ObjectRecord) -> bool {
    match (&ctx.who.workspace, &object.workspace) {
        (Some(own), None) => Scope::read(&object.body, None).is_ok_and(|scope| !scope.tells_of_others(own)),
        _ => ctx.sees(object.workspace.as_deref()),
    }
}

/// Finds the policy of a path.
///
/// # Errors
/// 404 for one that is not there or that the caller may not know of.
fn found(ctx: &Ctx, kind: ObjectKind) -> Result<Arc<ObjectRecord>, GatewayError> {
    let name = ctx.path("id");
    let found = ctx.object(kind, name)?;
    if sees(ctx, &found) { Ok(found) } else { Err(missing(&kind.name().replace('_', " "), name)) }
}

/// Finds the usage policy of a path, whose buckets the caller may see: those of everyone's tell who else is counted.
///
/// # Errors
/// 404, 403 for workspaces that ask for the organisation's.
fn counted(ctx: &Ctx) -> Result<Arc<ObjectRecord>, GatewayError> {
    let object = found(ctx, ObjectKind::UsagePolicy)?;
    if object.workspace.is_none() && !ctx.who.is_org() {
        let message = "this policy is the organisation's; a key of the organisation may see what it counted";
        return Err(GatewayError::new(ErrorKind::Scope, message));
    }
    Ok(object)
}

fn listed(ctx: &Ctx, kind: ObjectKind) -> Result<Value, GatewayError> {
    let (workspace, status, unit) = (ctx.workspace_asked()?, ctx.asked("status"), ctx.asked("type"));
    let all = ctx.gateway().objects.all(kind);
    let fits = |it: &ObjectRecord| {
        // Of a workspace: its own and those of everyone, which hold for it, too.
        workspace.as_ref().is_none_or(|of| it.workspace.as_ref().is_none_or(|own| own == of))
            && sees(ctx, it)
            && status.is_none_or(|status| it.body["status"].as_str().unwrap_or("active") == status)
            && unit.is_none_or(|unit| it.body["type"] == unit)
    };
    ctx.list(all.iter().filter(|it| fits(it)).map(|it| row(ctx, it)).collect())
}

fn vetted(object: &ObjectRecord) -> Result<(), GatewayError> {
    match object.kind {
        ObjectKind::UsagePolicy => {
            let read = usage_policy(object)?;
            // Portkey's least limits: smaller ones are a slip more often than a wish.
            if read.budget.limit <= 0 {
                return Err(invalid("credit_limit", "more than 0 is expected"));
            }
        }
        _ => {
            rate_policy(object)?;
        }
    }
    Ok(())
}

async fn created(ctx: &Ctx, kind: ObjectKind) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = ctx.workspace_asked()?;
    let mut body = ctx.merged(&json!({}), &KEPT);
    body["status"] = "active".into();
    if kind == ObjectKind::RatePolicy {
        body["target"] = "llm".into();
    }
    let mut object = ctx.new_object(kind, workspace.clone(), String::new(), body);
    object.slug.clone_from(&object.id);
    if object.body["name"].is_null() {
        object.body["name"] = object.id.clone().into();
    }
    vetted(&object)?;
    let id = object.id.clone();
    let change = Change {
        resource: "policy",
        id: &id,
        action: "create",
        workspace: workspace.as_deref(),
        before: Value::Null,
        after: row(ctx, &object),
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(object))]).await?;
    Ok(json!({"id": id, "object": "policy", "success": true, "data": {"id": id}}))
}

async fn changed(ctx: &Ctx, kind: ObjectKind, members: &[&str], action: &str) -> Result<(), GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = found(ctx, kind)?;
    ctx.may_change(&before)?;
    let mut body = ctx.merged(&before.body, members);
    if action == "delete" {
        body["status"] = "archived".into();
    }
    let after = ctx.next_version(&before, body);
    vetted(&after)?;
    let mut writes = Vec::new();
    if let Some(value) = ctx.text("reset_usage_for_value") {
        writes.push(reset_of(&before, value)?);
    }
    let change = Change {
        resource: "policy",
        id: &before.id,
        action,
        workspace: before.workspace.as_deref(),
        before: row(ctx, &before),
        after: row(ctx, &after),
    };
    writes.push(Write::PutObject(Box::new(after)));
    ctx.commit(change, writes).await
}

/// Makes the reset of one bucket in its present period.
fn reset_of(object: &ObjectRecord, value_key: &str) -> Result<Write, GatewayError> {
    let policy = usage_policy(object)?;
    let id = format!("{}:{value_key}", policy.budget.id);
    Ok(Write::ResetBudget { id, period_start: policy.budget.period_start(clock::unix()) })
}

async fn list_usage(ctx: Ctx) -> Result<Value, GatewayError> {
    listed(&ctx, ObjectKind::UsagePolicy)
}

async fn create_usage(ctx: Ctx) -> Result<Value, GatewayError> {
    created(&ctx, ObjectKind::UsagePolicy).await
}

/// One bucket: its name, what it used, whether that is all.
struct Bucket {
    value_key: String,
    used: i64,
    exhausted: bool,
}

/// Reads what the buckets of a policy have used in their present period: what is at rest from the store, what is awake
/// from its actor, which knows more.
async fn buckets(ctx: &Ctx, object: &ObjectRecord) -> Result<Vec<Bucket>, GatewayError> {
    let policy = usage_policy(object)?;
    let now = policy.budget.period_start(clock::unix());
    let prefix = format!("{}:", policy.budget.id);
    let book = &ctx.gateway().book;
    let wanted = prefix.clone();
    let stored = book.read(move |store| store.spends(&wanted)).await?;
    let mut used: std::collections::BTreeMap<String, i64> =
        stored.into_iter().filter(|(_, start, _)| *start == now).map(|(id, _, used)| (id, used)).collect();
    for budget in book.awake().1.iter().filter(|budget| budget.id().starts_with(&prefix)) {
        let view = budget.observe().await?;
        used.insert(view.id, view.spent);
    }
    let limit = policy.budget.limit;
    let bucket = |(id, used): (String, i64)| Bucket {
        value_key: id[prefix.len()..].to_owned(),
        used,
        exhausted: used >= limit,
    };
    Ok(used.into_iter().map(bucket).collect())
}

async fn one_usage(ctx: Ctx) -> Result<Value, GatewayError> {
    let with_usage = matches!(ctx.asked("include_usage"), Some("true" | "1"));
    let object = if with_usage { counted(&ctx)? } else { found(&ctx, ObjectKind::UsagePolicy)? };
    let mut row = row(&ctx, &object);
    if with_usage {
        let unit = usage_policy(&object)?.budget.unit;
        let used = buckets(&ctx, &object).await?;
        let map = used.into_iter().map(|it| (it.value_key, terms::write_amount(unit, it.used)));
        row["value_key_usage_map"] = Value::Object(map.collect());
    }
    Ok(row)
}

async fn change_usage(ctx: Ctx) -> Result<Value, GatewayError> {
    let members = [
        "name",
        "description",
        "conditions",
        "credit_limit",
        "alert_threshold",
        "periodic_reset",
        "periodic_reset_days",
        "next_usage_reset_at",
        "status",
    ];
    changed(&ctx, ObjectKind::UsagePolicy, &members, "update").await?;
    Ok(json!({}))
}

async fn archive_usage(ctx: Ctx) -> Result<Value, GatewayError> {
    changed(&ctx, ObjectKind::UsagePolicy, &[], "delete").await?;
    Ok(json!({}))
}

async fn entities(ctx: Ctx) -> Result<Value, GatewayError> {
    let object = counted(&ctx)?;
    let unit = usage_policy(&object)?.budget.unit;
    let (status, search) = (ctx.asked("status"), ctx.asked("search"));
    let fits = |it: &Bucket| {
        status.is_none_or(|status| (status == "exhausted") == it.exhausted)
            && search.is_none_or(|text| it.value_key.contains(text))
    };
    let rows = buckets(&ctx, &object).await?.into_iter().filter(fits).map(|it| {
        json!({
            "id": it.value_key, "value_key": it.value_key, "object": "policy-entity",
            "current_usage": terms::write_amount(unit, it.used),
            "status": if it.exhausted { "exhausted" } else { "active" },
        })
    });
    ctx.list(rows.collect())
}

async fn reset(ctx: Ctx) -> Result<Value, GatewayError> {
    let object = found(&ctx, ObjectKind::UsagePolicy)?;
    ctx.may_change(&object)?;
    let entity = ctx.path("entity").to_owned();
    let used = buckets(&ctx, &object).await?.into_iter().find(|it| it.value_key == entity);
    let Some(used) = used else { return Err(missing("entity", &entity)) };
    let unit = usage_policy(&object)?.budget.unit;
    let change = Change {
        resource: "policy",
        id: &object.id,
        action: "reset",
        workspace: object.workspace.as_deref(),
        before: json!({"value_key": entity, "current_usage": terms::write_amount(unit, used.used)}),
        after: json!({"value_key": entity, "current_usage": 0}),
    };
    ctx.commit(change, vec![reset_of(&object, &entity)?]).await?;
    Ok(json!({}))
}

async fn list_rate(ctx: Ctx) -> Result<Value, GatewayError> {
    listed(&ctx, ObjectKind::RatePolicy)
}

async fn create_rate(ctx: Ctx) -> Result<Value, GatewayError> {
    created(&ctx, ObjectKind::RatePolicy).await
}

async fn one_rate(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(row(&ctx, &*found(&ctx, ObjectKind::RatePolicy)?))
}

async fn change_rate(ctx: Ctx) -> Result<Value, GatewayError> {
    let members = ["name", "description", "conditions", "unit", "value", "status"];
    changed(&ctx, ObjectKind::RatePolicy, &members, "update").await?;
    Ok(json!({}))
}

async fn archive_rate(ctx: Ctx) -> Result<Value, GatewayError> {
    changed(&ctx, ObjectKind::RatePolicy, &[], "delete").await?;
    Ok(json!({}))
}
