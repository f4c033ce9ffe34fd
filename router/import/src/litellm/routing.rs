//! The config that sends names to deployments.

use serde_json::{Map, Value, json};

use super::deployments::{Deployment, Group};
use super::router_settings::Routing;
use crate::draft::Draft;

/// After these the next deployment of a name is tried, as LiteLLM's retries do.
const NEXT: [u16; 9] = [401, 403, 408, 429, 500, 502, 503, 504, 529];
/// Regular expressions that one config may hold.
const MOST_PATTERNS: usize = 32;
/// The target of what no name matches.
const AS_ASKED: &str = "as asked";

/// Makes the config.
pub(super) fn config(groups: &[Group], routing: &Routing, draft: &mut Draft) -> Value {
    let maker = Maker { groups, routing };
    let (mut conditions, mut targets): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for group in maker.exact(draft) {
        let mut names = vec![group.name.clone()];
        names.extend(maker.aliases_of(&group.name));
        // An alias beats the name that it hides.
        names.retain(|name| maker.alias(name).is_none_or(|target| target == group.name));
        if names.is_empty() {
            continue;
        }
        let query = match names.as_slice() {
            [name] => json!({"params.model": name}),
            names => json!({"params.model": {"$in": names}}),
        };
        conditions.push(json!({"query": query, "then": group.name}));
        targets.push(named(&group.name, maker.with_fallbacks(&group, draft)));
    }
    let mut patterns: Vec<&Group> = groups.iter().filter(|group| group.name.contains('*')).collect();
    // The longest is the most particular.
    patterns.sort_by_key(|group| std::cmp::Reverse(group.name.len()));
    let mut as_asked = AS_ASKED.to_owned();
    while groups.iter().any(|group| group.name == as_asked) {
        as_asked.push('.');
    }
    for (number, group) in patterns.into_iter().filter(|group| group.name != "*").enumerate() {
        if number == MOST_PATTERNS {
            draft.note(
                group.path.clone(),
                "this and shorter patterns are left out: a config holds at most 32",
            );
            break;
        }
        let query = json!({"params.model": {"$regex": regex(&group.name)}});
        match passing(group, draft) {
            Some(group) => {
                conditions.push(json!({"query": query, "then": group.name}));
                targets.push(named(&group.name, maker.with_fallbacks(&group, draft)));
            }
            // It must not go where a shorter pattern would send it.
            None => conditions.push(json!({"query": query, "then": as_asked})),
        }
    }
    let all = groups.iter().find(|group| group.name == "*").and_then(|group| passing(group, draft));
    let default = all.as_ref().map_or(&as_asked, |group| &group.name).clone();
    if let Some(group) = &all {
        targets.push(named(&group.name, maker.with_fallbacks(group, draft)));
    }
    if all.is_none() || conditions.iter().any(|condition| condition["then"] == as_asked.as_str()) {
        targets.push(json!({"name": as_asked, "retry": {"attempts": routing.retries()}}));
    }
    for (alias, target) in &routing.aliases {
        if maker.find(target).is_none() {
            draft.note("router_settings.model_group_alias", format!("{alias}: there is no model {target}"));
        }
    }
    if routing.has_retries() && groups.iter().any(|group| group.deployments.len() > 1) {
        draft.note(
            "num_retries",
            "of names with several deployments each deployment is asked once, the next one after a failure; other \
             names are tried again so often",
        );
    }
    let mut root = Map::new();
    if let Some(ms) = routing.timeout {
        root.insert("request_timeout".to_owned(), json!(ms));
    }
    if let Some(ms) = routing.stream_timeout {
        root.insert("timeouts".to_owned(), json!({"first_token_ms": ms}));
    }
    if let Some(cache) = &routing.cache {
        root.insert("cache".to_owned(), cache.clone());
    }
    if !routing.input_guardrails.is_empty() {
        root.insert("input_guardrails".to_owned(), json!(routing.input_guardrails));
    }
    let strategy = json!({"mode": "conditional", "conditions": conditions, "default": default});
    root.insert("strategy".to_owned(), strategy);
    root.insert("targets".to_owned(), Value::Array(targets));
    Value::Object(root)
}

struct Maker<'a> {
    groups: &'a [Group],
    routing: &'a Routing,
}

impl Maker<'_> {
    /// Returns the names without stars, and those that only fallbacks and aliases name but a pattern takes.
    fn exact(&self, draft: &mut Draft) -> Vec<Group> {
        let mut exact: Vec<Group> =
            self.groups.iter().filter(|group| !group.name.contains('*')).cloned().collect();
        let targets = self.routing.aliases.iter().map(|(_, target)| target);
        for name in targets {
            if let Some(group) = self.beyond(name, &exact) {
                exact.push(group);
            }
        }
        for (name, _) in self.routing.fallbacks.iter().chain(&self.routing.context_fallbacks) {
            if let Some(group) = self.beyond(name, &exact) {
                exact.push(group);
            } else if let Some(target) = self.alias(name) {
                draft.note(
                    "fallbacks",
                    format!("{name} is an alias, its fallbacks are left out; give them to {target}"),
                );
            } else if !exact.iter().chain(self.groups).any(|group| group.name == *name) {
                draft.note("fallbacks", format!("there is no model {name}"));
            }
        }
        exact
    }

    /// Returns a name that only a pattern takes, as one of its own.
    fn beyond(&self, name: &str, exact: &[Group]) -> Option<Group> {
        if name.contains('*') || exact.iter().any(|group| group.name == name) {
            return None;
        }
        self.find(name).filter(|group| group.name == name)
    }

    fn aliases_of(&self, name: &str) -> Vec<String> {
        let of = self.routing.aliases.iter().filter(|(alias, target)| target == name && alias != name);
        of.map(|(alias, _)| alias.clone()).collect()
    }

    fn alias(&self, name: &str) -> Option<&str> {
        let found = self.routing.aliases.iter().find(|(alias, _)| alias == name);
        found
            .map(|(_, target)| target.as_str())
            .filter(|target| self.groups.iter().any(|it| it.name == *target))
    }

    /// Returns what stands behind a name: its alias, the name itself, or a pattern that takes it.
    fn find(&self, name: &str) -> Option<Group> {
        let name = self.alias(name).unwrap_or(name);
        if let Some(group) = self.groups.iter().find(|group| group.name == name) {
            return Some(group.clone());
        }
        let mut patterns: Vec<&Group> = self.groups.iter().filter(|group| group.name.contains('*')).collect();
        patterns.sort_by_key(|group| std::cmp::Reverse(group.name.len()));
        let (group, star) = patterns.iter().find_map(|group| Some((*group, captured(&group.name, name)?)))?;
        let mut group = group.clone();
        group.name = name.to_owned();
        for deployment in &mut group.deployments {
            deployment.model = deployment.model.replacen('*', star, 1);
        }
        Some(group)
    }

    /// Returns the names that come after one, each once, with those that come after them.
    fn after(&self, name: &str, seen: &mut Vec<String>) {
        let own = self.routing.fallbacks.iter().find(|(of, _)| of == name).map(|(_, names)| names);
        for next in own.unwrap_or(&self.routing.generic) {
            let target = self.alias(next).unwrap_or(next);
            if !seen.iter().any(|known| known == target) {
                seen.push(target.to_owned());
                self.after(target, seen);
            }
        }
    }

    fn with_fallbacks(&self, group: &Group, draft: &mut Draft) -> Value {
        let mut node = self.node(group);
        let context = self.routing.context_fallbacks.iter().find(|(name, _)| *name == group.name);
        if let Some((_, names)) = context {
            let strategy = json!({"mode": "fallback", "on_status_codes": [400, 413]});
            node = self.chain(strategy, node, names, draft);
            draft.note(
                "context_window_fallbacks",
                "vendors say that a request is too long with status 400 like other mistakes, so every 400 goes on to \
                 the larger model",
            );
        }
        let mut names = vec![group.name.clone()];
        self.after(&group.name, &mut names);
        self.chain(json!({"mode": "fallback"}), node, &names[1..], draft)
    }

    fn chain(&self, mut strategy: Value, first: Value, names: &[String], draft: &mut Draft) -> Value {
        let mut targets = vec![first];
        for name in names {
            match self.find(name) {
                Some(group) if !group.deployments.iter().any(|it| it.model.contains('*')) => {
                    targets.push(self.node(&group));
                }
                _ => draft.note("fallbacks", format!("there is no model {name}")),
            }
        }
        if targets.len() == 1 {
            return targets.remove(0);
        }
        self.add_breaker(&mut strategy);
        json!({"strategy": strategy, "targets": targets})
    }

    /// A name without its fallbacks: a target, or its deployments by order and weight.
    fn node(&self, group: &Group) -> Value {
        if let [one] = group.deployments.as_slice() {
            let mut target = target(one);
            target.entry("retry").or_insert_with(|| json!({"attempts": self.routing.retries()}));
            return Value::Object(target);
        }
        let mut strategy = json!({"mode": "priority", "on_status_codes": NEXT});
        if let Some(by) = self.routing.by {
            strategy["by"] = json!(by);
        }
        self.add_breaker(&mut strategy);
        let last = group.deployments.iter().filter_map(|it| it.order).max().unwrap_or(0);
        // What is measured decides alone, as with LiteLLM.
        let weights = if self.routing.by.is_none() { weights(&group.deployments) } else { None };
        let target = |(at, deployment): (usize, &Deployment)| {
            let mut target = target(deployment);
            // Without an order a deployment comes after those that have one.
            target.insert(
                "priority".to_owned(),
                json!(deployment.order.map_or(u64::from(last) + 1, u64::from)),
            );
            if let Some(weights) = &weights {
                target.insert("weight".to_owned(), weights[at].clone());
            }
            Value::Object(target)
        };
        let targets: Vec<Value> = group.deployments.iter().enumerate().map(target).collect();
        json!({"strategy": strategy, "targets": targets})
    }

    fn add_breaker(&self, strategy: &mut Value) {
        if let Some(breaker) = self.routing.breaker() {
            strategy["cb_config"] = breaker;
        }
    }
}

/// LiteLLM spreads by `weight`, else by `rpm`, else by `tpm`; what has none of it is then never chosen.
fn weights(deployments: &[Deployment]) -> Option<Vec<Value>> {
    let by = |of: &dyn Fn(&Deployment) -> Option<f64>| {
        let any = deployments.iter().any(|it| of(it).is_some_and(|weight| weight > 0.0));
        any.then(|| deployments.iter().map(|it| number(of(it).unwrap_or(0.0).min(1e9))).collect())
    };
    by(&|it| it.weight).or_else(|| by(&|it| it.rpm)).or_else(|| by(&|it| it.tpm))
}

/// Whole numbers without a fraction.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and at most 1e9")]
    if value.fract() == 0.0 { json!(value as u64) } else { json!(value) }
}

fn target(deployment: &Deployment) -> Map<String, Value> {
    let mut target = Map::new();
    target.insert("provider".to_owned(), json!(format!("@{}", deployment.slug)));
    target.extend(deployment.target.clone());
    if !deployment.model.contains('*') {
        let params = target.entry("override_params").or_insert_with(|| json!({}));
        params["model"] = json!(deployment.model);
    }
    target
}

fn named(name: &str, node: Value) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), json!(name));
    if let Value::Object(own) = node {
        members.extend(own);
    }
    Value::Object(members)
}

/// Returns the deployments of a pattern to which the asked name can go as it is: a config can't rewrite names.
fn passing(group: &Group, draft: &mut Draft) -> Option<Group> {
    let (kept, lost): (Vec<Deployment>, Vec<Deployment>) =
        group.deployments.iter().cloned().partition(|it| it.model == group.name || !it.model.contains('*'));
    for lost in lost {
        draft.note(
            group.path.clone(),
            format!(
                "{}: a config can't take a part out of the asked name; ask for @{}/NAME, or add a model_name for \
                 each model and convert again",
                group.name, lost.slug
            ),
        );
    }
    (!kept.is_empty()).then(|| Group { deployments: kept, ..group.clone() })
}

/// Returns what the first star of a pattern stands for in a name.
fn captured<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let (start, end) = pattern.split_once('*')?;
    name.strip_prefix(start)?.strip_suffix(end)
}

fn regex(pattern: &str) -> String {
    let mut regex = "^".to_owned();
    for letter in pattern.chars() {
        match letter {
            '*' => regex.push_str(".*"),
            letter if letter.is_ascii_punctuation() && !"-_/:@".contains(letter) => {
                regex.push('\\');
                regex.push(letter);
            }
            letter => regex.push(letter),
        }
    }
    regex.push('$');
    regex
}
