//! An explanation for people.

use std::fmt::Write;

use super::view::{Explanation, GuardView, NodeView, Refusal, SeenView, TargetView};
use crate::routing::reasons::cut;

impl Explanation {
    /// Returns the explanation as text, one fact a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        page.line(0, &format!("POST {} with key {}", self.endpoint, self.key));
        page.line(0, &format!("config: {}", self.config.as_deref().unwrap_or("none")));
        for note in &self.notes {
            page.line(0, &format!("note: {} {}", note.path, note.message));
        }
        match (&self.asked_first, &self.refused) {
            (_, Some(refusal)) => page.line(0, &format!("refused: {}", refused(refusal))),
            (Some(target), None) => page.line(0, &format!("asked first: {target}")),
            (None, None) => {}
        }
        if let Some(plan) = &self.plan {
            page.line(0, "\nplan");
            page.node(plan, 1);
        }
        if !self.choices.is_empty() {
            page.line(0, "\nchoices");
        }
        for choice in &self.choices {
            let chose = choice.chose.as_deref().unwrap_or("nothing more");
            page.line(1, &format!("{} ({}) chose {chose}: {}", choice.at, choice.how, choice.why));
        }
        let mut targets: Vec<&TargetView> = self.targets.iter().collect();
        targets.sort_by_key(|target| target.turn.unwrap_or(usize::MAX));
        if !targets.is_empty() {
            page.line(0, "\ntargets, in the order in which they would be asked");
        }
        for target in targets {
            page.target(target);
        }
        if self.left_out > 0 {
            page.line(1, &format!("{} more were not looked at", self.left_out));
        }
        page.text
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        // What callers and configs say must not steer a terminal.
        let plain = text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{:width$}{plain}", "", width = depth * 2);
    }

    fn fact(&mut self, name: &str, text: &str) {
        self.line(3, &format!("{name:<11}{text}"));
    }

    fn node(&mut self, node: &NodeView, depth: usize) {
        let name = node.name.as_deref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let by = if node.by.is_empty() { String::new() } else { format!(": {}", node.by.join("; ")) };
        self.line(depth, &format!("{}{name}  {}{by}", node.path, node.how));
        for (at, condition) in node.conditions.iter().enumerate() {
            let holds = told(condition.holds);
            self.line(depth + 1, &format!("conditions[{at}] then {}: {holds}", condition.then));
            for seen in &condition.seen {
                self.line(depth + 2, &test(seen));
            }
        }
        for child in &node.children {
            self.node(child, depth + 1);
        }
    }

    fn target(&mut self, target: &TargetView) {
        let turn = target.turn.map_or_else(|| "-".to_owned(), |turn| turn.to_string());
        let state = match (&target.refused, target.turn) {
            (Some(_), _) => "can't be asked",
            (None, Some(1)) => "asked first",
            (None, Some(_)) => "asked if those before it fail",
            (None, None) => "not chosen",
        };
        self.line(1, &format!("{turn}. {}  {state}", target.target));
        if let Some(refusal) = &target.refused {
            self.fact("refused", &refused(refusal));
        }
        if let Some(provider) = &target.provider {
            let vendor = target.vendor.as_deref().unwrap_or_default();
            let model = target.model.as_deref().map(|model| format!(", model {model}")).unwrap_or_default();
            self.fact("provider", &format!("@{provider} ({vendor}){model}"));
        }
        if let Some(url) = &target.url {
            self.fact("url", url);
            self.fact("headers", &target.headers.join(", "));
        }
        for parameter in &target.parameters {
            let value = parameter.value.as_ref().map_or_else(
                || "is left out".to_owned(),
                |value| format!("becomes {}", cut(&value.to_string())),
            );
            self.fact("body", &format!("{} {value} ({})", parameter.name, parameter.by));
        }
        for each in &target.guards {
            self.fact("guard", &guard(each));
        }
        if let Some(price) = &target.price {
            let both = format!("{} USD in, {} USD out for a million tokens", price.input, price.output);
            self.fact("price", &both);
        } else if target.provider.is_some() {
            self.fact("price", "not known");
        }
        let input = target.likely_input_tokens;
        for hold in &target.holds {
            self.fact("hold", &format!("{} USD of budget {}", hold.usd, hold.budget));
        }
        if let Some(tokens) = input {
            let cap = target.output_cap.map(|cap| format!("; at most {cap} out")).unwrap_or_default();
            self.fact("tokens", &format!("about {tokens} in{cap}"));
        }
        for (name, list) in
            [("limits", &target.limits), ("health", &target.health), ("timeouts", &target.timeouts)]
        {
            if !list.is_empty() {
                self.fact(name, &list.join(", "));
            }
        }
        self.fact("retries", &target.retry);
        self.fact("cache", &target.cache);
        if !target.settings.is_empty() {
            self.fact("settings", &target.settings.join(", "));
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    let at = refusal.at.as_deref().map(|at| format!(" (at {at})")).unwrap_or_default();
    format!("{} {}{at}", refusal.status, refusal.message)
}

fn told(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "yes",
        Some(false) => "no",
        None => "a plugin was not asked",
    }
}

fn test(seen: &SeenView) -> String {
    let value = seen.value.as_ref().map_or_else(|| "nothing".to_owned(), |value| cut(&value.to_string()));
    let value = if seen.path.ends_with("$plugin") { String::new() } else { format!(" saw {value}:") };
    format!("{} {}{value} {}", seen.path, cut(&seen.test), told(seen.holds))
}

fn guard(guard: &GuardView) -> String {
    let checks: Vec<String> = guard
        .checks
        .iter()
        .map(|check| match (&check.version, &check.digest) {
            (Some(version), Some(digest)) => {
                let short: String = digest.chars().take(12).collect();
                format!("{} (version {version}, {short})", check.id)
            }
            _ => format!("{} (no plugin has it: it judges nothing)", check.id),
        })
        .collect();
    let ways = if guard.ways.is_empty() { String::new() } else { format!(", {}", guard.ways.join(", ")) };
    format!("{} {} {}{ways}: {}", guard.side, guard.kind, guard.id, checks.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::explain::view::{ConditionView, NoteView};

    #[test]
    fn an_explanation_reads_from_the_request_to_the_target() {
        let seen = SeenView {
            path: "metadata.plan".into(),
            test: "$eq \"paid\"".into(),
            value: Some("paid\u{1b}[2J".into()),
            holds: Some(true),
        };
        let told = Explanation {
            endpoint: "/v1/chat/completions".into(),
            key: "tests".into(),
            config: Some("header".into()),
            asked_first: Some("config.targets[1]".into()),
            notes: vec![NoteView { path: "targets[0].foo".into(), message: "is not known".into() }],
            plan: Some(NodeView {
                path: "config".into(),
                how: "conditional".into(),
                conditions: vec![ConditionView {
                    then: "config.targets[1]".into(),
                    holds: Some(true),
                    seen: vec![seen],
                }],
                ..NodeView::default()
            }),
            targets: vec![
                TargetView { target: "config.targets[0]".into(), ..TargetView::default() },
                TargetView { target: "config.targets[1]".into(), turn: Some(1), ..TargetView::default() },
            ],
            ..Explanation::default()
        };
        let text = told.text();
        for part in [
            "POST /v1/chat/completions with key tests\nconfig: header\nnote: targets[0].foo is not known\n",
            "asked first: config.targets[1]\n",
            "  config  conditional\n    conditions[0] then config.targets[1]: yes\n",
            "      metadata.plan $eq \"paid\" saw \"paid\\u001b[2J\": yes\n",
            "  1. config.targets[1]  asked first\n",
            "  -. config.targets[0]  not chosen\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
