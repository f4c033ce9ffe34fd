//! Plans of configs that were read before, so that a config costs its reading once.

use std::sync::Arc;

use dashmap::DashMap;
use tidegate_config::{ConfigError, Plan};

/// Plans of saved configs kept. There are as many as the operator wrote, and older versions of them.
const SAVED: usize = 1_024;
/// Plans of inline configs kept; clients may send ever new ones.
const INLINE: usize = 128;
/// Inline configs that are heavier, with what is made of them, are not kept.
const HEAVIEST: usize = 128 << 10;

/// The plans, by the text they were read from: a changed config is another text.
pub struct Plans {
    saved: DashMap<Box<str>, Arc<Plan>>,
    inline: DashMap<Box<str>, Arc<Plan>>,
    bare: Arc<Plan>,
}

impl Default for Plans {
    fn default() -> Self {
        Self { saved: DashMap::new(), inline: DashMap::new(), bare: Arc::new(Plan::bare()) }
    }
}

impl Plans {
    /// Returns the plan of a request without a config.
    #[must_use]
    pub fn bare(&self) -> Arc<Plan> {
        self.bare.clone()
    }

    /// Returns whether a plan is that of a request without a config.
    #[must_use]
    pub fn is_bare(&self, plan: &Arc<Plan>) -> bool {
        Arc::ptr_eq(plan, &self.bare)
    }

    /// Returns the plan of a config that the operator wrote.
    ///
    /// # Errors
    /// [`ConfigError`] when it is none.
    pub fn saved(&self, json: &str) -> Result<Arc<Plan>, ConfigError> {
        read(&self.saved, json, SAVED, usize::MAX)
    }

    /// Returns the plan of a config that a client sent.
    ///
    /// # Errors
    /// [`ConfigError`] when it is none.
    pub fn inline(&self, json: &str) -> Result<Arc<Plan>, ConfigError> {
        read(&self.inline, json, INLINE, HEAVIEST)
    }
}

fn read(
    known: &DashMap<Box<str>, Arc<Plan>>,
    json: &str,
    most: usize,
    heaviest: usize,
) -> Result<Arc<Plan>, ConfigError> {
    if let Some(plan) = known.get(json) {
        return Ok(plan.clone());
    }
    let plan = Arc::new(Plan::parse(json)?);
    if json.len() + plan.weight() <= heaviest {
        if known.len() >= most {
            known.clear();
        }
        known.insert(json.into(), plan.clone());
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read_once_and_memory_is_bounded() {
        let plans = Plans::default();
        let first = plans.inline("{}").unwrap();
        assert!(Arc::ptr_eq(&first, &plans.inline("{}").unwrap()));
        let saved = plans.saved("{}").unwrap();
        for at in 0..3 * SAVED {
            plans.inline(&format!(r#"{{"name": "{at}"}}"#)).unwrap();
            assert!(plans.inline.len() <= INLINE);
        }
        // Clients don't push saved configs out.
        assert!(Arc::ptr_eq(&saved, &plans.saved("{}").unwrap()));
        assert!(plans.inline("{").is_err());
    }

    #[test]
    fn heavy_inline_configs_are_not_kept() {
        let plans = Plans::default();
        let target = r#"{"override_params": {"a": 1}}"#;
        let parent: Vec<String> = (0..500).map(|at| format!(r#""p{at}": 1"#)).collect();
        let config = format!(
            r#"{{"strategy": {{"mode": "fallback"}}, "override_params": {{{}}}, "targets": [{target}, {target}, {target}]}}"#,
            parent.join(",")
        );
        let plan = plans.inline(&config).unwrap();
        assert!(plan.weight() > HEAVIEST, "{}", plan.weight());
        assert!(plans.inline.is_empty());
    }
}
