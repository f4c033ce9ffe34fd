//! Plans of configs that were read before, so that a saved config costs its reading once.

use std::sync::Arc;

use dashmap::DashMap;
use tidegate_config::{ConfigError, Plan};

/// Plans kept; all are forgotten when there are more, which only a stream of ever new inline configs brings about.
const MOST: usize = 1_024;
/// Longer configs are not kept.
const LONGEST: usize = 64 << 10;

/// The plans, by the text they were read from: a changed config is another text.
pub struct Plans {
    known: DashMap<Box<str>, Arc<Plan>>,
    bare: Arc<Plan>,
}

impl Default for Plans {
    fn default() -> Self {
        Self { known: DashMap::new(), bare: Arc::new(Plan::bare()) }
    }
}

impl Plans {
    /// Returns the plan of a request without a config.
    #[must_use]
    pub fn bare(&self) -> Arc<Plan> {
        self.bare.clone()
    }

    /// Returns the plan of a config.
    ///
    /// # Errors
    /// [`ConfigError`] when it is none.
    pub fn get(&self, json: &str) -> Result<Arc<Plan>, ConfigError> {
        if let Some(plan) = self.known.get(json) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(Plan::parse(json)?);
        if json.len() <= LONGEST {
            if self.known.len() >= MOST {
                self.known.clear();
            }
            self.known.insert(json.into(), plan.clone());
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read_once_and_memory_is_bounded() {
        let plans = Plans::default();
        let first = plans.get("{}").unwrap();
        assert!(Arc::ptr_eq(&first, &plans.get("{}").unwrap()));
        for at in 0..3 * MOST {
            plans.get(&format!(r#"{{"name": "{at}"}}"#)).unwrap();
            assert!(plans.known.len() <= MOST);
        }
        assert!(plans.get("{").is_err());
    }
}
