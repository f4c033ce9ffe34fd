//! One table of all results: medians, and how many times the first target that is not the upstream itself.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde_json::Value;

use crate::measure::Figures;

/// Figures of one measurement of one target.
pub(crate) struct Row {
    pub(crate) target: String,
    pub(crate) figures: Figures,
}

/// What answers without a gateway: times over it are what a gateway adds.
const DIRECT: &str = "direct";

/// Reads raw results.
pub(crate) fn read(files: &[PathBuf]) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file)?.lines() {
            let value: Value = serde_json::from_str(line).map_err(io::Error::other)?;
            let figures = value["figures"].as_object().into_iter().flatten();
            rows.push(Row {
                target: value["target"].as_str().unwrap_or_default().to_owned(),
                figures: figures.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect(),
            });
        }
    }
    Ok(rows)
}

/// Prints the table as Markdown.
pub(crate) fn print(rows: &[Row]) -> io::Result<()> {
    let mut targets: Vec<&str> = Vec::new();
    let mut samples: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for row in rows {
        if !targets.contains(&row.target.as_str()) {
            targets.push(&row.target);
        }
        for (name, value) in &row.figures {
            samples.entry(name).or_default().entry(&row.target).or_default().push(*value);
        }
    }
    let base = targets.iter().find(|&&target| target != DIRECT).copied().unwrap_or(DIRECT);
    println!("\n| median (× {base}) | {} |", targets.join(" | "));
    println!("|---|{}", "---|".repeat(targets.len()));
    for (name, by_target) in samples {
        let medians: BTreeMap<_, _> =
            by_target.into_iter().map(|(target, values)| (target, median(values))).collect();
        let cells = targets.iter().map(|target| cell(name, &medians, target, base));
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
        if name.starts_with("latency") || name.starts_with("first ") {
            added(name, &medians, &targets);
        }
    }
    Ok(())
}

fn cell(name: &str, medians: &BTreeMap<&str, f64>, target: &str, base: &str) -> String {
    let Some(&value) = medians.get(target) else { return String::new() };
    if target == DIRECT && name.contains("cpu") {
        return String::new();
    }
    let digits = if value < 10.0 { 2 } else { usize::from(value < 1_000.0) };
    match medians.get(base) {
        Some(&base_value) if target != base && target != DIRECT && !name.contains('/') => {
            format!("{value:.digits$} ({:.2})", value / base_value)
        }
        _ => format!("{value:.digits$}"),
    }
}

fn added(name: &str, medians: &BTreeMap<&str, f64>, targets: &[&str]) {
    let Some(direct) = medians.get(DIRECT) else { return };
    let cells = targets.iter().map(|&target| match medians.get(target) {
        Some(value) if target != DIRECT => format!("{:.0}", value - direct),
        _ => String::new(),
    });
    println!("| {name}, added | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
