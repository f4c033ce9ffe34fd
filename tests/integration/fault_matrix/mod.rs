//! Every fault of an upstream, met by every strategy, asked whole and streamed, in both dialects: one table.
//!
//! `rules` says what must come of each case, by rules of its own that know nothing of the gateway's code; `world` lets it
//! happen. The table with both is `tests/fault_matrix.md`; the test fails where the two differ, and where the file is
//! not what was seen. `FAULT_MATRIX=write` writes the file anew.

mod cases;
mod rules;
mod world;

use std::fmt::Write as _;
use std::path::Path;

use cases::Case;

const HEAD: &str = "# Fault matrix\n\n\
Made by the test `fault_matrix` (`FAULT_MATRIX=write` writes this file anew). Each row is one request with one fault of \
its first target, `A`; `B` is a healthy one. What is seen must be what is expected.\n\n\
A cell says: status of the answer (and the type of its error, also of one inside a stream) · what of the text arrived · \
calls of the vendors, by the gateway's own log · `x-portkey-retry-attempt-count` · the target that answered · outcome in \
the log · whether anything was paid. `complete` is A's own text, `from B` is B's, `joined` is A's beginning with B's end, \
`begun` is A's beginning without an end.\n\n\
All money that was held came back, for every row.\n\n";

fn table(rows: &[(Case, String, String)]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| Fault | Strategy | Answer | Client | Expected | Seen |\n|---|---|---|---|---|---|\n");
    for (case, expected, seen) in rows {
        let Case { fault, strategy, stream, dialect, .. } = case;
        let how = if *stream { "stream" } else { "whole" };
        let dialect = dialect.name();
        let _ = writeln!(
            text,
            "| {} | {} | {how} | {dialect} | {expected} | {seen} |",
            fault.name(),
            strategy.name()
        );
    }
    text
}

#[tokio::test]
async fn every_fault_comes_to_what_is_expected() {
    let cases = cases::all();
    let seen = world::run(&cases).await;
    let rows: Vec<(Case, String, String)> =
        cases.iter().zip(seen).map(|(case, seen)| (*case, rules::expected(case).to_string(), seen)).collect();
    let text = table(&rows);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fault_matrix.md");
    if std::env::var("FAULT_MATRIX").as_deref() == Ok("write") {
        std::fs::write(&path, &text).expect("the table");
    }
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(_, expected, seen)| expected != seen)
        .map(|(case, expected, seen)| format!("{case:?}\n  expected {expected}\n  seen     {seen}"))
        .collect();
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "tests/fault_matrix.md is not what was seen; FAULT_MATRIX=write writes it anew");
}
