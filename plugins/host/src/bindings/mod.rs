//! One module for each version of `tidegate:plugin` that breaks with the one before, and the seam between them.
//!
//! A version is served from its own WIT folder, frozen when released. The types of the newest are the package's own;
//! an older module converts.

pub(crate) mod since_v0_1;

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, Linker};

use crate::guest::Guest;
use crate::{CallView, CheckError, Judgement, Manifest, StreamWindow, Subject, WindowAnswer, WindowNeeds};

/// What this host speaks, for messages.
pub(crate) const SUPPORTED: &str = "tidegate:plugin@0.1.x";

/// A version that this host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    SinceV01,
}

/// What a component exports, besides `about`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Exports {
    pub(crate) guardrail: bool,
    pub(crate) stream: bool,
    pub(crate) condition: bool,
}

/// What a guest is asked.
#[derive(Debug)]
pub(crate) enum Ask {
    Describe,
    Check { check: Arc<str>, params: Arc<str>, subject: Arc<Subject> },
    Needs { check: Arc<str>, params: Arc<str> },
    Window { check: Arc<str>, params: Arc<str>, window: Arc<StreamWindow> },
    Matches { condition: Arc<str>, params: Arc<str>, call: CallView },
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Manifest(Manifest),
    Judgement(Result<Judgement, CheckError>),
    Needs(Result<WindowNeeds, CheckError>),
    Window(Result<WindowAnswer, CheckError>),
    Matches(Result<bool, CheckError>),
}

impl Answer {
    /// Whether the guest judged: its own errors are answers too, but no judgement.
    pub(crate) fn is_judged(&self) -> bool {
        match self {
            Self::Manifest(_) => true,
            Self::Judgement(answer) => answer.is_ok(),
            Self::Needs(answer) => answer.is_ok(),
            Self::Window(answer) => answer.is_ok(),
            Self::Matches(answer) => answer.is_ok(),
        }
    }
}

impl Version {
    /// Returns the version that serves `0.1.3` and the like. `0.1` alone is how newer tools can be told to write it;
    /// the engine does not read that yet.
    pub(crate) fn find(version: &str) -> Option<Self> {
        version.starts_with(since_v0_1::MAJOR_MINOR).then_some(Self::SinceV01)
    }

    /// Whether plugins of this version may import a function.
    pub(crate) fn offers(self, interface: &str, function: &str) -> bool {
        let functions = match self {
            Self::SinceV01 => &since_v0_1::FUNCTIONS[..],
        };
        functions.contains(&(interface, function))
    }

    pub(crate) fn link(self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        match self {
            Self::SinceV01 => since_v0_1::link(linker),
        }
    }

    pub(crate) fn indices(self, pre: &InstancePre<Guest>, exports: Exports) -> wasmtime::Result<Indices> {
        match self {
            Self::SinceV01 => Ok(Indices::SinceV01(since_v0_1::Indices::new(pre, exports)?)),
        }
    }
}

/// Where a component's exports are.
#[derive(Clone)]
pub(crate) enum Indices {
    SinceV01(since_v0_1::Indices),
}

impl Indices {
    pub(crate) fn bind(&self, instance: Instance) -> Bound {
        match self {
            Self::SinceV01(indices) => Bound::SinceV01(indices.bind(instance)),
        }
    }
}

/// An instance whose functions can be called.
pub(crate) enum Bound {
    SinceV01(since_v0_1::Bound),
}

impl Bound {
    pub(crate) fn bind_all(&mut self, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        match self {
            Self::SinceV01(bound) => bound.bind_all(store),
        }
    }

    pub(crate) async fn call(&mut self, store: &mut Store<Guest>, ask: &Ask) -> wasmtime::Result<Answer> {
        match self {
            Self::SinceV01(bound) => bound.call(store, ask).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use wit_parser::Resolve;

    use super::*;

    #[test]
    fn exactly_the_functions_of_the_wit_files_are_offered() {
        let mut resolve = Resolve::default();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugin-sdk/wit/since_v0_1");
        let (package, _) = resolve.push_dir(folder).unwrap();
        let world = resolve.select_world(&[package], Some("full-plugin")).unwrap();
        let mut offered = Vec::new();
        for import in resolve.worlds[world].imports.values() {
            let wit_parser::WorldItem::Interface { id, .. } = import else { panic!("{import:?}") };
            let interface = &resolve.interfaces[*id];
            let name = interface.name.clone().unwrap();
            offered.extend(interface.functions.keys().map(|function| (name.clone(), function.clone())));
        }
        assert_eq!(offered.len(), since_v0_1::FUNCTIONS.len());
        for (interface, function) in offered {
            assert!(Version::SinceV01.offers(&interface, &function), "{interface}#{function}");
        }
    }
}
