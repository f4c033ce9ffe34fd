//! A config resolved: a tree of strategies whose leaves are targets, each with everything inherited.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::condition::Condition;
use crate::hedge::Hedge;
use crate::hooks::Hooks;
use crate::params::DropPath;
use crate::timeouts::Timeouts;

/// Longest config that is read.
const LONGEST: usize = 512 << 10;

/// Why a config was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConfigError {
    /// JSON path of the member at fault; empty for the whole.
    pub path: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

/// Something in a config that is kept but has no effect, or another one than with Portkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// JSON path of the member.
    pub path: String,
    /// What to know about it.
    pub message: String,
}

impl Note {
    pub(crate) fn new(path: &str, message: &str) -> Self {
        Self { path: path.to_owned(), message: message.to_owned() }
    }
}

/// A name in a config that something saved must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// JSON path of the name.
    pub path: String,
    /// The name.
    pub id: String,
}

/// A config resolved and validated. It has at least one target, and every strategy in it can choose one.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    root: Node,
    notes: Vec<Note>,
    weight: usize,
    digest: u64,
    has_breakers: bool,
    guardrails: Vec<Reference>,
}

/// A strategy over children, or a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Place in the config, as Portkey shows it: `config`, `config.targets[0]`, …
    pub path: String,
    /// Label that conditions choose by.
    pub name: Option<String>,
    /// What it does.
    pub strategy: Strategy,
    /// The children it chooses from; none for a leaf.
    pub children: Vec<Node>,
    /// Circuit breaker of its children, inherited; a conditional has none.
    pub breaker: Option<Arc<Breaker>>,
}

/// How a node chooses.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// The first child.
    Single,
    /// One child after the other, until one does not fail.
    Fallback {
        /// Statuses that count as failed; any but 2xx when there is no list.
        on_status_codes: Option<Vec<u16>>,
        /// When the next child starts beside a slow one.
        hedge: Option<Hedge>,
        /// Whether the next child continues a stream that broke off after its first content.
        continue_stream: bool,
    },
    /// One child of many.
    LoadBalance {
        /// A weight per child; finite, not negative, not all zero.
        weights: Vec<f64>,
        /// What decides.
        by: By,
        /// Whether the same caller is to meet the same child again.
        sticky: Option<Sticky>,
    },
    /// The first child that has room.
    Priority {
        /// A level per child; lower ones come first.
        levels: Vec<u64>,
        /// A weight per child, for those of one level; finite, not negative, not all zero.
        weights: Vec<f64>,
        /// What decides within a level.
        by: By,
        /// The vendor's statuses after which the next child is tried.
        on_status_codes: Option<Vec<u16>>,
    },
    /// The child of the first condition that holds.
    Conditional {
        /// In order.
        conditions: Vec<Condition>,
        /// The child chosen when none holds.
        default: Option<usize>,
    },
    /// A target.
    Leaf(Arc<Target>),
}

/// What decides among several children. A child of weight 0 is never chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Chance, each as often as its weight says.
    #[default]
    Weight,
    /// The time to the first byte.
    Latency,
    /// The price.
    Cost,
    /// Requests in flight, divided by weight.
    LeastBusy,
}

/// Sticky load balancing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// What makes a caller the same: `metadata.x`, `params.x`, `headers.x`.
    pub hash_fields: Vec<String>,
    /// How long a choice holds.
    pub ttl: Duration,
}

/// Circuit breaker settings, Portkey's `cb_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// Failures that open it.
    pub failure_threshold: Option<u64>,
    /// Share of failures, in percent, that opens it once `minimum_requests` were seen.
    pub failure_threshold_percentage: Option<f64>,
    /// How long it stays open.
    pub cooldown: Duration,
    /// Statuses that count as failures; 500 and above when there is no list.
    pub failure_status_codes: Option<Vec<u16>>,
    /// Requests before the share counts.
    pub minimum_requests: u64,
}

/// When and how often an attempt is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Extra attempts, at most [`Retry::MOST`].
    pub attempts: u32,
    /// Statuses that are tried again. Network failures always are.
    pub on_status_codes: Vec<u16>,
    /// Whether the vendor's wait replaces the back-off.
    pub use_retry_after_header: bool,
}

impl Retry {
    /// More attempts than this are cut to it, as Portkey documents.
    pub const MOST: u32 = 5;
    /// Statuses tried again when the config names none; 529 is how Anthropic says "overloaded".
    pub const STATUS_CODES: [u16; 6] = [429, 500, 502, 503, 504, 529];
}

/// What of the answers is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// How requests are compared.
    pub mode: CacheMode,
    /// How long an entry may be used, where the config says so.
    pub max_age: Option<Duration>,
    /// Whether equal requests wait for the first of them.
    pub single_flight: bool,
    /// How fast streams are replayed.
    pub replay: Replay,
    /// Likeness from which two texts count as the same, up to 1.
    pub threshold: f32,
    /// Model that makes vectors of texts, like `@openai/text-embedding-3-small`.
    pub embedding: Option<String>,
}

/// How fast a stream is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// As fast as the client takes it.
    AtOnce,
    /// As it was heard, long pauses shortened.
    Natural,
}

/// How requests are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// Equal in everything.
    Simple,
    /// Alike in meaning.
    Semantic,
}

/// A vendor's key in a config.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// Where a request goes and what is changed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Place in the config, as Portkey shows it: `config`, `config.targets[0]`, …
    pub path: String,
    /// Vendor name or `@slug`.
    pub provider: Option<String>,
    /// Saved credential's slug.
    pub virtual_key: Option<String>,
    /// Vendor's key, for keys that may bring their own.
    pub api_key: Option<Secret>,
    /// Vendor-specific credential fields (`azure_resource_name`, …).
    pub options: BTreeMap<String, Secret>,
    /// Base URL in place of the vendor's.
    pub custom_host: Option<String>,
    /// Set where the body has no value.
    pub default_params: Arc<Map<String, Value>>,
    /// Set last, beats the body.
    pub override_params: Arc<Map<String, Value>>,
    /// Removed after that.
    pub drop_params: Arc<Vec<DropPath>>,
    /// Attempts after the first.
    pub retry: Option<Arc<Retry>>,
    /// What of the answers is kept.
    pub cache: Option<Arc<Cache>>,
    /// Milliseconds from sending to the head of the answer.
    pub request_timeout: Option<u64>,
    /// How long each stage may take.
    pub timeouts: Timeouts,
    /// The client's headers that are passed on, in lower case.
    pub forward_headers: Arc<Vec<String>>,
    /// False turns Portkey's strict OpenAI compliance off.
    pub strict_open_ai_compliance: Option<bool>,
    /// Whether the client's headers or model name the provider.
    pub passthrough: bool,
    /// Guardrails and mutators around it.
    pub hooks: Arc<Hooks>,
    /// Whether paths that the gateway doesn't model may go past the guardrails, which can't read them.
    pub unguarded_passthrough: bool,
}

impl Plan {
    /// Reads and resolves config JSON.
    ///
    /// # Errors
    /// [`ConfigError`] with the JSON path and what is accepted.
    pub fn parse(json: &str) -> Result<Self, ConfigError> {
        if json.len() > LONGEST {
            let message = format!("is too long; at most {LONGEST} bytes are accepted");
            return Err(ConfigError { path: String::new(), message });
        }
        let value: Value = serde_json::from_str(json)
            .map_err(|error| ConfigError { path: String::new(), message: format!("not JSON: {error}") })?;
        let mut plan = crate::read::plan(&value)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(json.as_bytes());
        plan.digest = hasher.finish();
        Ok(plan)
    }

    /// Makes the plan of a request without a config: one target, about which nothing is said.
    #[must_use]
    pub fn bare() -> Self {
        let path = "config".to_owned();
        let target = Target { path: path.clone(), ..Target::default() };
        let strategy = Strategy::Leaf(Arc::new(target));
        Self {
            root: Node { path, name: None, strategy, children: Vec::new(), breaker: None },
            notes: Vec::new(),
            weight: 0,
            digest: 0,
            has_breakers: false,
            guardrails: Vec::new(),
        }
    }

    pub(crate) fn new(root: Node, notes: Vec<Note>, weight: usize) -> Self {
        let has_breakers = root.has_breakers();
        Self { root, notes, weight, digest: 0, has_breakers, guardrails: Vec::new() }
    }

    /// Returns a number that tells configs apart: that of an equal text is equal. It withstands chance, not malice.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns whether any target has a circuit breaker.
    #[must_use]
    pub fn has_breakers(&self) -> bool {
        self.has_breakers
    }

    pub(crate) fn with_guardrails(self, guardrails: Vec<Reference>) -> Self {
        Self { guardrails, ..self }
    }

    /// Returns the saved guardrails that the config names.
    #[must_use]
    pub fn guardrails(&self) -> &[Reference] {
        &self.guardrails
    }

    /// Returns roughly how many bytes the plan takes beyond its own text: values copied to children, compiled
    /// expressions.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Returns the node where the walk begins.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Returns what has no effect, or another one than with Portkey.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Returns all targets, in the order they are written; at least one.
    #[must_use]
    pub fn targets(&self) -> Vec<&Arc<Target>> {
        let mut targets = Vec::new();
        self.root.collect(&mut targets);
        targets
    }
}

impl Node {
    fn has_breakers(&self) -> bool {
        let is_target = matches!(self.strategy, Strategy::Leaf(_));
        (is_target && self.breaker.is_some()) || self.children.iter().any(Node::has_breakers)
    }

    /// Returns the node at a place, itself or one below it.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        if self.path == path {
            return Some(self);
        }
        self.children.iter().filter(|child| path.starts_with(&child.path)).find_map(|child| child.find(path))
    }

    fn collect<'a>(&'a self, targets: &mut Vec<&'a Arc<Target>>) {
        if let Strategy::Leaf(target) = &self.strategy {
            targets.push(target);
        }
        for child in &self.children {
            child.collect(targets);
        }
    }
}
