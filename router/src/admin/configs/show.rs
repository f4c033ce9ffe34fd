//! How saved configs are shown.

use serde_json::{Value, json};
use tidegate_store::{ConfigRecord, ConfigVersion};

use crate::admin::ctx::Ctx;
use crate::admin::reply::moment;
use crate::configs::Saved;

fn organisation(ctx: &Ctx) -> Option<String> {
    ctx.gateway().objects.organisation().map(|it| it.id.clone())
}

pub(super) fn of_record(ctx: &Ctx, record: &ConfigRecord) -> Value {
    json!({
        "id": record.id,
        "name": record.name,
        "slug": record.slug,
        "workspace_id": record.workspace,
        "organisation_id": organisation(ctx),
        "is_default": u8::from(record.is_default),
        "status": "active",
        "owner_id": record.created_by,
        "updated_by": record.updated_by,
        "created_at": moment(record.created_at_ms),
        "last_updated_at": moment(record.updated_at_ms),
        "object": "config",
        "origin": "store",
    })
}

pub(super) fn row(ctx: &Ctx, saved: &Saved) -> Value {
    let mut row = of_record(ctx, &saved.record);
    row["version_id"] = saved.version.id.as_str().into();
    row["version"] = saved.version.number.into();
    if let Err(error) = &saved.plan {
        row["error"] = error.to_string().into();
    }
    row
}

/// Adds the config itself. Portkey's clients read its text, not an object.
pub(super) fn with_text(mut row: Value, json: &str) -> Value {
    row["config"] = json.into();
    row["format"] = "json".into();
    row["type"] = "ORG_CONFIG".into();
    row
}

/// Shows a config of the settings file.
pub(super) fn declared(ctx: &Ctx, id: &str) -> Value {
    json!({
        "id": id, "name": id, "slug": id, "workspace_id": null, "organisation_id": organisation(ctx),
        "is_default": 0, "status": "active", "owner_id": null, "updated_by": null, "created_at": null,
        "last_updated_at": null, "object": "config", "origin": "settings", "version_id": null, "version": null,
    })
}

/// What is answered when a version came into force. Notes tell what has no effect.
pub(super) fn in_force(saved: &Saved) -> Value {
    let notes: Vec<Value> = saved
        .plan
        .iter()
        .flat_map(|plan| plan.notes())
        .map(|note| json!({"path": note.path, "message": note.message}))
        .collect();
    json!({
        "success": true,
        "data": {"id": saved.record.id, "slug": saved.record.slug, "version_id": saved.version.id},
        "object": "config",
        "id": saved.record.id,
        "slug": saved.record.slug,
        "version_id": saved.version.id,
        "version": saved.version.number,
        "notes": notes,
    })
}

pub(super) fn version_row(ctx: &Ctx, saved: &Saved, version: &ConfigVersion) -> Value {
    let mut row = of_record(ctx, &saved.record);
    row["version_id"] = version.id.as_str().into();
    row["version"] = version.number.into();
    row["is_active"] = (version.number == saved.record.active).into();
    row["updated_by"] = version.created_by.as_str().into();
    row["last_updated_at"] = moment(version.created_at_ms).into();
    with_text(row, &version.json)
}
