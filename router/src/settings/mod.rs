//! Settings: `tidegate.toml` plus the environment, read whole, validated whole, swapped whole.

mod cache;
pub(crate) mod checks;
mod file;
mod load;
mod place;
mod plugins;
mod references;
mod restart;
mod sense;
mod values;
pub(crate) mod vendors;

pub use cache::{CacheScope, CacheSettings};
pub use file::{
    BudgetSettings, ConfigSettings, CorsSettings, KeySettings, LedgerSettings, LimitSettings, LimitsSettings,
    LogFormat, LogSettings, PeriodName, ProviderSettings, SecuritySettings, TimeoutSettings, Unpriced,
};
pub(crate) use load::check_slug;
pub use load::{Durability, Settings, SettingsError};
pub(crate) use plugins::HTTP_BODY;
pub use plugins::{DeclaredPlugin, GuardrailSettings, GuardrailsSettings, PluginLimits, PluginSettings};
pub(crate) use sense::{check_model, check_name};
pub use values::{Secret, resolve_secret};
