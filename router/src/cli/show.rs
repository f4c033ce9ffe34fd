//! How commands print: JSON for scripts, aligned columns for people.

use serde::Serialize;
use tidegate_prices::NanoUsd;

use super::Failure;

/// Prints a line. A reader that has seen enough, like `head`, ends the command without fuss.
pub(super) fn line(text: &str) {
    use std::io::Write as _;
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value).map_err(|error| error.to_string())?);
    Ok(())
}

/// Says that something was done.
pub(super) fn done(context: &super::Context, sentence: &str) -> Result<(), Failure> {
    if context.json {
        return json(&serde_json::json!({"ok": true, "message": sentence}));
    }
    line(sentence);
    Ok(())
}

pub(super) fn version(context: &super::Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if context.json {
        return json(&serde_json::json!({"version": version}));
    }
    line(&format!("tidegate {version}"));
    Ok(())
}

/// Prints rows under heads, padded to the widest of each column.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    print(heads.to_vec());
    for row in rows {
        // Names come from callers: what they write must not steer the operator's terminal.
        let plain: Vec<String> =
            row.iter().map(|cell| cell.replace(|c: char| c.is_control(), "\u{fffd}")).collect();
        print(plain.iter().map(String::as_str).collect());
    }
}

pub(super) fn dollars(nanos: i64) -> String {
    NanoUsd(u64::try_from(nanos).unwrap_or(0)).to_string()
}

/// Writes seconds since the epoch as a date and time.
pub(super) fn moment(seconds: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(&format).ok())
        .unwrap_or_else(|| seconds.to_string())
}
