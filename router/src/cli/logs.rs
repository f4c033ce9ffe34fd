//! `tidegate logs`

use clap::Args;
use tidegate_store::{LogFilter, LogRow, Store};

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
    /// Only failures (status 400 and above).
    #[arg(long)]
    failed: bool,
}

pub(super) fn run(context: &Context, command: Logs) -> Result<(), Failure> {
    let (_, store, _) = context.open()?;
    let filter = LogFilter {
        limit: command.limit,
        key: command.key,
        trace_id: command.trace,
        min_status: command.failed.then_some(400),
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
        if row.cache.is_empty() { row.outcome.clone() } else { format!("{}, {}", row.outcome, row.cache) },
        format!("{mark}{}", row.input_tokens),
        format!("{mark}{}", row.output_tokens),
        row.cost_nano_usd.map_or_else(|| "?".to_owned(), show::dollars),
        row.first_byte_us.map(ms).unwrap_or_default(),
        ms(row.total_us),
        row.trace_id.clone(),
    ]
}
