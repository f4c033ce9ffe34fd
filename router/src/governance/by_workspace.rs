//! Policies, found by the workspace that they are for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidegate_store::ObjectRecord;

use super::Bad;
use super::rules::kept;

/// By id: ids grow with time, so that policies come in the order in which they were made.
type Listed<T> = Arc<BTreeMap<Arc<str>, Arc<T>>>;

/// Policies by workspace. Cheap to clone; a change copies the list that it touches and shares the others.
#[derive(Debug)]
pub(super) struct ByWorkspace<T> {
    /// Those of every workspace.
    everyones: Listed<T>,
    by_workspace: Arc<HashMap<Arc<str>, Listed<T>>>,
}

impl<T> Default for ByWorkspace<T> {
    fn default() -> Self {
        Self { everyones: Arc::default(), by_workspace: Arc::default() }
    }
}

impl<T> Clone for ByWorkspace<T> {
    fn clone(&self) -> Self {
        Self { everyones: self.everyones.clone(), by_workspace: self.by_workspace.clone() }
    }
}

impl<T> ByWorkspace<T> {
    /// Puts a policy in force as it is now; without `object` takes it out. A policy never changes its workspace.
    pub(super) fn put(
        &mut self,
        id: &str,
        object: Option<&ObjectRecord>,
        read: fn(&ObjectRecord) -> Result<T, Bad>,
    ) {
        let Some(object) = object else { return self.remove(id) };
        let Some(policy) = kept(object, read(object)) else { return self.remove(id) };
        let list = match object.workspace.as_deref() {
            None => &mut self.everyones,
            Some(own) => Arc::make_mut(&mut self.by_workspace).entry(own.into()).or_default(),
        };
        Arc::make_mut(list).insert(id.into(), Arc::new(policy));
    }

    fn remove(&mut self, id: &str) {
        if self.everyones.contains_key(id) {
            Arc::make_mut(&mut self.everyones).remove(id);
            return;
        }
        let own =
            self.by_workspace.iter().find(|(_, list)| list.contains_key(id)).map(|(own, _)| own.clone());
        let Some(own) = own else { return };
        let lists = Arc::make_mut(&mut self.by_workspace);
        if let Some(list) = lists.get_mut(&own) {
            Arc::make_mut(list).remove(id);
            if list.is_empty() {
                lists.remove(&own);
            }
        }
    }

    /// Returns the policies of a workspace, those of every workspace first.
    pub(super) fn of(&self, workspace: &str) -> impl Iterator<Item = &T> {
        let own = self.by_workspace.get(workspace).into_iter().flat_map(|list| list.values());
        self.everyones.values().chain(own).map(|policy| &**policy)
    }

    /// Returns whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.everyones.is_empty() && self.by_workspace.is_empty()
    }
}
