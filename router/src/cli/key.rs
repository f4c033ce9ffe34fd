//! `tidegate key`

use clap::Subcommand;
use serde_json::{Value, json};
use tidegate_prices::NanoUsd;
use tidegate_store::{
    BudgetRecord, KeyHash, KeyRecord, KeyStatus, LimitRecord, Origin, Period, Store, Window, Write,
};

use super::audited::{self, Change};
use super::{Context, Failure, show};
use crate::clock;
use crate::pipeline::SCOPE;
use crate::provision::ADMIN_ID;
use crate::secret::{hash_key, mask, new_api_key, new_id};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key; it is printed once.
    Create {
        /// Its name.
        #[arg(value_parser = check_name)]
        name: String,
        /// Allowed models, like `@openai/*`; all without.
        #[arg(long = "model", value_parser = check_model)]
        models: Vec<String>,
        /// Budget in US dollars.
        #[arg(long)]
        usd: Option<NanoUsd>,
        /// When the budget starts again: daily, weekly, monthly.
        #[arg(long, requires = "usd", value_parser = read_period)]
        period: Option<Period>,
        /// Requests per minute.
        #[arg(long)]
        rpm: Option<u32>,
        /// Tokens per minute.
        #[arg(long)]
        tpm: Option<u32>,
        /// Requests at the same time.
        #[arg(long)]
        concurrent: Option<u32>,
        /// Days until it expires.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        days: Option<u32>,
        /// Config of requests that name none: a slug, or JSON text.
        #[arg(long)]
        default_config: Option<String>,
        /// Refuse requests that name another config.
        #[arg(long)]
        forbid_config_override: bool,
    },
    /// List keys.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Switch a key off, by id or name.
    Revoke {
        /// Id or name.
        key: String,
    },
}

pub(super) fn run(context: &Context, command: Key) -> Result<(), Failure> {
    match command {
        Key::Create {
            name,
            models,
            usd,
            period,
            rpm,
            tpm,
            concurrent,
            days,
            default_config,
            forbid_config_override,
        } => {
            let (settings, mut store) = context.open()?;
            if let Some(config) = &default_config {
                check_config(&settings, store.as_ref(), config)?;
            }
            let limits = [
                rpm.map(|amount| LimitRecord::requests(amount, Window::Minute)),
                tpm.map(|amount| LimitRecord::tokens(amount, Window::Minute)),
                concurrent.map(|amount| LimitRecord::Concurrent { amount }),
            ];
            let id = new_id("key").map_err(|error| error.to_string())?;
            let budget = usd.map(|usd| BudgetRecord {
                period: period.unwrap_or(Period::Total),
                ..BudgetRecord::named(&id, &name, usd.as_i64())
            });
            let secret = new_api_key().map_err(|error| error.to_string())?;
            let record = KeyRecord {
                mask: mask(secret.reveal()),
                created_at: clock::unix(),
                expires_at: days.map(|days| clock::unix() + i64::from(days) * 86_400),
                scopes: vec![SCOPE.to_owned()],
                models,
                limits: limits.into_iter().flatten().collect(),
                budget: budget.as_ref().map(|budget| budget.id.clone()),
                config: default_config,
                allow_config_override: !forbid_config_override,
                ..KeyRecord::named(&id, &name)
            };
            create(store.as_mut(), hash_key(secret.reveal()), record, budget)?;
            if context.json {
                return show::json(&json!({"id": id, "name": name, "key": secret.reveal()}));
            }
            show::line(&format!("API key {name} (shown once): {}", secret.reveal()));
            Ok(())
        }
        Key::List { limit } => list(context, context.open_known()?.1.as_ref(), limit),
        Key::Revoke { key } => {
            let (settings, mut store) = context.open_known()?;
            revoke(context, &settings, store.as_mut(), &key)
        }
    }
}

/// Refuses a default config that would fail every request of the key.
fn check_config(settings: &Settings, store: &dyn Store, config: &str) -> Result<(), Failure> {
    if config.trim_start().starts_with('{') {
        let read = tidegate_config::Plan::parse(config);
        return read.map(|_| ()).map_err(|error| format!("--default-config: {error}"));
    }
    let is_saved = || store.config(config).map_err(|error| error.to_string()).map(|found| found.is_some());
    if settings.configs.contains_key(config) || is_saved()? {
        return Ok(());
    }
    Err(format!("--default-config: there is no config \"{config}\"; `tidegate config list` shows them"))
}

fn create(
    store: &mut dyn Store,
    hash: KeyHash,
    key: KeyRecord,
    budget: Option<BudgetRecord>,
) -> Result<(), Failure> {
    let mut after = audited::key(&key);
    after["budget"] = budget.as_ref().map(audited::budget).unwrap_or_default();
    let (id, workspace) = (key.id.clone(), key.workspace.clone());
    let change = Change {
        command: "key create",
        resource: "api_key",
        id: &id,
        action: "create",
        workspace: workspace.as_deref(),
        before: Value::Null,
        after,
    };
    let put = Write::PutKey { hash, key: Box::new(key), old: None };
    let writes: Vec<Write> = budget.map(Write::PutBudget).into_iter().chain([put]).collect();
    audited::write(store, change, &writes)
}

/// Reads a period's name.
pub(super) fn read_period(name: &str) -> Result<Period, String> {
    match name {
        "total" | "never" => Ok(Period::Total),
        "daily" => Ok(Period::Daily),
        "weekly" => Ok(Period::Weekly),
        "monthly" => Ok(Period::Monthly),
        _ => Err("daily, weekly, monthly or total are accepted".to_owned()),
    }
}

fn check_name(name: &str) -> Result<String, String> {
    crate::settings::check_name(name)?;
    Ok(name.to_owned())
}

fn check_model(pattern: &str) -> Result<String, String> {
    crate::settings::check_model(pattern)?;
    Ok(pattern.to_owned())
}

fn list(context: &Context, store: &dyn Store, limit: usize) -> Result<(), Failure> {
    let keys = store.keys(limit).map_err(|error| error.to_string())?;
    if context.json {
        return show::json(&keys);
    }
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|key| {
            let status = match (key.status, key.expires_at) {
                (KeyStatus::Revoked, _) => "revoked".to_owned(),
                (_, Some(expiry)) if expiry <= clock::unix() => "expired".to_owned(),
                (_, Some(expiry)) => format!("until {}", show::moment(expiry)),
                _ => "active".to_owned(),
            };
            let models = if key.models.is_empty() { "all".to_owned() } else { key.models.join(",") };
            vec![key.name.clone(), key.id.clone(), key.mask.clone(), status, models, key.scopes.join(",")]
        })
        .collect();
    show::table(&["NAME", "ID", "KEY", "STATUS", "MODELS", "SCOPES"], &rows);
    Ok(())
}

/// Refuses to take the last key that opens the Admin API: nobody could make another one there.
fn leaves_an_admin(settings: &Settings, store: &dyn Store, key: &KeyRecord) -> Result<(), Failure> {
    if !key.is_root() {
        return Ok(());
    }
    if key.id == ADMIN_ID && settings.admin_key.is_some() {
        return Err("the admin key is named by `admin_key` in the settings file, or by TIDEGATE_ADMIN_KEY: \
                    change it there"
            .to_owned());
    }
    let all = store.keys(usize::MAX).map_err(|error| error.to_string())?;
    let opens = |other: &KeyRecord| {
        let lasts = other.expires_at.is_none_or(|expiry| expiry > clock::unix());
        other.id != key.id && other.is_root() && other.status == KeyStatus::Active && lasts
    };
    if all.iter().any(opens) {
        return Ok(());
    }
    Err(format!(
        "key {} is the last one that opens the Admin API: make another first (`tidegate admin key create \
         organisation-service --set name=NAME --set 'scopes=[\"admin\"]'`), or name one as `admin_key` in the settings \
         file or in TIDEGATE_ADMIN_KEY: it takes this one's place when the gateway starts",
        key.name
    ))
}

fn revoke(
    context: &Context,
    settings: &Settings,
    store: &mut dyn Store,
    wanted: &str,
) -> Result<(), Failure> {
    let failed = |error: tidegate_store::StoreError| error.to_string();
    let id = match store.key_by_id(wanted).map_err(failed)? {
        Some((_, key)) => key.id,
        None => {
            let all = store.keys(usize::MAX).map_err(failed)?;
            let mut named =
                all.into_iter().filter(|key| key.name == wanted && key.status == KeyStatus::Active);
            match (named.next(), named.next()) {
                (Some(key), None) => key.id,
                (None, _) => return Err(format!("there is no active key with id or name \"{wanted}\"")),
                (Some(_), Some(_)) => return Err(format!("several keys are named \"{wanted}\"; use the id")),
            }
        }
    };
    let Some((hash, mut key)) = store.key_by_id(&id).map_err(failed)? else {
        return Err(format!("key {id} is gone"));
    };
    if key.origin == Origin::Settings {
        return Err(format!("key {} is declared in the settings file; remove it there", key.name));
    }
    leaves_an_admin(settings, store, &key)?;
    let before = audited::key(&key);
    key.status = KeyStatus::Revoked;
    let (name, workspace) = (key.name.clone(), key.workspace.clone());
    let change = Change {
        command: "key revoke",
        resource: "api_key",
        id: &id,
        action: "revoke",
        workspace: workspace.as_deref(),
        before,
        after: audited::key(&key),
    };
    audited::write(store, change, &[Write::PutKey { hash, key: Box::new(key), old: None }])?;
    show::done(context, &format!("key {name} ({id}) is revoked"))
}
