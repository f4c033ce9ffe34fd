//! A draft as the text of a settings file.
//!
//! Everything that comes from the input is quoted or, in comments, freed of control characters: no value can end its
//! string or its line.

use std::fmt::Write as _;

use serde_json::Value;

use crate::draft::{Budget, Document, Draft, Key, Limit, Line, Period, Provider};
use crate::json_text;
use crate::note::Converted;

/// Columns of a comment.
const WIDTH: usize = 110;

impl Draft {
    /// Writes the file.
    pub(crate) fn render(mut self) -> Converted {
        let mut text = String::new();
        let variables = std::mem::take(&mut self.variables).into_found();
        comment(&mut text, &format!("Made by `tidegate import` from {}.", self.source), "");
        if !variables.is_empty() {
            text.push_str("#\n# Set these before the gateway starts:\n");
        }
        for variable in &variables {
            let line = match &variable.masked {
                Some(masked) => format!("{}={masked}  (in clear text at {})", variable.name, variable.path),
                None => format!("{}  ({})", variable.name, variable.path),
            };
            comment(&mut text, &line, "  ");
        }
        if !self.notes.is_empty() {
            text.push_str("#\n# Not taken over as it was, or to be looked at:\n");
        }
        for note in &self.notes {
            comment(&mut text, &format!("{}: {}", note.path, note.message), "  ");
        }
        if !self.top.is_empty() {
            text.push('\n');
        }
        lines(&mut text, &self.top);
        for (name, members) in [("cache", &self.cache), ("log", &self.log), ("limits", &self.limits)] {
            if !members.is_empty() {
                let _ = writeln!(text, "\n[{name}]");
                lines(&mut text, members);
            }
        }
        for each in &self.providers {
            provider(&mut text, each);
        }
        for each in &self.keys {
            key(&mut text, each);
        }
        for each in &self.guardrails {
            document(&mut text, "guardrail", each);
        }
        for each in &self.configs {
            document(&mut text, "config", each);
        }
        Converted { toml: text, notes: self.notes, variables }
    }
}

fn lines(text: &mut String, lines: &[Line]) {
    for Line { name, value, comment } in lines {
        let comment = if comment.is_empty() { String::new() } else { format!("  # {comment}") };
        let _ = writeln!(text, "{name} = {value}{comment}");
    }
}

fn provider(text: &mut String, provider: &Provider) {
    text.push_str("\n[[provider]]\n");
    comment(text, &provider.comment, "");
    member(text, "slug", &quoted(&provider.slug));
    member(text, "vendor", &quoted(&provider.vendor));
    if let Some(api_key) = &provider.api_key {
        member(text, "api_key", &quoted(api_key));
    }
    if let Some(base_url) = &provider.base_url {
        member(text, "base_url", &quoted(base_url));
    }
    if provider.trusted {
        member(text, "trusted", "true");
    }
    table(text, "options", &provider.options);
    list(text, "models", &provider.models);
    if !provider.prices.is_empty() {
        text.push_str("# US dollars per million tokens\n");
        let prices = provider.prices.iter().map(|(model, prices)| {
            let prices: Vec<String> =
                prices.iter().map(|(name, price)| format!("{name} = {price}")).collect();
            format!("{} = {{ {} }}", quoted(model), prices.join(", "))
        });
        member(text, "prices", &format!("{{ {} }}", prices.collect::<Vec<_>>().join(", ")));
    }
    limits(text, &provider.limits);
    budget(text, provider.budget.as_ref());
}

fn key(text: &mut String, key: &Key) {
    text.push_str("\n[[key]]\n");
    comment(text, &key.comment, "");
    member(text, "name", &quoted(&key.name));
    if let Some(reference) = &key.key {
        member(text, "key", &quoted(reference));
    }
    list(text, "models", &key.models);
    if let Some(config) = &key.config {
        member(text, "config", &quoted(config));
    }
    if let Some(allow) = key.allow_config_override {
        member(text, "allow_config_override", &allow.to_string());
    }
    limits(text, &key.limits);
    budget(text, key.budget.as_ref());
    table(text, "metadata", &key.metadata);
    if let Some(moment) = &key.expires_at {
        member(text, "expires_at", &quoted(moment));
    }
}

fn document(text: &mut String, name: &str, document: &Document) {
    let _ = writeln!(text, "\n[[{name}]]");
    comment(text, &document.comment, "");
    member(text, "id", &quoted(&document.id));
    member(text, "json", &multiline(&document.json));
}

fn member(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name} = {value}");
}

fn table(text: &mut String, name: &str, members: &[(String, String)]) {
    if members.is_empty() {
        return;
    }
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{} = {}", key_name(name), quoted(value))).collect();
    member(text, name, &format!("{{ {} }}", members.join(", ")));
}

fn list(text: &mut String, name: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    let line = format!("[{}]", items.join(", "));
    if name.len() + line.chars().count() < WIDTH {
        return member(text, name, &line);
    }
    member(text, name, &format!("[\n  {},\n]", items.join(",\n  ")));
}

fn limits(text: &mut String, limits: &[Limit]) {
    if limits.is_empty() {
        return;
    }
    let limits = limits.iter().map(|limit| match limit {
        Limit::Requests(amount, per) => format!("{{ requests = {amount}, per = \"{per}\" }}"),
        Limit::Tokens(amount, per) => format!("{{ tokens = {amount}, per = \"{per}\" }}"),
        Limit::Concurrent(amount) => format!("{{ concurrent = {amount} }}"),
    });
    member(text, "limits", &format!("[{}]", limits.collect::<Vec<_>>().join(", ")));
}

fn budget(text: &mut String, budget: Option<&Budget>) {
    let Some(Budget { usd, period }) = budget else { return };
    let period = match period {
        Period::Never => String::new(),
        Period::Named(name) => format!(", period = \"{name}\""),
        Period::Days(days) => format!(", days = {days}"),
    };
    member(text, "budget", &format!("{{ usd = {}{period} }}", quoted(usd)));
}

/// Writes a comment, wrapped; nothing when it is empty. Paragraphs end at line breaks.
fn comment(text: &mut String, message: &str, indent: &str) {
    if message.is_empty() {
        return;
    }
    let mut line = format!("# {indent}");
    let start = line.chars().count();
    let mut width = start;
    for word in message.split_whitespace() {
        let word: String = word.chars().filter(|letter| !letter.is_control()).collect();
        let length = word.chars().count();
        if width > start && width + length >= WIDTH {
            text.push_str(line.trim_end());
            line = format!("\n# {indent}{}", if indent.is_empty() { "" } else { "  " });
            width = start + indent.len();
        }
        line.push_str(&word);
        line.push(' ');
        width += length + 1;
    }
    text.push_str(line.trim_end_matches(' '));
    text.push('\n');
}

fn key_name(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// Writes a basic string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes JSON as a literal of several lines, or as a basic string where it holds what a literal can't.
fn multiline(json: &Value) -> String {
    let json = json_text::pretty(json);
    let is_literal =
        !json.contains("'''") && !json.contains(|letter: char| letter.is_control() && letter != '\n');
    if !is_literal {
        return quoted(&json);
    }
    format!("'''\n{json}\n'''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_string_or_its_line() {
        let mut draft = Draft { source: "a test", ..Draft::default() };
        let evil = "a\"\n[[key]]\u{7f}\u{1}\\ ''' é \r\n# x";
        draft.note(evil, evil);
        draft.providers.push(Provider {
            slug: "s".into(),
            vendor: evil.into(),
            options: vec![(evil.into(), evil.into())],
            models: vec![evil.into()],
            comment: evil.into(),
            ..Provider::default()
        });
        let json = serde_json::json!({"a": evil});
        draft.configs.push(Document { id: evil.into(), json: json.clone(), comment: evil.into() });
        let text = draft.render().toml;
        let read: toml::Table = text.parse().unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert!(read.get("key").is_none(), "{text}");
        assert_eq!(read["provider"][0]["vendor"].as_str(), Some(evil));
        assert_eq!(read["provider"][0]["options"][evil].as_str(), Some(evil));
        let config: Value = serde_json::from_str(read["config"][0]["json"].as_str().unwrap()).unwrap();
        assert_eq!(config, json);
    }
}
