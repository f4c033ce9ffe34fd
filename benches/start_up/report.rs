//! Medians, ranges and the ratio, which is what a noisy machine says best.

use crate::gateway::Run;

/// What a column takes from a run.
type Figure = fn(&Run) -> f64;

const FIGURES: [(&str, Figure); 5] = [
    ("spawn to /v1/health 200, ms", |run| run.health_ms),
    ("spawn to first answer to a key, ms", |run| run.answer_ms),
    ("of that, the answer itself, ms", |run| run.key_ms),
    ("resident memory at rest, MB", |run| run.resident_mb),
    ("of that, not mapped files, MB", |run| run.own_mb),
];

/// Prints the table as Markdown.
pub(crate) fn print(none: &[Run], keys: usize, many: &[Run]) {
    println!("\n{} starts each; median (least to most)\n", none.len());
    println!("| | 0 keys | {keys} keys | ratio |\n|---|---|---|---|");
    for (name, figure) in FIGURES {
        let (few, lots) = (Spread::of(none, figure), Spread::of(many, figure));
        println!("| {name} | {few} | {lots} | {:.2} |", lots.median / few.median);
    }
}

/// Returns the machine's load averages.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(runs: &[Run], figure: Figure) -> Self {
        let mut all: Vec<f64> = runs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        let (low, high) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
        Self { least: all[0], median: f64::midpoint(low, high), most: all[all.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1} to {:.1})", self.median, self.least, self.most)
    }
}
