//! Policies, found by the workspace that they are for and by a value that they ask for.

use std::sync::Arc;

use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use tidegate_store::ObjectRecord;

use super::Bad;
use super::policy::{Facts, Key, Scope};
use super::rules::kept;

/// By id: ids grow with time, so that policies come in the order in which they were made.
type ById<T> = RedBlackTreeMapSync<Arc<str>, Arc<T>>;

/// A policy of either kind.
pub(super) trait Scoped {
    /// Returns what it applies to.
    fn scope(&self) -> &Scope;
}

/// Policies of one workspace, or of everyone. A copy shares all that isn't changed after.
#[derive(Debug)]
struct List<T> {
    all: ById<T>,
    /// Those with a condition that asks for certain values: a request looks at those of its own value only.
    by_value: HashTrieMapSync<Key, HashTrieMapSync<String, ById<T>>>,
    /// The others.
    rest: ById<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { all: ById::default(), by_value: HashTrieMapSync::default(), rest: ById::default() }
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self { all: self.all.clone(), by_value: self.by_value.clone(), rest: self.rest.clone() }
    }
}

impl<T: Scoped> List<T> {
    fn put(&mut self, id: &str, policy: T) {
        self.remove(id);
        let (id, policy): (Arc<str>, _) = (id.into(), Arc::new(policy));
        match policy.scope().asks_for() {
            None => self.rest.insert_mut(id.clone(), policy.clone()),
            Some((key, values)) => {
                let mut of_key = self.by_value.get(key).cloned().unwrap_or_default();
                for value in values {
                    let of_value = of_key.get(value).cloned().unwrap_or_default();
                    of_key.insert_mut(value.clone(), of_value.insert(id.clone(), policy.clone()));
                }
                self.by_value.insert_mut(key.clone(), of_key);
            }
        }
        self.all.insert_mut(id, policy);
    }

    fn remove(&mut self, id: &str) {
        let Some(policy) = self.all.get(id).cloned() else { return };
        self.all.remove_mut(id);
        self.rest.remove_mut(id);
        let Some((key, values)) = policy.scope().asks_for() else { return };
        let Some(mut of_key) = self.by_value.get(key).cloned() else { return };
        for value in values {
            let Some(of_value) = of_key.get(value).map(|of_value| of_value.remove(id)) else { continue };
            match of_value.is_empty() {
                true => drop(of_key.remove_mut(value)),
                false => of_key.insert_mut(value.clone(), of_value),
            }
        }
        match of_key.is_empty() {
            true => drop(self.by_value.remove_mut(key)),
            false => self.by_value.insert_mut(key.clone(), of_key),
        }
    }

    fn of<'a>(&'a self, facts: Facts<'a>) -> impl Iterator<Item = &'a T> {
        let asked = self.by_value.iter().filter_map(move |(key, values)| values.get(key.of(&facts)?));
        self.rest.values().chain(asked.flat_map(ById::values)).map(|policy| &**policy)
    }
}

/// Policies by workspace. Cheap to clone, and to change: a copy shares all that isn't changed after.
#[derive(Debug)]
pub(super) struct ByWorkspace<T> {
    /// Those of every workspace.
    everyones: List<T>,
    by_workspace: RedBlackTreeMapSync<Arc<str>, List<T>>,
}

impl<T> Default for ByWorkspace<T> {
    fn default() -> Self {
        Self { everyones: List::default(), by_workspace: RedBlackTreeMapSync::default() }
    }
}

impl<T> Clone for ByWorkspace<T> {
    fn clone(&self) -> Self {
        Self { everyones: self.everyones.clone(), by_workspace: self.by_workspace.clone() }
    }
}

impl<T: Scoped> ByWorkspace<T> {
    /// Puts a policy in force as it is now; without `object` takes it out. A policy never changes its workspace.
    pub(super) fn put(
        &mut self,
        id: &str,
        object: Option<&ObjectRecord>,
        read: fn(&ObjectRecord) -> Result<T, Bad>,
    ) {
        let Some(object) = object else { return self.remove(id) };
        let Some(policy) = kept(object, read(object)) else { return self.remove(id) };
        match object.workspace.as_deref() {
            None => self.everyones.put(id, policy),
            Some(own) => {
                let mut list = self.by_workspace.get(own).cloned().unwrap_or_default();
                list.put(id, policy);
                self.by_workspace.insert_mut(own.into(), list);
            }
        }
    }

    fn remove(&mut self, id: &str) {
        if self.everyones.all.contains_key(id) {
            return self.everyones.remove(id);
        }
        let own = self.by_workspace.iter().find(|(_, list)| list.all.contains_key(id));
        let Some((own, mut list)) = own.map(|(own, list)| (own.clone(), list.clone())) else { return };
        list.remove(id);
        match list.all.is_empty() {
            true => drop(self.by_workspace.remove_mut(&own)),
            false => self.by_workspace.insert_mut(own, list),
        }
    }

    /// Returns the policies that a request may fall under, those of every workspace first.
    pub(super) fn of<'a>(&'a self, facts: Facts<'a>) -> impl Iterator<Item = &'a T> {
        let own = self.by_workspace.get(facts.workspace).into_iter().flat_map(move |list| list.of(facts));
        self.everyones.of(facts).chain(own)
    }

    /// Returns whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.everyones.all.is_empty() && self.by_workspace.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governance::policy::UsagePolicy;
    use crate::governance::rules::usage_policy;
    use serde_json::{Value, json};
    use tidegate_store::ObjectKind;

    fn object(id: &str, workspace: Option<&str>, conditions: Value) -> ObjectRecord {
        ObjectRecord {
            kind: ObjectKind::UsagePolicy,
            id: id.to_owned(),
            workspace: workspace.map(str::to_owned),
            slug: id.to_owned(),
            version: 1,
            body: json!({"conditions": conditions, "group_by": [], "type": "cost", "credit_limit": 1, "name": id}),
            created_at_ms: 0,
            created_by: String::new(),
            updated_at_ms: 0,
            updated_by: String::new(),
        }
    }

    fn found(all: &ByWorkspace<UsagePolicy>, team: &str, workspace: &str) -> Vec<String> {
        let metadata = [("team".to_owned(), team.to_owned())].into();
        let facts = Facts {
            key: "k1",
            metadata: &metadata,
            slug: "oa",
            vendor: "openai",
            config: None,
            model: "gpt-4o",
            endpoint: "/chat/completions",
            workspace,
        };
        all.of(facts).map(|policy| policy.budget.name.clone()).collect()
    }

    #[test]
    fn requests_meet_the_policies_that_may_be_theirs() {
        let mut all = ByWorkspace::default();
        let team = |value: Value| json!([{"key": "metadata.team", "value": value}]);
        for (id, workspace, conditions) in [
            ("a", None, json!([])),
            ("b", Some("w1"), team(json!("red"))),
            ("c", Some("w1"), team(json!(["red", "blue"]))),
            ("d", Some("w1"), team(json!("*"))),
            ("e", Some("w2"), team(json!("red"))),
            ("f", Some("w1"), json!([{"key": "model", "value": "@oa/*"}])),
        ] {
            all.put(id, Some(&object(id, workspace, conditions)), usage_policy);
        }
        assert_eq!(found(&all, "red", "w1"), ["a", "d", "f", "b", "c"]);
        assert_eq!(found(&all, "blue", "w1"), ["a", "d", "f", "c"]);
        assert_eq!(found(&all, "red", "w2"), ["a", "e"]);
        let before = all.clone();
        all.put("c", Some(&object("c", Some("w1"), team(json!("green")))), usage_policy);
        for id in ["b", "d", "a", "e"] {
            all.put(id, None, usage_policy);
        }
        assert_eq!(found(&all, "red", "w1"), ["f"]);
        assert_eq!(found(&all, "green", "w1"), ["f", "c"]);
        assert_eq!(found(&before, "blue", "w1"), ["a", "d", "f", "c"], "what was given out stays as it was");
        all.put("c", None, usage_policy);
        all.put("f", None, usage_policy);
        assert!(all.is_empty());
    }
}
