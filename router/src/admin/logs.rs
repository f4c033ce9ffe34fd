//! `/admin/logs/{id}`: the rows of a trace or request id, with their decisions.
//!
//! A key of a workspace sees rows of its workspace; a user's key only what the switches leave to its role, down to the
//! rows of the user's own keys.

use std::collections::HashMap;

use serde_json::{Value, json};
use tidegate_store::{LogFilter, LogRow};

use super::ctx::Ctx;
use super::route::{Route, route};
use crate::error::{ErrorKind, GatewayError};

/// Rows of one trace that are shown: the newest.
const MOST_ROWS: usize = 100;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/admin/logs/{id}" ["logs.view"] "Show the log rows of a request or trace, newest first", &[], &[] => rows),
];

async fn rows(ctx: Ctx) -> Result<Value, GatewayError> {
    let filter =
        LogFilter { limit: MOST_ROWS, trace_id: Some(ctx.path("id").to_owned()), ..LogFilter::default() };
    let found = ctx.gateway().book.read(move |store| store.logs(&filter)).await?;
    let mut found: Vec<LogRow> = found.into_iter().filter(|row| is_ours(&ctx, row)).collect();
    if !ctx.who.sees("ViewAllData") {
        found = own(&ctx, found).await?;
    }
    let metadata = ctx.who.sees("ViewLogMetadata");
    let shown = found.into_iter().map(|mut row| {
        if !metadata {
            row.metadata.clear();
        }
        serde_json::to_value(row).map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))
    });
    Ok(json!({"object": "list", "data": shown.collect::<Result<Vec<_>, _>>()?}))
}

/// Returns whether a row is of a workspace whose rows the caller may see.
fn is_ours(ctx: &Ctx, row: &LogRow) -> bool {
    let Some(workspace) = &ctx.who.workspace else { return true };
    let rules = ctx.gateway().objects.rules();
    let of = if row.workspace.is_empty() { rules.default_workspace() } else { &row.workspace };
    of == workspace
}

/// Keeps the rows of keys of the caller's own user.
async fn own(ctx: &Ctx, rows: Vec<LogRow>) -> Result<Vec<LogRow>, GatewayError> {
    let mut ids: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let users: HashMap<String, Option<String>> = ctx
        .gateway()
        .book
        .read(move |store| {
            let user = |id: String| {
                let found = store.key_by_id(&id)?;
                Ok((id, found.and_then(|(_, key)| key.user)))
            };
            ids.into_iter().map(user).collect()
        })
        .await?;
    let user = ctx.who.key.user.as_ref();
    let is_own = |row: &LogRow| user.is_some() && users.get(&row.key).is_some_and(|it| it.as_ref() == user);
    Ok(rows.into_iter().filter(is_own).collect())
}
