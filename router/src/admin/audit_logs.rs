//! `/audit-logs`: what administrators did.

use serde_json::{Value, json};
use tidegate_store::{AuditFilter, AuditRow};

use super::ctx::{Ctx, invalid};
use super::field::{Field, Kind};
use super::reply::moment;
use super::route::{Route, route};
use crate::error::GatewayError;
use crate::governance::terms::read_moment;

const FILTERS: &[Field] = &[
    Field::new("start_time", Kind::Text(64), "from this moment on (RFC 3339)"),
    Field::new("end_time", Kind::Text(64), "up to this moment"),
    Field::new("workspace_id", Kind::Text(255), "only of this workspace"),
    Field::new("user_id", Kind::Text(255), "only by this user or API key"),
    Field::new("resource_type", Kind::Text(255), "only of this kind of object, like api_key"),
    Field::new("resource_id", Kind::Text(255), "only of this object"),
    Field::new("action", Kind::Text(255), "create, update, delete, rotate, reset, …"),
    Field::new("method", Kind::Text(16), "only with this HTTP method"),
    Field::new("response_status_code", Kind::Whole, "only with this status"),
];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/audit-logs" ["audit_logs.list"] "List what administrators did, newest first", &[], FILTERS => list),
    route!(GET "/audit-logs/verify" ["audit_logs.list"] "Check the chain of the audit log", &[], &[] => verify),
];

fn row(ctx: &Ctx, row: &AuditRow) -> Value {
    let record = &row.record;
    json!({
        "seq": row.seq,
        "timestamp": moment(record.at_ms),
        "method": record.method,
        "uri": record.uri,
        "request_id": record.request_id,
        "user_id": record.actor,
        "user_name": record.actor_name,
        "user_type": record.actor_kind,
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "workspace_id": Some(&record.workspace).filter(|id| !id.is_empty()),
        "response_status_code": record.status,
        "resource_type": record.resource,
        "resource_id": record.resource_id,
        "action": record.action,
        "before": record.before,
        "after": record.after,
        "client_ip": record.client_ip,
        "country": null,
        "hash": row.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let at = |name: &str| match ctx.asked(name) {
        None => Ok(None),
        Some(text) => read_moment(text)
            .map(|seconds| Some(seconds * 1_000))
            .ok_or_else(|| invalid(name, "an RFC 3339 moment is expected")),
    };
    let workspace = match ctx.asked("workspace_id") {
        Some(name) => Some(ctx.known_workspace(name)?.id.clone()),
        None => None,
    };
    let page = ctx.page()?;
    let owned = |name: &str| ctx.asked(name).map(str::to_owned);
    let filter = AuditFilter {
        from_ms: at("start_time")?,
        to_ms: at("end_time")?,
        workspace,
        actor: owned("user_id"),
        resource: owned("resource_type"),
        resource_id: owned("resource_id"),
        action: owned("action"),
        method: owned("method"),
        status: ctx.asked("response_status_code").and_then(|status| status.parse().ok()),
        offset: page.offset(),
        limit: page.size(),
    };
    let (rows, total) = ctx.gateway().book.read(move |store| store.audit(&filter)).await?;
    let records: Vec<Value> = rows.iter().map(|it| row(&ctx, it)).collect();
    Ok(json!({"records": records, "total": total, "object": "analytics-graph"}))
}

async fn verify(ctx: Ctx) -> Result<Value, GatewayError> {
    let check = ctx.gateway().book.read(|store| store.check_audit()).await?;
    Ok(json!({"object": "audit-check", "rows": check.rows, "broken": check.broken, "head": check.head}))
}
