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
            .sample_size(60)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(3))
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
            let medians: Vec<_> =
                rows.names.iter().filter_map(|name| Some((*name, self.median(rows, name)?))).collect();
            let Some((first, baseline)) = medians.first() else { continue };
            println!("\n{:<44}{:>12}{:>12}", rows.group, "median ns", format!("x {first}"));
            for (name, median) in &medians {
                println!("  {name:<42}{median:>12.1}{:>12.2}", median / baseline);
            }
        }
    }

    /// Returns a median in nanoseconds; `None` when the command line left this measurement out.
    fn median(&self, rows: &Rows, name: &str) -> Option<f64> {
        let path = self.folder.join(rows.group).join(name).join("new/estimates.json");
        let fresh = path.metadata().ok()?.modified().ok()? >= self.started;
        let estimates: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let median = estimates["median"]["point_estimate"].as_f64()?;
        fresh.then(|| median / f64::from(rows.units))
    }
}

impl Group<'_> {
    /// Measures one thing. The name becomes a folder's: no slashes.
    pub(crate) fn bench(&mut self, name: &'static str, work: impl FnMut(&mut Bencher<'_>)) {
        self.inner.bench_function(name, work);
        self.rows.names.push(name);
    }
}
