//! The gateway's plugin host as tests and measurements need it: one thread, no powers, time enough.

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tidegate_plugin_host::{Host, HostError, HostOptions, Instances, Limits, LoadError, Plugin, Setup};

use crate::golden::{self, Case, CaseReport};
use crate::toolchains::Toolchains;

/// Far above what a gateway allows: a busy machine of a plugin's author is no reason to fail a case.
const DEADLINE_MS: u64 = 2_000;

/// How instances live where they are reused: long enough that what a call leaves behind would show.
pub(crate) const REUSE: Instances = Instances::Reuse { calls: 10_000, idle: 1 };

/// Why plugins can't be run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The host did not start.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The host refused the component.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No thread of its own.
    #[error("start a runtime: {0}")]
    Runtime(#[from] io::Error),
}

/// A plugin host that answers here and now.
pub struct Runner {
    host: Arc<Host>,
    runtime: tokio::runtime::Runtime,
}

impl Runner {
    /// Starts a host, which keeps compiled plugins in the cache of the toolchains.
    ///
    /// # Errors
    /// When the host does not start.
    pub fn start(toolchains: &Toolchains) -> Result<Self, RunError> {
        let cache = Some(toolchains.scratch("compiled"));
        let host = Host::start(HostOptions { cache, instances: 16, ..HostOptions::default() })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { host, runtime })
    }

    /// Loads a component, as a gateway would.
    ///
    /// # Errors
    /// When the host refuses it.
    pub(crate) fn load(&self, component: &[u8], instances: Instances) -> Result<Arc<Plugin>, RunError> {
        let limits = Limits { deadline_ms: DEADLINE_MS, ..Limits::default() };
        Ok(self.host.load(component, Setup { limits, instances, ..Setup::default() })?)
    }

    /// Runs cases twice: each call in a fresh instance, and all in the same. The report is of the first, the problem of
    /// either.
    ///
    /// # Errors
    /// When the host refuses the component.
    pub fn golden(&self, component: &[u8], cases: &[Case]) -> Result<Vec<CaseReport>, RunError> {
        let fresh = self.load(component, Instances::Fresh)?;
        let reused = self.load(component, REUSE)?;
        let mut reports = Vec::with_capacity(cases.len());
        for case in cases {
            let mut report = self.wait(golden::run(&fresh, case));
            if report.problem.is_none() {
                let again = self.wait(golden::run(&reused, case));
                report.problem =
                    again.problem.map(|problem| format!("in an instance that was used before: {problem}"));
            }
            reports.push(report);
        }
        Ok(reports)
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}
