//! The running gateway: the only place that wires parts together.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tidegate_prices::{PriceBook, Table};
use tidegate_store::{
    AuditRecord, Change, ChangeKind, KeyKind, KeyRecord, ObjectKind, PostgresStore, ProviderRecord,
    SqliteStore, Store, StoreError, Write,
};
use uuid::Uuid;

use crate::actors::address_book::AddressBook;
use crate::actors::ledger::LedgerHandle;
use crate::actors::provider::ProviderHandle;
use crate::actors::shards::Shards;
use crate::cache::Cache;
use crate::cluster::Cluster;
use crate::configs::{Configs, Saved};
use crate::error::GatewayError;
use crate::governance::{Objects, Wells};
use crate::joining;
use crate::models::ModelLists;
use crate::money::PriceDesk;
use crate::notices::{self, Notices};
use crate::plugins::{self, Plugins};
use crate::powers::Lender;
use crate::provision::{self, Printed};
use crate::routing::breakers::Breakers;
use crate::routing::plans::Plans;
use crate::routing::retry_budget::RetryBudgets;
use crate::sealing;
use crate::secret::{MasterKey, SecretError};
use crate::settings::{Durability, Settings};
use crate::upstream::Client;

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder can't be used.
    #[error("data folder {path}: {error}")]
    Data {
        /// Which folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Another gateway runs on the data folder.
    #[error("another tidegate runs on data folder {path}; stop it, or set another `data`")]
    Taken {
        /// Which folder.
        path: String,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shared Redis can't be used.
    #[error("shared: {0}")]
    Shared(String),
    /// Secrets can't be made or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Threads can't be started or the address can't be bound.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// How long the store may take to answer, and to take a batch of the ledger.
const STORE_WITHIN: Duration = Duration::from_secs(10);
const LEDGER_WITHIN: Duration = Duration::from_secs(4);

/// Everything that requests share.
pub struct Gateway {
    settings: ArcSwap<Settings>,
    found: ArcSwap<Vec<ProviderRecord>>,
    /// Where actors are found.
    pub book: AddressBook,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// Prices.
    pub prices: PriceDesk,
    /// Control threads.
    pub shards: Shards,
    /// Configs that were read before.
    pub plans: Plans,
    /// Saved configs.
    pub configs: Configs,
    /// What the organisation decides.
    pub objects: Objects,
    /// Who is told what happens.
    pub notices: Notices,
    /// How often providers may be retried.
    pub retries: RetryBudgets,
    /// Which targets of configs failed of late.
    pub breakers: Breakers,
    /// Which models providers offer.
    pub models: ModelLists,
    /// Plugins.
    pub plugins: Plugins,
    /// Kept answers.
    pub cache: Cache,
    master: Arc<MasterKey>,
    /// Asks where secrets lie; made at the first question.
    asker: OnceLock<Client>,
    /// Held for life; the system gives it back when the process ends, however it ends.
    _lock: File,
}

/// Returns the store file of a data folder.
#[must_use]
pub fn store_path(data: &Path) -> PathBuf {
    data.join("tidegate.db")
}

/// Returns the price override file of a data folder.
#[must_use]
pub fn prices_path(data: &Path) -> PathBuf {
    data.join("prices.json")
}

/// Makes the data folder if need be, and opens the store.
///
/// # Errors
/// [`StartError`]
pub fn open_data(settings: &Settings, node: &str) -> Result<Box<dyn Store>, StartError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let data = &settings.data;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| StartError::Data { path: data.display().to_string(), error })?;
    if settings.store.is_none() {
        // SQLite gives its side files the mode of the first.
        File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(store_path(data))
            .map_err(|error| StartError::Data { path: data.display().to_string(), error })?;
    }
    Ok(open_store(settings, node, STORE_WITHIN)?)
}

/// Opens a connection to the store of the settings; `node` names this process in it.
///
/// # Errors
/// [`StoreError`]
pub fn open_store(settings: &Settings, node: &str, within: Duration) -> Result<Box<dyn Store>, StoreError> {
    Ok(match &settings.store {
        Some(url) => Box::new(PostgresStore::open_within(url.reveal(), node, within)?),
        None => Box::new(SqliteStore::open(&store_path(&settings.data))?),
    })
}

/// Takes the data folder for this process: two gateways on one folder would each believe to own every budget.
///
/// # Errors
/// [`StartError::Taken`] when another gateway runs on it.
pub fn lock(data: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::Data { path: data.display().to_string(), error };
    std::fs::create_dir_all(data).map_err(failed)?;
    let file = File::options().create(true).append(true).open(data.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Taken { path: data.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

impl Gateway {
    /// Opens the store, recovers the ledger, provisions declared resources and starts the control threads. Must run
    /// inside an actix System. Returns also what must be printed once.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(settings: Settings) -> Result<(Arc<Self>, Printed), StartError> {
        let lock = lock(&settings.data)?;
        let cluster = match (&settings.store, &settings.shared) {
            (Some(_), Some(shared)) => {
                let writes_ahead = settings.durability == Durability::Each;
                let cluster = Cluster::new(shared.reveal(), writes_ahead);
                Some(cluster.map_err(|error| StartError::Shared(error.to_string()))?)
            }
            _ => None,
        };
        let node =
            cluster.as_ref().map_or_else(|| Uuid::new_v4().simple().to_string(), |cluster| cluster.name());
        let mut store = open_data(&settings, &node)?;
        let master = sealing::master_key(store.as_mut(), &settings)?;
        // Of several nodes, those that live settle for those that died, once they are sure of it.
        let recovered = if cluster.is_some() { 0 } else { store.recover(&[])? };
        if recovered > 0 {
            tracing::warn!(recovered, "requests that a crash cut off were settled at their held amount");
        }
        let printed = provision::declared(store.as_mut(), &settings)?;
        let master = Arc::new(master);
        let configs = Configs::start(store.as_ref(), master.clone())?;
        let objects = Objects::start(store.as_ref(), master.clone())?;
        let from_store = opened_providers(store.providers()?, &master);
        let shards = Shards::start_in(settings.control_threads, cluster);
        let ledger = LedgerHandle::start(open_store(&settings, &node, LEDGER_WITHIN)?, &shards.of("ledger"))?;
        let prices = PriceDesk::new(load_prices(&settings.data));
        let lender = Lender::new(Duration::from_millis(settings.timeouts.connect_ms));
        let options = plugins::Options {
            data: settings.data.join("plugins"),
            powers: lender.clone(),
            declared: settings.declared_plugins.clone(),
            bundled: &plugins::BUNDLED,
        };
        let plugins = Plugins::start(options, &shards);
        let gateway = Arc::new(Self {
            plugins,
            cache: Cache::start(&settings.cache, settings.shared.as_ref()),
            book: AddressBook::new(store, open_store(&settings, &node, STORE_WITHIN)?, shards.clone()),
            settings: ArcSwap::from_pointee(settings),
            found: ArcSwap::default(),
            ledger,
            prices,
            shards,
            plans: Plans::default(),
            configs,
            objects,
            notices: Notices::default(),
            retries: RetryBudgets::default(),
            breakers: Breakers::default(),
            models: ModelLists::default(),
            master,
            asker: OnceLock::new(),
            _lock: lock,
        });
        if let Some(cluster) = gateway.shards.cluster() {
            joining::join(&gateway, cluster);
        }
        gateway.notices.apply(&gateway.settings(), gateway.book.store());
        notices::listen(&gateway);
        lender.serve(&gateway);
        gateway.set_providers(from_store);
        gateway.warn_of_unknown_configs();
        Ok((gateway, printed))
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts changed settings in force: declared resources first, then the rest. Address, data folder and thread
    /// counts stay as they were at start.
    ///
    /// # Errors
    /// [`StartError`] when the store can't be written; then the old settings stay.
    pub async fn apply(&self, mut settings: Settings) -> Result<(), StartError> {
        let old = self.settings();
        settings.listen.clone_from(&old.listen);
        settings.data.clone_from(&old.data);
        if self.shards.cluster().is_some() {
            // Others have been told, for when this node dies.
            settings.durability = old.durability;
        }
        let shared = settings.clone();
        let printed = self
            .book
            .read(move |store| {
                provision::declared(store, &shared).map_err(|error| match error {
                    StartError::Store(error) => error,
                    other => StoreError::Database(other.to_string()),
                })
            })
            .await?;
        printed.print();
        let declared = settings.declared_plugins.clone();
        self.cache.apply(&settings.cache, settings.shared.as_ref());
        if settings.notify != self.settings().notify {
            self.notices.apply(&settings, self.book.store());
        }
        self.settings.store(Arc::new(settings));
        self.warn_of_unknown_configs();
        self.plugins.declare(&declared).await;
        self.reload_providers().await?;
        Ok(())
    }

    /// Writes changes of an administrator beside their audit row and puts them in force here at once; other processes
    /// follow within a second. Whoever looks before they change holds [`Objects::changing`] meanwhile.
    ///
    /// # Errors
    /// 409 where a slug is taken, 503 when the store can't be written; then nothing is changed.
    pub async fn change(&self, writes: Vec<Write>, audit: Option<AuditRecord>) -> Result<(), GatewayError> {
        let mut changes = Vec::new();
        let mut has_providers = false;
        let mut note = |kind, id: &str| changes.push(Change { seq: 0, kind, id: id.to_owned() });
        for write in &writes {
            match write {
                Write::PutKey { key, .. } => note(ChangeKind::Key, &key.id),
                Write::DeleteKey(id) => note(ChangeKind::Key, id),
                Write::PutBudget(budget) => note(ChangeKind::Budget, &budget.id),
                Write::DeleteBudget(id) => note(ChangeKind::Budget, id),
                Write::ResetBudget { id, .. } => note(ChangeKind::Reset, id),
                Write::PutObject(object) => has_providers |= makes_providers(object.kind),
                Write::DeleteObject { kind, .. } => has_providers |= makes_providers(*kind),
                Write::PutProvider(_) | Write::DeleteProvider(_) => has_providers = true,
                Write::PutConfig { .. } | Write::DeleteConfig(_) | Write::SetMeta { .. } => {}
            }
        }
        if changes.iter().any(|change| change.kind == ChangeKind::Reset) {
            // What was spent before the reset must be in the store before it is set to zero there.
            self.ledger.flush().await;
        }
        self.objects.write(&self.book, writes, audit).await?;
        self.book.apply(&changes).await?;
        if has_providers {
            self.read_references().await;
            self.reload_providers().await?;
        }
        Ok(())
    }

    /// Reads the secrets again that integrations refer to. Returns whether one changed; the caller puts it in force.
    pub async fn read_references(&self) -> bool {
        let settings = self.settings();
        let connect = Duration::from_millis(settings.timeouts.connect_ms);
        let client = self.asker.get_or_init(|| Client::new(connect));
        self.objects.references().refresh(&self.objects, &Wells { settings: &settings, client }).await
    }

    /// Reads the store's providers again and puts them in force beside the declared ones.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reload_providers(&self) -> Result<(), StoreError> {
        let sealed = self.book.read(|store| store.providers()).await?;
        self.set_providers(opened_providers(sealed, &self.master));
        Ok(())
    }

    /// Reads the price overrides again.
    pub fn reload_prices(&self) {
        self.prices.replace(load_prices(&self.settings().data));
    }

    /// Adds a provider that was found running; declared and stored ones of the same slug come first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_found(&self, record: ProviderRecord) -> Result<(), StoreError> {
        self.found.store(Arc::new(vec![record]));
        self.reload_providers().await
    }

    /// Saved configs may come after the keys that name them, so a missing one refuses requests, not the settings.
    fn warn_of_unknown_configs(&self) {
        let settings = self.settings();
        for key in &settings.keys {
            let named = key.settings.config.as_deref().filter(|config| config.starts_with("pc-"));
            let is_unknown =
                |config: &&str| !settings.configs.contains_key(*config) && self.configs.get(config).is_none();
            if let Some(config) = named.filter(is_unknown) {
                let key = &key.settings.name;
                tracing::warn!(key, config, "a key's config is not saved: its requests are refused");
            }
        }
    }

    /// Returns the provider that a key means by a slug: its workspace's own before that of everyone.
    #[must_use]
    pub fn provider_for(&self, key: &KeyRecord, slug: &str) -> Option<Arc<ProviderHandle>> {
        if !self.book.has_owned() {
            return self.book.provider(slug);
        }
        self.book.provider_for(self.objects.rules().workspace_id(key), slug)
    }

    /// Returns the providers that a key may name.
    #[must_use]
    pub fn providers_for(&self, key: &KeyRecord) -> Vec<Arc<ProviderHandle>> {
        self.book.providers_for(self.objects.rules().workspace_id(key))
    }

    /// Returns the config of requests that name none, of keys that name none: what their workspace says, if anything.
    #[must_use]
    pub fn default_config(&self, key: &KeyRecord) -> Option<String> {
        let rules = self.objects.rules();
        let own = rules.workspace(rules.workspace_id(key))?;
        let of_users = own.user_config.as_ref().filter(|_| key.kind == KeyKind::WorkspaceUser);
        of_users.or(own.config.as_ref()).cloned()
    }

    /// Returns a saved config that a key may name.
    #[must_use]
    pub fn config_for(&self, key: &KeyRecord, name: &str) -> Option<Arc<Saved>> {
        let saved = self.configs.get(name)?;
        let of = saved.record.workspace.as_deref();
        of.is_none_or(|of| of == self.objects.rules().workspace_id(key)).then_some(saved)
    }

    fn set_providers(&self, from_store: Vec<ProviderRecord>) {
        let settings = self.settings();
        let mut all = settings.providers.clone();
        all.extend(self.objects.providers(&settings.trusted_hosts));
        for record in from_store.into_iter().chain(self.found.load().iter().cloned()) {
            // The settings file wins over the store: it is what the operator reads.
            if !all.iter().any(|declared| declared.place() == record.place()) {
                all.push(record);
            }
        }
        self.book.set_providers(all);
        self.prices.forget();
        self.models.forget();
    }
}

/// Returns whether providers are made of objects of a kind.
fn makes_providers(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Integration | ObjectKind::Provider | ObjectKind::SecretReference)
}

fn opened_providers(sealed: Vec<ProviderRecord>, master: &MasterKey) -> Vec<ProviderRecord> {
    sealed
        .into_iter()
        .filter_map(|mut record| {
            record.api_key = match record.api_key.as_deref().map(|sealed| master.open(sealed)).transpose() {
                Ok(opened) => opened,
                Err(error) => {
                    tracing::error!(provider = record.slug, %error, "provider left out");
                    return None;
                }
            };
            Some(record)
        })
        .collect()
}

fn load_prices(data: &Path) -> PriceBook {
    let path = prices_path(data);
    let Ok(bytes) = std::fs::read(&path) else { return PriceBook::embedded() };
    match Table::parse(&bytes) {
        Ok(table) => PriceBook::with_overrides(&table),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "price overrides refused, built-in prices are used");
            PriceBook::embedded()
        }
    }
}
