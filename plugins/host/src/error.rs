//! What can go wrong: starting the host, loading a plugin, calling one.

use thiserror::Error;

use crate::CheckError;

/// Why the host did not start.
#[derive(Debug, Error)]
pub enum HostError {
    /// The engine refused its settings, mostly for lack of address space.
    #[error("make the WebAssembly engine: {0}")]
    Engine(String),
    /// A thread did not start.
    #[error("start the plugin threads: {0}")]
    Threads(#[source] std::io::Error),
    /// The folder of compiled plugins cannot be used.
    #[error("use the folder {folder} for compiled plugins: {source}")]
    Cache {
        /// The folder.
        folder: String,
        /// What the file system said.
        source: std::io::Error,
    },
}

/// Why bytes did not become a plugin.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Larger than any plugin may be.
    #[error("load a plugin of {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No WebAssembly component: a core module, a text, anything.
    #[error("read the plugin: not a WebAssembly component ({0})")]
    NotAComponent(String),
    /// A component that is no plugin at all.
    #[error("load the plugin: it exports nothing of tidegate:plugin")]
    NotAPlugin,
    /// Made for a version of the interface that this host does not speak.
    #[error("load the plugin: it was built for {found}, this host speaks {supported}")]
    UnknownVersion {
        /// What the plugin names.
        found: String,
        /// What the host speaks.
        supported: &'static str,
    },
    /// It needs something that no plugin gets.
    #[error("load the plugin: it imports {import}, which the host does not offer")]
    UnknownImport {
        /// The import, by name.
        import: String,
    },
    /// It uses a power that its manifest does not ask for.
    #[error("load the plugin: it imports {import}, but its manifest does not want {power}")]
    NotWanted {
        /// The import, by name.
        import: String,
        /// The word of the manifest.
        power: &'static str,
    },
    /// It uses a power that the operator did not grant.
    #[error("load the plugin: it imports {import}, but {power} is not granted")]
    NotGranted {
        /// The import, by name.
        import: String,
        /// The word to grant.
        power: &'static str,
    },
    /// It does not fit into the pool of instances.
    #[error("load the plugin: it needs {needs} {what}, the limit is {limit}")]
    Resources {
        /// Of what it needs too much.
        what: &'static str,
        /// So much.
        needs: u64,
        /// May be.
        limit: u64,
    },
    /// The compiler or the linker refused it.
    #[error("compile the plugin: {0}")]
    Compile(String),
    /// It did not survive being asked what it is.
    #[error("describe the plugin: {0}")]
    Describe(#[source] CallError),
    /// What it says of itself cannot be true or cannot be used.
    #[error("accept the plugin's manifest: {0}")]
    Manifest(String),
}

/// Why a call of a plugin gave no answer. Always an error of the check, never of what it judged.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CallError {
    /// The guest said that it could not judge.
    #[error("judge: {}: {}", .0.name, .0.message)]
    Check(CheckError),
    /// The plugin has no such check or condition.
    #[error("find {check} in the plugin")]
    Unknown {
        /// The name asked for.
        check: String,
    },
    /// The guest broke down, or its answer could not be read.
    #[error("run the plugin: {message}")]
    Trap {
        /// For the author of the plugin.
        message: String,
    },
    /// Out of time.
    #[error("run the plugin within its deadline")]
    Deadline,
    /// Out of memory.
    #[error("run the plugin within its memory")]
    Memory,
    /// The answer is too large.
    #[error("take the plugin's answer: it is larger than allowed")]
    Output,
    /// What is to be judged is too large.
    #[error("give the plugin its input: it is larger than allowed")]
    Input,
    /// The guest called the host too often.
    #[error("run the plugin within its number of host calls")]
    HostCalls,
    /// No free place among the instances.
    #[error("run the plugin: too many calls run already")]
    Busy,
    /// It failed too often lately.
    #[error("run the plugin: it failed too often and rests")]
    Quarantined,
    /// The guest did, or the caller asked for, what the manifest does not declare.
    #[error("accept the plugin's answer: {0} is not declared in its manifest")]
    NotDeclared(&'static str),
    /// Spans that fit nothing.
    #[error("apply the plugin's spans: {0}")]
    BadSpans(String),
    /// An answer with JSON in it that is none.
    #[error("read the plugin's answer: {0}")]
    BadData(&'static str),
}

impl CallError {
    /// Returns the error's class, for results and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "CheckError",
            Self::Unknown { .. } => "UnknownCheck",
            Self::Trap { .. } => "PluginTrap",
            Self::Deadline => "DeadlineExceeded",
            Self::Memory => "MemoryExceeded",
            Self::Output => "OutputTooLarge",
            Self::Input => "InputTooLarge",
            Self::HostCalls => "HostCallsExceeded",
            Self::Busy => "PluginBusy",
            Self::Quarantined => "PluginQuarantined",
            Self::NotDeclared(_) => "NotDeclared",
            Self::BadSpans(_) => "BadSpans",
            Self::BadData(_) => "BadData",
        }
    }
}
