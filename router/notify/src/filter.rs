//! Which events a channel wants.

use crate::event::Event;

/// Patterns of event names, and workspaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    events: Vec<String>,
    workspaces: Vec<String>,
}

impl Filter {
    pub(crate) fn new(events: Vec<String>, workspaces: Vec<String>) -> Self {
        Self { events, workspaces }
    }

    /// Returns whether the channel wants the event. Who asks for workspaces gets nothing of the whole organisation.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let kind = event.kind.as_str();
        let kind_fits = self.events.is_empty() || self.events.iter().any(|one| Self::matches(one, kind));
        let workspace_fits = self.workspaces.is_empty()
            || event.workspace.as_ref().is_some_and(|workspace| self.workspaces.contains(workspace));
        kind_fits && workspace_fits
    }

    /// Returns whether `name` fits `pattern`, in which `*` stands for any text.
    pub(crate) fn matches(pattern: &str, name: &str) -> bool {
        let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
        let Some(mut name) = name.strip_prefix(head) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let tail = parts.pop().unwrap_or_default();
        for part in parts {
            // The leftmost place leaves the most for the parts after it.
            let Some(at) = name.find(part) else { return false };
            name = &name[at + part.len()..];
        }
        name.ends_with(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::budget_event;

    #[test]
    fn a_star_stands_for_any_text() {
        for pattern in ["budget.*", "*", "*.threshold", "b*t*d", "budget.threshold", "budget.threshold*"] {
            assert!(Filter::matches(pattern, "budget.threshold"), "{pattern}");
        }
        for pattern in ["budget", "key.*", "*.exhausted", "budget.threshold.*", "", "b*x*d"] {
            assert!(!Filter::matches(pattern, "budget.threshold"), "{pattern}");
        }
        assert!(!Filter::matches("ab*ba", "aba"));
    }

    #[test]
    fn an_empty_filter_wants_everything() {
        assert!(Filter::default().wants(&budget_event("a")));
    }

    #[test]
    fn a_filter_of_workspaces_keeps_others_and_the_organisation_out() {
        let filter = Filter::new(Vec::new(), vec!["support".into()]);
        let mut event = budget_event("a");
        assert!(filter.wants(&event));
        event.workspace = Some("sales".into());
        assert!(!filter.wants(&event));
        event.workspace = None;
        assert!(!filter.wants(&event));
    }
}
