//! What requests need to know of the organisation, in one value that is swapped whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde_json::Value;
use tidegate_config::{ConfigError, Hooks};
use tidegate_store::{BudgetRecord, LimitRecord, ObjectKind, ObjectRecord};

use super::by_workspace::ByWorkspace;
use super::customs::{Logging, UserKeys};
use super::defaults::Defaults;
use super::objects::Objects;
use super::policy::{Facts, RatePolicy, Scope, UsagePolicy};
use super::switches::{BLOCK_INLINE_CONFIG, Switches};
use super::{Bad, terms};

/// Limits of one holder, with the id of its actor.
pub type Limits = (String, Arc<Vec<LimitRecord>>);

/// A workspace as requests see it.
#[derive(Clone, Debug, Default)]
pub struct WorkspaceRules {
    /// Its id.
    pub id: String,
    /// Operator's name.
    pub name: String,
    /// Whether it was archived: its keys are refused.
    pub archived: bool,
    /// Its budgets.
    pub budgets: Vec<Arc<BudgetRecord>>,
    /// Its limits.
    pub limits: Option<Limits>,
    /// Metadata of every request of it.
    pub metadata: BTreeMap<String, String>,
    /// Members of metadata that every request must have.
    pub required_metadata: Vec<String>,
    /// Config of users' keys that have none of their own.
    pub user_config: Option<String>,
    /// Config of keys that have none of their own.
    pub config: Option<String>,
    /// Guardrails of every request of it: the organisation's, then its own.
    pub guardrails: Defaults,
    /// Who sees and changes what in it.
    pub switches: Switches,
    /// Whether configs, vendors and hosts in headers are refused.
    pub blocks_inline: bool,
    /// What holds for keys of its users.
    pub user_keys: UserKeys,
    /// What the request log keeps.
    pub logging: Logging,
}

impl WorkspaceRules {
    /// Puts what the organisation says under what the workspace says.
    fn within(&mut self, organisation: &Value, workspace: &Value) {
        let (house, own) = (&organisation["settings"], &workspace["settings"]);
        self.switches = Switches::of(&[&workspace["security_settings"], &organisation["security_settings"]]);
        self.blocks_inline = self.switches.is_on(BLOCK_INLINE_CONFIG);
        self.user_keys = UserKeys::of(house, own);
        self.logging = Logging::of(house, own);
        for name in house["required_metadata"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !self.required_metadata.iter().any(|own| own == name) {
                self.required_metadata.push(name.to_owned());
            }
        }
    }
}

/// Which models of an integration may be used.
#[derive(Clone, Debug)]
pub struct ModelRules {
    all: bool,
    models: HashMap<String, bool>,
}

impl Default for ModelRules {
    fn default() -> Self {
        Self { all: true, models: HashMap::new() }
    }
}

impl ModelRules {
    /// Returns whether a model may be used.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        self.models.get(model).copied().unwrap_or(self.all)
    }

    fn of(body: &Value) -> Self {
        let listed = body["models"].as_object().into_iter().flatten();
        Self {
            all: body["allow_all_models"].as_bool().unwrap_or(true),
            models: listed
                .map(|(slug, model)| (slug.clone(), model["enabled"] != Value::Bool(false)))
                .collect(),
        }
    }
}

/// What a workspace may do with an integration.
#[derive(Clone, Debug, Default)]
pub struct IntegrationRules {
    /// Which models.
    pub models: Arc<ModelRules>,
    /// What that may cost.
    pub budgets: Vec<Arc<BudgetRecord>>,
    /// How often.
    pub limits: Option<Limits>,
    /// Whether it may be used at all.
    pub enabled: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Integration {
    pub(super) name: String,
    models: Arc<ModelRules>,
    workspaces: HashMap<String, Arc<IntegrationRules>>,
    /// For workspaces without a word of their own.
    global: Value,
}

impl Integration {
    /// Returns what a workspace may do with it; `id` is its own. `None` when what holds for all can't be read.
    pub(super) fn of(&self, id: &str, workspace: &str) -> Option<Arc<IntegrationRules>> {
        if let Some(own) = self.workspaces.get(workspace) {
            return Some(own.clone());
        }
        if self.global.is_null() {
            return Some(Arc::new(IntegrationRules {
                models: self.models.clone(),
                enabled: true,
                ..IntegrationRules::default()
            }));
        }
        let read = access(id, &self.name, workspace, &self.global, &self.models, "global");
        read.ok().map(Arc::new)
    }
}

type ById<T> = RedBlackTreeMapSync<Arc<str>, T>;

/// Bytes that most ids of buckets have room in.
const BUCKET_ID: usize = 96;

/// What requests need to know. Cheap to clone and to change: the maps are persistent, so that a new value shares all
/// that it didn't touch with the one before, and a change costs the same beside ten objects and beside 100,000.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    default_workspace: String,
    workspaces: ById<Arc<WorkspaceRules>>,
    integrations: ById<Arc<Integration>>,
    usage: ByWorkspace<UsagePolicy>,
    rates: ByWorkspace<RatePolicy>,
    /// How many workspaces have guardrails of every request.
    guarded: usize,
    /// Saved guardrails by id and slug.
    guardrails: ById<SavedGuardrail>,
}

#[derive(Clone, Debug)]
struct SavedGuardrail {
    /// `None` is everyone's.
    workspace: Option<String>,
    slug: Arc<str>,
    /// What it says, or why it can't be read.
    hooks: Arc<Result<Hooks, ConfigError>>,
}

impl Rules {
    /// Returns whether rules depend on objects of a kind.
    #[must_use]
    pub fn reads(kind: ObjectKind) -> bool {
        matches!(
            kind,
            ObjectKind::Organisation
                | ObjectKind::Workspace
                | ObjectKind::Integration
                | ObjectKind::UsagePolicy
                | ObjectKind::RatePolicy
                | ObjectKind::Guardrail
        )
    }

    /// Reads the rules out of what is known. What can't be read is left out and logged: it was vetted when it was
    /// written.
    pub(super) fn build(objects: &Objects) -> Self {
        let all = ObjectKind::ALL.into_iter().filter(|kind| Self::reads(*kind));
        // Oldest first: policies are kept in the order in which they were made, after a restart as before.
        let all: Vec<_> = all.flat_map(|kind| objects.all(kind).into_iter().rev()).collect();
        let touched: Vec<_> = all.iter().map(|object| (object.kind, object.id.as_str())).collect();
        Self::default().after(objects, &touched)
    }

    /// Returns the rules as they are after changes of these objects, which are known already. Costs what was touched,
    /// whatever else there is.
    pub(super) fn after(&self, objects: &Objects, touched: &[(ObjectKind, &str)]) -> Self {
        let mut rules = self.clone();
        let organisation = objects.organisation().map(|it| it.body.clone()).unwrap_or_default();
        let every = touched.iter().any(|(kind, _)| *kind == ObjectKind::Organisation);
        let workspaces: Vec<Arc<ObjectRecord>> =
            if every { objects.all(ObjectKind::Workspace) } else { Vec::new() };
        for object in &workspaces {
            rules.put_workspace(&organisation, &object.id, Some(object));
        }
        for (kind, id) in touched {
            let object = objects.by_id(*kind, id);
            let object = object.as_deref();
            match kind {
                ObjectKind::Workspace if !every => rules.put_workspace(&organisation, id, object),
                ObjectKind::Integration => {
                    let read = object.and_then(|object| kept(object, integration(object)));
                    put(&mut rules.integrations, id, read.map(Arc::new));
                }
                ObjectKind::UsagePolicy => rules.usage.put(id, active(object), usage_policy),
                ObjectKind::RatePolicy => rules.rates.put(id, active(object), rate_policy),
                ObjectKind::Guardrail => rules.put_guardrail(id, object),
                _ => {}
            }
        }
        rules
    }

    fn put_workspace(&mut self, organisation: &Value, id: &str, object: Option<&ObjectRecord>) {
        if object.is_some_and(|object| object.body["is_default"] == Value::Bool(true)) {
            id.clone_into(&mut self.default_workspace);
        }
        let read = object.and_then(|object| {
            let mut read = kept(object, workspace(object))?;
            read.guardrails.behind(organisation, id);
            read.within(organisation, &object.body);
            Some(Arc::new(read))
        });
        let is_guarded = |workspace: &Arc<WorkspaceRules>| usize::from(!workspace.guardrails.is_empty());
        self.guarded -= self.workspaces.get(id).map_or(0, is_guarded);
        self.guarded += read.as_ref().map_or(0, is_guarded);
        put(&mut self.workspaces, id, read);
    }

    fn put_guardrail(&mut self, id: &str, object: Option<&ObjectRecord>) {
        if let Some(before) = self.guardrails.get(id).map(|before| before.slug.clone()) {
            self.guardrails.remove_mut(id);
            self.guardrails.remove_mut(&before);
        }
        let Some(object) = object else { return };
        let saved = SavedGuardrail {
            workspace: object.workspace.clone(),
            slug: object.slug.as_str().into(),
            hooks: Arc::new(Hooks::parse(&object.body.to_string())),
        };
        self.guardrails.insert_mut(saved.slug.clone(), saved.clone());
        self.guardrails.insert_mut(id.into(), saved);
    }

    /// Returns the id of the workspace of keys that name none.
    #[must_use]
    pub fn default_workspace(&self) -> &str {
        &self.default_workspace
    }

    /// Returns the id of a key's workspace.
    #[must_use]
    pub fn workspace_id<'a>(&'a self, key: &'a tidegate_store::KeyRecord) -> &'a str {
        key.workspace.as_deref().unwrap_or(&self.default_workspace)
    }

    /// Returns the workspaces.
    pub fn workspaces(&self) -> impl Iterator<Item = &Arc<WorkspaceRules>> {
        self.workspaces.values()
    }

    /// Returns a workspace by id.
    #[must_use]
    pub fn workspace(&self, id: &str) -> Option<&Arc<WorkspaceRules>> {
        self.workspaces.get(id)
    }

    /// Returns the hooks of a saved guardrail that a workspace may use; inside, why it can't be read.
    #[must_use]
    pub fn guardrail(&self, name: &str, workspace: &str) -> Option<&Result<Hooks, ConfigError>> {
        let saved = self.guardrails.get(name)?;
        saved.workspace.as_deref().is_none_or(|own| own == workspace).then_some(&*saved.hooks)
    }

    /// Returns the guardrails of every request of a key's workspace, where there are some.
    #[must_use]
    pub fn defaults(&self, key: &tidegate_store::KeyRecord) -> Option<&Defaults> {
        if self.guarded == 0 {
            return None;
        }
        let defaults = &self.workspaces.get(self.workspace_id(key))?.guardrails;
        (!defaults.is_empty()).then_some(defaults)
    }

    /// Returns what a workspace may do with an integration; `None` when there is no such integration.
    #[must_use]
    pub fn integration(&self, id: &str, workspace: &str) -> Option<Arc<IntegrationRules>> {
        self.integrations.get(id)?.of(id, workspace)
    }

    /// Calls with each budget of a usage policy that a request falls under: the bucket's id and its terms.
    pub fn each_usage(&self, facts: Facts<'_>, mut with: impl FnMut(&str, &Arc<BudgetRecord>)) {
        let mut id = String::with_capacity(BUCKET_ID);
        for policy in self.usage.of(facts) {
            id.clear();
            if write_bucket(["", &policy.budget.id], &policy.scope, &facts, &mut id) {
                with(&id, &policy.budget);
            }
        }
    }

    /// Returns the limits of rate policies that a request falls under: the bucket's id, and the policy.
    pub fn rates<'a>(&'a self, facts: Facts<'a>) -> impl Iterator<Item = (String, &'a RatePolicy)> {
        self.rates.of(facts).filter_map(move |policy| {
            let mut id = String::with_capacity(BUCKET_ID);
            write_bucket(["policy:", &policy.id], &policy.scope, &facts, &mut id).then_some((id, policy))
        })
    }

    /// Returns whether there is any policy.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        !self.usage.is_empty() || !self.rates.is_empty()
    }
}

/// Writes the id of the bucket that a request falls into, the policy's and the bucket's own, into `id`, which is empty.
/// Returns whether the request falls into any.
fn write_bucket(policy: [&str; 2], scope: &Scope, facts: &Facts<'_>, id: &mut String) -> bool {
    for part in policy {
        id.push_str(part);
    }
    id.push(':');
    scope.write_bucket(facts, id)
}

pub(super) fn kept<T>(object: &ObjectRecord, read: Result<T, Bad>) -> Option<T> {
    read.inspect_err(|error| {
        tracing::error!(kind = object.kind.name(), id = object.id, %error, "an object can't be read and is left out");
    })
    .ok()
}

fn is_active(object: &ObjectRecord) -> bool {
    object.body["status"].as_str().is_none_or(|status| status == "active")
}

fn active(object: Option<&ObjectRecord>) -> Option<&ObjectRecord> {
    object.filter(|object| is_active(object))
}

fn put<T: Clone>(map: &mut ById<T>, id: &str, value: Option<T>) {
    match value {
        Some(value) => map.insert_mut(id.into(), value),
        None => drop(map.remove_mut(id)),
    }
}

fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap_or_default().to_owned()
}

fn limits(id: String, body: &Value) -> Result<Option<Limits>, Bad> {
    let limits = terms::read_rate_limits(&body["rate_limits"], "rate_limits")?;
    Ok((!limits.is_empty()).then(|| (id, Arc::new(limits))))
}

fn budgets(prefix: &str, name: &str, body: &Value) -> Result<Vec<Arc<BudgetRecord>>, Bad> {
    let budgets = terms::read_usage_limits(prefix, name, &body["usage_limits"], "usage_limits")?;
    Ok(budgets.into_iter().map(Arc::new).collect())
}

pub(super) fn workspace(object: &ObjectRecord) -> Result<WorkspaceRules, Bad> {
    let (body, id) = (&object.body, object.id.clone());
    let name = text(body, "name");
    let defaults = &body["defaults"];
    let metadata = defaults["metadata"].as_object().into_iter().flatten();
    let required = body["settings"]["required_metadata"].as_array().into_iter().flatten();
    Ok(WorkspaceRules {
        budgets: budgets(&format!("workspace:{id}"), &name, body)?,
        limits: limits(format!("workspace:{id}"), body)?,
        metadata: metadata
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        required_metadata: required.filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        user_config: defaults["user_api_key_config"].as_str().map(str::to_owned),
        config: defaults["config_id"].as_str().map(str::to_owned),
        archived: !is_active(object),
        guardrails: Defaults::of(body),
        id,
        name,
        ..WorkspaceRules::default()
    })
}

fn access(
    id: &str,
    name: &str,
    workspace: &str,
    body: &Value,
    models: &Arc<ModelRules>,
    path: &str,
) -> Result<IntegrationRules, Bad> {
    let prefix = format!("integration:{id}:{workspace}");
    let read = || {
        Ok::<_, Bad>(IntegrationRules {
            models: models.clone(),
            budgets: budgets(&prefix, name, body)?,
            limits: limits(prefix.clone(), body)?,
            enabled: body["enabled"] != Value::Bool(false),
        })
    };
    read().map_err(|bad| Bad::new(format!("{path}.{}", bad.param), bad.message))
}

pub(super) fn integration(object: &ObjectRecord) -> Result<Integration, Bad> {
    let (body, id) = (&object.body, &object.id);
    let name = text(body, "name");
    let models = Arc::new(ModelRules::of(body));
    let listed = body["workspaces"].as_object().into_iter().flatten();
    let workspaces = listed.map(|(workspace, entry)| {
        let path = format!("workspaces.{workspace}");
        Ok((workspace.clone(), Arc::new(access(id, &name, workspace, entry, &models, &path)?)))
    });
    Ok(Integration {
        workspaces: workspaces.collect::<Result<_, Bad>>()?,
        global: body["global_workspace_access"].clone(),
        models,
        name,
    })
}

/// Reads a usage policy.
///
/// # Errors
/// [`Bad`]
pub fn usage_policy(object: &ObjectRecord) -> Result<UsagePolicy, Bad> {
    let id = format!("policy:{}", object.id);
    let budget = terms::read_usage_limit(&id, &text(&object.body, "name"), &object.body, "body");
    let budget = budget.map_err(|bad| Bad::new(bad.param.trim_start_matches("body."), bad.message))?;
    let scope = Scope::read(&object.body, object.workspace.clone())?;
    Ok(UsagePolicy { scope, budget: Arc::new(budget) })
}

/// Reads a rate policy.
///
/// # Errors
/// [`Bad`]
pub fn rate_policy(object: &ObjectRecord) -> Result<RatePolicy, Bad> {
    let limit = terms::read_rate_limit(&object.body, "body");
    let limit = limit.map_err(|bad| Bad::new(bad.param.trim_start_matches("body."), bad.message))?;
    Ok(RatePolicy {
        id: object.id.clone(),
        name: text(&object.body, "name"),
        scope: Scope::read(&object.body, object.workspace.clone())?,
        limits: Arc::new(vec![limit]),
    })
}
