//! Criterion, and after it a table in which every figure stands beside its group's baseline.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, Criterion};
use serde_json::Value;

/// Measures groups and remembers what to print.
pub(crate) struct Table {
    criterion: Criterion,
    folder: PathBuf,
    started: SystemTime,
    groups: Vec<Rows>,
}

struct Rows {
    group: &'static str,
    units: u32,
    names: Vec<&'static str>,
}

/// One group; the first thing it measures is its baseline.
pub(crate) struct Group<'a> {
    inner: BenchmarkGroup<'a, WallTime>,
    rows: Rows,
}

impl Table {
    /// Reads criterion's arguments from the command line.
    pub(crate) fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("criterion");
        let criterion = Criterion::default()
            .output_directory(&folder)
            .without_plots()
            .sample_size(40)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(4))
            .configure_from_args();
        Self { criterion, folder, started: SystemTime::now(), groups: Vec::new() }
    }

    /// Measures a group. Each iteration does `units` of what the table shows.
    pub(crate) fn group(&mut self, group: &'static str, units: u32, measure: impl FnOnce(&mut Group<'_>)) {
        let rows = Rows { group, units, names: Vec::new() };
        let mut open = Group { inner: self.criterion.benchmark_group(group), rows };
        measure(&mut open);
        let Group { inner, rows } = open;
        inner.finish();
        self.groups.push(rows);
    }

    /// Prints the table of what was measured just now.
    pub(crate) fn print(self) {
        self.criterion.final_summary();
        for rows in &self.groups {
            let measured: Vec<_> =
                rows.names.iter().filter_map(|name| Some((*name, self.figures(rows, name)?))).collect();
            let Some((first, (baseline, _))) = measured.first() else { continue };
            println!("\n{:<36}{:>12}{:>12}{:>16}", rows.group, "least ns", "median ns", format!("x {first}"));
            for (name, (least, median)) in &measured {
                println!("  {name:<34}{least:>12.1}{median:>12.1}{:>16.2}", least / baseline);
            }
        }
    }

    /// Returns the fastest sample and the median in nanoseconds; `None` when the command line left this measurement
    /// out. Neighbours on the machine only ever add time, so ratios are taken from the fastest.
    fn figures(&self, rows: &Rows, name: &str) -> Option<(f64, f64)> {
        let path = self.folder.join(rows.group).join(name).join("new/sample.json");
        let fresh = path.metadata().ok()?.modified().ok()? >= self.started;
        let sample: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let numbers =
            |member: &str| sample[member].as_array().map(|all| all.iter().filter_map(Value::as_f64));
        let mut each: Vec<f64> =
            numbers("times")?.zip(numbers("iters")?).map(|(time, count)| time / count).collect();
        each.sort_by(f64::total_cmp);
        let units = f64::from(rows.units);
        fresh.then_some((each.first()? / units, each.get(each.len() / 2)? / units))
    }
}

impl Group<'_> {
    /// Measures one thing. The name becomes a folder's: no slashes.
    pub(crate) fn bench(&mut self, name: &'static str, work: impl FnMut(&mut Bencher<'_>)) {
        self.inner.bench_function(name, work);
        self.rows.names.push(name);
    }
}
