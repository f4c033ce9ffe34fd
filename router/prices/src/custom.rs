//! Prices a person wrote for one provider: `prices = { "my-model" = { input = 3.00, output = 15.00 } }`.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{name, price::Price};

/// The name that stands for every model without a price of its own.
const ANY: &str = "*";

/// Prices by model, in dollars per million tokens; `"*"` holds for all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomPrices(BTreeMap<String, Arc<Price>>);

impl CustomPrices {
    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names that have a price, `"*"` among them.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the price for a model: by its name, else by its name without the snapshot's date, else by `"*"`.
    #[must_use]
    pub fn lookup(&self, vendor: &str, model: &str) -> Option<&Arc<Price>> {
        if self.0.is_empty() {
            return None;
        }
        let vendor = name::vendor(vendor);
        let key = name::key(vendor, model);
        let stem = name::stem(vendor, &key);
        self.0
            .get(model)
            .or_else(|| self.0.get(key.as_ref()))
            .or_else(|| self.0.get(stem))
            .or_else(|| self.0.get(ANY))
    }
}

impl FromIterator<(String, Price)> for CustomPrices {
    fn from_iter<I: IntoIterator<Item = (String, Price)>>(prices: I) -> Self {
        Self(prices.into_iter().map(|(model, price)| (model, Arc::new(price))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Part, PicoUsd};

    #[derive(Deserialize)]
    struct Provider {
        prices: CustomPrices,
    }

    fn prices(toml: &str) -> Result<CustomPrices, String> {
        toml::from_str::<Provider>(toml).map(|provider| provider.prices).map_err(|error| error.to_string())
    }

    fn input(prices: &CustomPrices, model: &str) -> Option<u64> {
        prices.lookup("openai", model).map(|price| price.rates.of(Part::Input).0)
    }

    #[test]
    fn the_nearest_name_wins_and_the_star_is_last() {
        let prices = prices(
            r#"prices = { "mock" = { input = 3.00, output = 15.00 }, "gpt-4o" = { input = 0.15, output = 1, cached_input = 0.075, per_request = 0.01, image = 0.04 }, "*" = { input = 9, output = 9 } }"#,
        )
        .unwrap();
        assert_eq!(input(&prices, "mock"), Some(3_000_000));
        assert_eq!(input(&prices, "gpt-4o-2024-08-06"), Some(150_000));
        assert_eq!(input(&prices, "anything"), Some(9_000_000));
        let gpt = prices.lookup("openai", "gpt-4o").unwrap();
        assert_eq!(gpt.per_request, Some(PicoUsd(10_000_000_000)));
        assert_eq!(gpt.rates.of(Part::CachedInput), PicoUsd(75_000));
    }

    #[test]
    fn without_a_star_the_rest_is_unknown() {
        let prices = prices(r#"prices = { "mock" = { input = 3.00, output = 15.00 } }"#).unwrap();
        assert_eq!(input(&prices, "other"), None);
        assert!(CustomPrices::default().lookup("openai", "mock").is_none());
    }

    #[test]
    fn a_mistake_is_explained() {
        let error = prices(r#"prices = { "mock" = { input = -3.00, output = 15.00 } }"#).unwrap_err();
        assert!(error.contains("cannot be negative"), "{error}");
        let error = prices(r#"prices = { "mock" = { input = 3.00 } }"#).unwrap_err();
        assert!(error.contains("output = 0"), "{error}");
        let error = prices(r#"prices = { "mock" = { prompt = 3.00 } }"#).unwrap_err();
        assert!(error.contains("unknown field `prompt`"), "{error}");
    }
}
