//! Archiving a workspace, with or without what is in it.

use serde_json::{Value, json};
use tidegate_store::{KeyFilter, ObjectKind, Write};

use super::super::change::Change;
use super::super::ctx::{Ctx, conflict, flag, invalid};
use super::super::keys::doomed;
use super::serve::{live, row};
use crate::error::{ErrorKind, GatewayError};

/// What belongs to a workspace and would be left behind, in the words of the refusal.
const OWNED: [(ObjectKind, &str); 5] = [
    (ObjectKind::Provider, "providers"),
    (ObjectKind::Integration, "integrations"),
    (ObjectKind::Guardrail, "guardrails"),
    (ObjectKind::UsagePolicy, "usage limits policies"),
    (ObjectKind::RatePolicy, "rate limits policies"),
];

/// What is in a workspace: the writes that delete it, the slugs of its configs, and how it is counted.
struct Within {
    writes: Vec<Write>,
    configs: Vec<String>,
    counts: Vec<String>,
}

async fn within(ctx: &Ctx, id: &str, slug: &str) -> Result<Within, GatewayError> {
    let filter = KeyFilter { workspace: Some(id.to_owned()), ..KeyFilter::default() };
    let (mut writes, keys) = doomed(ctx, filter).await?;
    let mut counts = Vec::new();
    let mut count = |amount: usize, what: &str| {
        if amount > 0 {
            counts.push(format!("{what} ({amount})"));
        }
    };
    count(keys, "API keys");
    let is_of = |of: Option<&str>| of.is_some_and(|of| of == id || of == slug);
    let all = ctx.gateway().configs.all();
    let configs: Vec<String> = all
        .iter()
        .filter(|saved| is_of(saved.record.workspace.as_deref()))
        .map(|saved| saved.record.slug.clone())
        .collect();
    count(configs.len(), "configs");
    writes.extend(configs.iter().map(|slug| Write::DeleteConfig(slug.clone())));
    for (kind, what) in OWNED {
        let objects = ctx.gateway().objects.all(kind);
        let owned: Vec<_> = objects.iter().filter(|it| is_of(it.workspace.as_deref())).collect();
        // Archived policies hold for nobody.
        let counted = owned.iter().filter(|it| it.body["status"] != "archived").count();
        count(counted, what);
        writes.extend(owned.iter().map(|it| Write::DeleteObject { kind, id: it.id.clone() }));
    }
    Ok(Within { writes, configs, counts })
}

pub(super) async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = live(&ctx, ctx.path("id"))?;
    if before.body["is_default"] == true {
        return Err(GatewayError::new(ErrorKind::Invalid, "the default workspace can't be deleted"));
    }
    if ctx.text("name").is_some_and(|name| before.body["name"] != name) {
        return Err(invalid("name", "the workspace's own name is expected"));
    }
    let by_query = matches!(ctx.asked("force_delete"), Some("true" | "1"));
    let is_forced = by_query || ctx.body.get("force_delete").and_then(flag) == Some(true);
    let within = within(&ctx, &before.id, &before.slug).await?;
    if !is_forced && !within.counts.is_empty() {
        let message = format!(
            "the workspace still has {}; delete them first, or send force_delete",
            within.counts.join(", ")
        );
        return Err(conflict(message));
    }
    let mut body = before.body.clone();
    body["status"] = "archived".into();
    let after = ctx.next_version(&before, body);
    let mut shown = row(&ctx, &after);
    shown["deleted"] = json!(within.counts);
    let members = ctx.gateway().objects.all(ObjectKind::Member);
    let members = members.iter().filter(|it| it.workspace.as_deref() == Some(before.id.as_str()));
    let mut writes = within.writes;
    writes.extend(members.map(|it| Write::DeleteObject { kind: it.kind, id: it.id.clone() }));
    writes.push(Write::PutObject(Box::new(after)));
    let change = Change {
        resource: "workspace",
        id: &before.id,
        action: "delete",
        workspace: Some(&before.id),
        before: row(&ctx, &before),
        after: shown,
    };
    ctx.commit(change, writes).await?;
    for config in within.configs {
        ctx.gateway().configs.reload(&ctx.gateway().book, &config).await?;
    }
    Ok(json!({}))
}
