//! What the routes of `/admin/workspaces` do.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{BudgetRecord, ObjectKind, ObjectRecord, Write};
use uuid::Uuid;

use super::super::change::Change;
use super::super::ctx::{Ctx, invalid};
use super::super::reply::moment;
use super::super::security;
use super::draft;
use super::members::{given_members, member_rows, membership};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::terms;

/// Characters of the name in a slug, and random ones.
const SLUG_NAME: usize = 6;
const SLUG_RANDOM: usize = 6;

/// Finds a workspace that is not archived.
///
/// # Errors
/// 404 for one that the caller may not know of, 403 for an archived one, as Portkey has it.
pub(in crate::admin) fn live(ctx: &Ctx, name: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
    let found = ctx.known_workspace(name)?;
    if is_archived(&found) {
        return Err(GatewayError::new(ErrorKind::Scope, format!("workspace \"{name}\" is archived")));
    }
    Ok(found)
}

pub(super) fn is_archived(workspace: &ObjectRecord) -> bool {
    workspace.body["status"] == "archived"
}

/// Makes a workspace's row.
pub(super) fn row(ctx: &Ctx, workspace: &ObjectRecord) -> Value {
    let body = &workspace.body;
    let now = clock::unix();
    // What is stored was vetted; of what can't be read any more nothing is shown.
    let budgets = draft::budgets(&workspace.id, body).unwrap_or_default();
    let next = |budget: &BudgetRecord| budget.period_end(now).map(|at| moment(at * 1_000));
    let limits: Vec<Value> =
        budgets.iter().map(|budget| terms::write_usage_limit(budget, next(budget))).collect();
    let rates = terms::read_rate_limits(&body["rate_limits"], "rate_limits").unwrap_or_default();
    let defaults = &body["defaults"];
    let organisation = ctx.gateway().objects.organisation();
    let house = organisation.as_ref().map_or(&Value::Null, |it| &it.body["security_settings"]);
    let list = |side: &str| defaults[side].as_array().cloned().unwrap_or_default();
    json!({
        "id": workspace.id,
        "slug": workspace.slug,
        "object": "workspace",
        "name": body["name"],
        "icon": body["icon"],
        "description": body["description"],
        "is_default": u8::from(body["is_default"] == true),
        "status": body["status"].as_str().unwrap_or("active"),
        "defaults": {
            "metadata": defaults["metadata"],
            "input_guardrails": list("input_guardrails"),
            "output_guardrails": list("output_guardrails"),
            "user_api_key_config": defaults["user_api_key_config"],
            "config_id": defaults["config_id"],
        },
        "usage_limits": limits,
        "rate_limits": rates.iter().map(terms::write_rate_limit).collect::<Vec<_>>(),
        "last_reset_at": body["last_reset_at_ms"].as_i64().map(moment),
        "settings": body["settings"].as_object().cloned().unwrap_or_default(),
        "security_settings": security::shown(&[&body["security_settings"], house]),
        "organisation_id": organisation.as_ref().map(|it| it.id.clone()),
        "created_by": workspace.created_by,
        "creation_source": if body["is_default"] == true { "auto" } else { "api" },
        "created_at": moment(workspace.created_at_ms),
        "last_updated_at": moment(workspace.updated_at_ms),
    })
}

pub(super) async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let statuses: Vec<&str> = ctx.asked("status").unwrap_or("active").split(',').map(str::trim).collect();
    let (part, exact) = (ctx.asked("name"), ctx.asked("exact_name"));
    let fits = |it: &ObjectRecord| {
        let name = it.body["name"].as_str().unwrap_or_default();
        ctx.who.workspace.as_ref().is_none_or(|own| *own == it.id)
            && statuses.contains(&it.body["status"].as_str().unwrap_or("active"))
            && part.is_none_or(|part| name.contains(part))
            && exact.is_none_or(|exact| name == exact)
    };
    let all = ctx.gateway().objects.all(ObjectKind::Workspace);
    ctx.list(all.iter().filter(|it| fits(it)).map(|it| row(&ctx, it)).collect())
}

pub(super) async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    let workspace = live(&ctx, ctx.path("id"))?;
    let mut shown = row(&ctx, &workspace);
    shown["users"] = Value::Array(member_rows(&ctx, &workspace.id));
    for (at, budget) in draft::budgets(&workspace.id, &workspace.body)?.into_iter().enumerate() {
        let used = used(&ctx, &budget).await?;
        shown["usage_limits"][at]["current_usage"] = terms::write_amount(budget.unit, used);
    }
    Ok(shown)
}

/// Returns what a budget has spent in its present period.
async fn used(ctx: &Ctx, budget: &BudgetRecord) -> Result<i64, GatewayError> {
    let book = &ctx.gateway().book;
    if let Some(awake) = book.awake_budget(&budget.id) {
        return Ok(awake.observe().await?.spent);
    }
    let (id, period_start) = (budget.id.clone(), budget.period_start(clock::unix()));
    let spent = book.read(move |store| store.spent_by(&id, period_start)).await?;
    Ok(spent.iter().map(|(_, amount)| amount).sum())
}

/// Makes a slug like `ws-market-0f3a9c` that nobody has.
fn new_slug(ctx: &Ctx, name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(SLUG_NAME);
    let short: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    let short = if short.is_empty() { "space".to_owned() } else { short };
    loop {
        let random = Uuid::new_v4().simple().to_string();
        let slug = format!("ws-{short}-{}", &random[..SLUG_RANDOM]);
        if ctx.gateway().objects.by_slug(ObjectKind::Workspace, "", &slug).is_none() {
            return slug;
        }
    }
}

pub(super) async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let slug = new_slug(&ctx, ctx.text("name").unwrap_or_default());
    let mut workspace = ctx.new_object(ObjectKind::Workspace, None, slug, json!({"status": "active"}));
    workspace.body = draft::read(&ctx, &workspace.id, &workspace.body)?;
    let mut writes = vec![Write::PutObject(Box::new(workspace.clone()))];
    let mut users = Vec::new();
    for (user, role) in given_members(&ctx, ctx.body.get("users").unwrap_or(&Value::Null), "users")? {
        let member = membership(&ctx, &workspace.id, &user.id, role);
        users.push(json!({"id": user.id, "role": role}));
        writes.push(Write::PutObject(Box::new(member)));
    }
    let mut shown = row(&ctx, &workspace);
    shown["users"] = Value::Array(users);
    let change = Change {
        resource: "workspace",
        id: &workspace.id,
        action: "create",
        workspace: Some(&workspace.id),
        before: Value::Null,
        after: shown.clone(),
    };
    ctx.commit(change, writes).await?;
    Ok(shown)
}

pub(super) async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = live(&ctx, ctx.path("id"))?;
    let mut body = draft::read(&ctx, &before.id, &before.body)?;
    let mut writes = Vec::new();
    if ctx.flag("reset_usage") == Some(true) {
        let now = clock::unix();
        let reset = |budget: BudgetRecord| {
            let period_start = budget.period_start(now);
            Write::ResetBudget { id: budget.id, period_start }
        };
        writes.extend(draft::budgets(&before.id, &body)?.into_iter().map(reset));
        if writes.is_empty() {
            return Err(invalid("reset_usage", "the workspace has no usage_limits"));
        }
        body["last_reset_at_ms"] = clock::unix_ms().into();
    }
    let after = ctx.next_version(&before, body);
    let change = Change {
        resource: "workspace",
        id: &before.id,
        action: "update",
        workspace: Some(&before.id),
        before: row(&ctx, &before),
        after: row(&ctx, &after),
    };
    writes.push(Write::PutObject(Box::new(after)));
    ctx.commit(change, writes).await?;
    Ok(json!({}))
}
