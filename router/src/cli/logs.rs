//! `tidegate logs`

use clap::{Args, Subcommand};
use tidegate_store::{AttemptRow, GuardRow, LogFilter, LogRow};

use super::{Context, Failure, show};

#[derive(Args, Debug)]
pub(super) struct Logs {
    /// At most so many rows; 0 is all.
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: usize,
    /// Only of this key (id or name).
    #[arg(long)]
    key: Option<String>,
    /// Only of this trace or request id.
    #[arg(long)]
    trace: Option<String>,
    /// Only of this workspace, by id.
    #[arg(long)]
    workspace: Option<String>,
    /// Only failures (status 400 and above).
    #[arg(long)]
    failed: bool,
    #[command(subcommand)]
    command: Option<Order>,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Show requests with what was decided on the way.
    Show {
        /// Request or trace id.
        id: String,
    },
}

pub(super) fn run(context: &Context, command: Logs) -> Result<(), Failure> {
    let (_, store) = context.open_known()?;
    if let Some(Order::Show { id }) = command.command {
        let filter = LogFilter { trace_id: Some(id.clone()), ..LogFilter::default() };
        let rows = store.logs(&filter).map_err(|error| error.to_string())?;
        if rows.is_empty() {
            return Err(format!("no request has the id or trace id {id}"));
        }
        if context.json {
            return show::json(&rows);
        }
        for row in rows.iter().rev() {
            show::line(&story(row));
        }
        return Ok(());
    }
    let filter = LogFilter {
        limit: command.limit,
        key: command.key,
        trace_id: command.trace,
        min_status: command.failed.then_some(400),
        workspace: command.workspace,
    };
    let rows = store.logs(&filter).map_err(|error| error.to_string())?;
    if context.json {
        return show::json(&rows);
    }
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    show::table(
        &[
            "TIME (UTC)",
            "KEY",
            "PROVIDER",
            "MODEL",
            "STATUS",
            "OUTCOME",
            "IN",
            "OUT",
            "COST USD",
            "FIRST",
            "TOTAL",
            "TRACE",
        ],
        &rows,
    );
    Ok(())
}

fn cells(row: &LogRow) -> Vec<String> {
    let mark = if row.estimated { "~" } else { "" };
    let ms = |micros: u64| format!("{} ms", micros / 1_000);
    vec![
        show::moment(row.started_at_ms / 1_000),
        row.key_name.clone(),
        row.provider.clone(),
        row.model.clone(),
        row.status.to_string(),
        if row.cache.is_empty() {
            row.outcome.to_string()
        } else {
            format!("{}, {}", row.outcome, row.cache)
        },
        format!("{mark}{}", row.input_tokens),
        format!("{mark}{}", row.output_tokens),
        row.cost_nano_usd.map_or_else(|| "?".to_owned(), show::dollars),
        row.first_byte_us.map(ms).unwrap_or_default(),
        ms(row.total_us),
        row.trace_id.clone(),
    ]
}

/// Tells a request from its start to its end.
fn story(row: &LogRow) -> String {
    let mut lines = vec![format!(
        "{} {} {} with key {} to @{}, model {}",
        show::moment(row.started_at_ms / 1_000),
        row.id,
        row.endpoint,
        row.key_name,
        row.provider,
        row.model
    )];
    if let Some(decision) = &row.decision {
        if !decision.config.is_empty() {
            lines.push(format!("  config from the {}", decision.config));
        }
        for choice in &decision.choices {
            let chose = choice.chose.as_deref().unwrap_or("nothing more");
            lines.push(format!("  {} ({}) chose {chose}: {}", choice.at, choice.how, choice.why));
        }
        if let Some(cache) = &decision.cache {
            lines.push(format!("  cache {cache}"));
        }
        lines.extend(decision.guards.iter().map(guard));
    }
    lines.extend(row.tried.iter().map(attempt));
    let cost = row.cost_nano_usd.map_or_else(|| "?".to_owned(), show::dollars);
    lines.push(format!(
        "  {} {}: {} tokens in, {} out, {cost} USD, {} ms",
        row.status,
        row.outcome,
        row.input_tokens,
        row.output_tokens,
        row.total_us / 1_000
    ));
    if let Some(error) = &row.error {
        lines.push(format!("  {error}"));
    }
    // Names come from callers: what they write must not steer the operator's terminal.
    let plain = |line: String| line.replace(|c: char| c.is_control(), "\u{fffd}");
    lines.into_iter().map(plain).collect::<Vec<_>>().join("\n")
}

fn guard(guard: &GuardRow) -> String {
    let verdict = match (guard.verdict, guard.denied) {
        (true, _) => "passed",
        (false, true) => "denied",
        (false, false) => "failed",
    };
    let changed = if guard.transformed { ", changed the text" } else { "" };
    let list = |word: &str, ids: &[String]| match ids {
        [] => String::new(),
        ids => format!(", {word} {}", ids.join(" ")),
    };
    let (failed, erred) = (list("failed:", &guard.failed), list("broke down:", &guard.erred));
    format!("  {} guardrail {} {verdict}{changed}{failed}{erred}", guard.side, guard.id)
}

fn attempt(attempt: &AttemptRow) -> String {
    let retry = if attempt.retry > 0 { format!(", retry {}", attempt.retry) } else { String::new() };
    let asked = if attempt.asked { "" } else { " without being asked" };
    let error = attempt.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    format!(
        "  {} (@{}/{}{retry}) came to {}{asked} after {} ms{error}",
        attempt.option_index,
        attempt.provider,
        attempt.model,
        attempt.status,
        attempt.took_us / 1_000
    )
}
