//! A row of the request log as stores write it.

use serde::Serialize;

use super::log::LogRow;
use crate::decision::{DecisionRow, GuardRow};
use crate::json_text;

/// Bytes that most rows have room in.
const ROOM: usize = 768;

/// A row that was written down where it was made: one piece of memory instead of a dozen, which the thread that commits
/// it neither reads one by one nor gives back one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledRow {
    /// Id, trace id, key, its name, workspace, and the JSON text of the rest, one behind the other.
    text: String,
    /// Where each of the first five ends.
    ends: [usize; 5],
    /// Milliseconds since the epoch.
    pub started_at_ms: i64,
    /// HTTP status.
    pub status: u16,
    /// Cost in nano-dollars; `None` when the model has no price.
    pub cost_nano_usd: Option<i64>,
}

impl From<&LogRow> for FiledRow {
    fn from(row: &LogRow) -> Self {
        let mut text = String::with_capacity(ROOM);
        let mut ends = [0; 5];
        let columns = [&row.id, &row.trace_id, &row.key, &row.key_name, &row.workspace];
        for (column, end) in columns.into_iter().zip(&mut ends) {
            text.push_str(column);
            *end = text.len();
        }
        write_rest(row, &mut text);
        let (started_at_ms, status, cost_nano_usd) = (row.started_at_ms, row.status, row.cost_nano_usd);
        Self { text, ends, started_at_ms, status, cost_nano_usd }
    }
}

/// Writes the JSON text of what of a row no column of SQLite's table holds, but for what is as it is by default.
fn write_rest(row: &LogRow, text: &mut String) {
    // Taken apart, so that no new member is forgotten. Those of the first lines have columns.
    let LogRow {
        id: _,
        trace_id: _,
        started_at_ms: _,
        key: _,
        key_name: _,
        workspace: _,
        status: _,
        cost_nano_usd: _,
        provider,
        model,
        endpoint,
        stream,
        outcome,
        error,
        input_tokens,
        cached_input_tokens,
        output_tokens,
        reasoning_tokens,
        estimated,
        attempts,
        first_byte_us,
        total_us,
        gateway_us,
        metadata,
        budgets,
        option_index,
        cache,
        saved_nano_usd,
        tried,
        decision,
    } = row;
    let mut members = Members { start: text.len(), text };
    members.text(",\"provider\":", provider);
    members.text(",\"model\":", model);
    members.text(",\"endpoint\":", endpoint);
    members.flag(",\"stream\":", *stream);
    members.text(",\"outcome\":", outcome);
    members.other(error.is_some(), ",\"error\":", error);
    members.number(",\"input_tokens\":", *input_tokens);
    members.number(",\"cached_input_tokens\":", *cached_input_tokens);
    members.number(",\"output_tokens\":", *output_tokens);
    members.number(",\"reasoning_tokens\":", *reasoning_tokens);
    members.flag(",\"estimated\":", *estimated);
    members.number(",\"attempts\":", u64::from(*attempts));
    if let Some(first_byte_us) = first_byte_us {
        members.begin(",\"first_byte_us\":");
        json_text::number(members.text, *first_byte_us);
    }
    members.number(",\"total_us\":", *total_us);
    members.number(",\"gateway_us\":", *gateway_us);
    members.other(!metadata.is_empty(), ",\"metadata\":", metadata);
    if !budgets.is_empty() {
        members.begin(",\"budgets\":");
        json_text::array(members.text, budgets, |text, budget| json_text::string(text, budget));
    }
    members.text(",\"option_index\":", option_index);
    members.text(",\"cache\":", cache);
    members.other(*saved_nano_usd != 0, ",\"saved_nano_usd\":", saved_nano_usd);
    members.other(!tried.is_empty(), ",\"tried\":", tried);
    if let Some(decision) = decision {
        members.begin(",\"decision\":");
        write_decision(decision, members.text);
    }
    if members.text.len() == members.start {
        members.text.push('{');
    }
    members.text.push('}');
}

fn write_decision(decision: &DecisionRow, text: &mut String) {
    let DecisionRow { config, choices, cache, guards } = decision;
    text.push_str("{\"config\":");
    json_text::string(text, config);
    if !choices.is_empty() {
        text.push_str(",\"choices\":");
        json_text::value(text, choices);
    }
    if let Some(cache) = cache {
        text.push_str(",\"cache\":");
        json_text::string(text, cache);
    }
    if !guards.is_empty() {
        text.push_str(",\"guards\":");
        json_text::array(text, guards, write_guard);
    }
    text.push('}');
}

fn write_guard(text: &mut String, guard: &GuardRow) {
    let GuardRow { id, side, verdict, denied, transformed, failed, erred } = guard;
    text.push_str("{\"id\":");
    json_text::string(text, id);
    text.push_str(",\"side\":");
    json_text::string(text, side);
    text.push_str(",\"verdict\":");
    json_text::flag(text, *verdict);
    for (is_so, member) in [(denied, ",\"denied\":true"), (transformed, ",\"transformed\":true")] {
        text.push_str(if *is_so { member } else { "" });
    }
    for (checks, name) in [(failed, ",\"failed\":"), (erred, ",\"erred\":")] {
        if !checks.is_empty() {
            text.push_str(name);
            json_text::array(text, checks, |text, check| json_text::string(text, check));
        }
    }
    text.push('}');
}

/// Members of a JSON object, as they are written: those that are as they are by default are left out. Names are given
/// with a comma before them, their quotes and their colon.
struct Members<'t> {
    text: &'t mut String,
    /// Where the object begins.
    start: usize,
}

impl Members<'_> {
    fn begin(&mut self, name: &'static str) {
        // The first one has a brace where others have a comma.
        let name = if self.text.len() == self.start { self.open(name) } else { name };
        self.text.push_str(name);
    }

    fn open(&mut self, name: &'static str) -> &'static str {
        self.text.push('{');
        &name[1..]
    }

    fn text(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.begin(name);
            json_text::string(self.text, value);
        }
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        if value {
            self.begin(name);
            self.text.push_str("true");
        }
    }

    fn number(&mut self, name: &'static str, value: u64) {
        if value != 0 {
            self.begin(name);
            json_text::number(self.text, value);
        }
    }

    fn other(&mut self, says_something: bool, name: &'static str, value: &impl Serialize) {
        if says_something {
            self.begin(name);
            json_text::value(self.text, value);
        }
    }
}

impl From<LogRow> for FiledRow {
    fn from(row: LogRow) -> Self {
        (&row).into()
    }
}

impl FiledRow {
    fn part(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..self.ends[at]).unwrap_or_default()
    }

    /// Returns the request's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.part(0)
    }

    /// Returns the trace id.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.part(1)
    }

    /// Returns the key's id.
    #[must_use]
    pub fn key(&self) -> &str {
        self.part(2)
    }

    /// Returns the key's name.
    #[must_use]
    pub fn key_name(&self) -> &str {
        self.part(3)
    }

    /// Returns the id of the key's workspace.
    #[must_use]
    pub fn workspace(&self) -> &str {
        self.part(4)
    }

    /// Returns the JSON text of all that is not by default and has no name of its own here.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.text.get(self.ends[4]..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::ChoiceRow;

    #[test]
    fn a_filed_row_says_what_the_row_said() {
        let row = LogRow {
            id: "é".into(),
            key: "k\"".into(),
            key_name: "name".into(),
            status: 200,
            cost_nano_usd: Some(5),
            started_at_ms: 7,
            model: "m\n\"".into(),
            ..LogRow::default()
        };
        let filed = FiledRow::from(&row);
        let columns = [filed.id(), filed.trace_id(), filed.key(), filed.key_name(), filed.workspace()];
        assert_eq!(columns, ["é", "", "k\"", "name", ""]);
        assert_eq!((filed.status, filed.cost_nano_usd, filed.started_at_ms), (200, Some(5), 7));
        assert_eq!(filed.rest(), r#"{"model":"m\n\""}"#);
        assert_eq!(FiledRow::from(LogRow::default()).rest(), "{}");
    }

    #[test]
    fn a_decision_is_written_as_serde_writes_it() {
        let guard = |denied: bool, transformed, failed: &[&str]| GuardRow {
            id: "a\"b".into(),
            side: "input".into(),
            verdict: !denied,
            denied,
            transformed,
            failed: failed.iter().map(|&check| check.to_owned()).collect(),
            erred: Vec::new(),
        };
        let erred = GuardRow { erred: vec!["é".into()], ..guard(false, true, &[]) };
        let choice = ChoiceRow { at: "config".into(), how: "fallback".into(), chose: None, why: "\n".into() };
        let full = DecisionRow {
            config: "key support".into(),
            choices: vec![choice],
            cache: Some("miss".into()),
            guards: vec![guard(true, false, &["a.b", "c.d"]), erred, guard(false, false, &[])],
        };
        let guarded = DecisionRow { guards: vec![guard(false, false, &[])], ..DecisionRow::default() };
        for decision in [DecisionRow::default(), guarded, full] {
            let mut written = String::new();
            write_decision(&decision, &mut written);
            assert_eq!(written, serde_json::to_string(&decision).unwrap());
        }
    }

    #[test]
    fn numbers_and_flags_are_left_out_by_default() {
        let mut written = String::new();
        let mut members = Members { text: &mut written, start: 0 };
        members.number(",\"a\":", u64::MAX);
        members.number(",\"b\":", 0);
        members.flag(",\"c\":", true);
        assert_eq!(written, format!("{{\"a\":{},\"c\":true", u64::MAX));
    }
}
