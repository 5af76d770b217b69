//! The collections by name, by alias and by id.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use storage::CollectionId;

use crate::collection::Collection;
use crate::quarantine::Quarantined;
use crate::sync::RwLock;

/// All collections of an engine. A `CollectionId` is never given twice.
#[derive(Default)]
pub(crate) struct Catalog {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_name: HashMap<String, Arc<Collection>>,
    by_id: HashMap<CollectionId, Arc<Collection>>,
    /// No alias is a collection's name.
    aliases: BTreeMap<String, CollectionId>,
    quarantined: HashMap<CollectionId, Arc<Quarantined>>,
    next: u64,
}

impl Catalog {
    /// An empty catalogue that gives ids from `next` on.
    pub(crate) fn starting_at(next: u64) -> Self {
        Self {
            inner: RwLock::new(Inner {
                next,
                ..Inner::default()
            }),
        }
    }

    /// The collection that a name or an alias stands for.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Collection>> {
        let inner = self.inner.read();
        let aliased = || inner.by_id.get(inner.aliases.get(name)?);
        inner.by_name.get(name).or_else(aliased).cloned()
    }

    /// The collection that has this name itself.
    pub(crate) fn by_own_name(&self, name: &str) -> Option<Arc<Collection>> {
        self.inner.read().by_name.get(name).cloned()
    }

    /// Whether a collection has this name itself.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        let inner = self.inner.read();
        let mut damaged = inner.quarantined.values();
        inner.by_name.contains_key(name) || damaged.any(|it| it.name() == name)
    }

    pub(crate) fn aliases(&self) -> BTreeMap<String, CollectionId> {
        self.inner.read().aliases.clone()
    }

    /// Has aliases stand for other collections, or for none; all of them in one step.
    pub(crate) fn change_aliases(&self, changes: Vec<(String, Option<CollectionId>)>) {
        let inner = &mut *self.inner.write();
        for (alias, target) in changes {
            match target.filter(|id| inner.by_id.contains_key(id)) {
                Some(id) => inner.aliases.insert(alias, id),
                None => inner.aliases.remove(&alias),
            };
        }
    }

    pub(crate) fn by_id(&self, id: CollectionId) -> Option<Arc<Collection>> {
        self.inner.read().by_id.get(&id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        let inner = self.inner.read();
        inner.by_id.len() + inner.quarantined.len()
    }

    /// The id that the next collection will get.
    pub(crate) fn next_id(&self) -> CollectionId {
        CollectionId(self.inner.read().next)
    }

    /// Adds a collection, or leaves the one that has its id.
    pub(crate) fn insert(&self, collection: Collection) {
        let mut inner = self.inner.write();
        inner.next = inner.next.max(collection.id.0 + 1);
        if inner.by_id.contains_key(&collection.id) {
            return;
        }
        let collection = Arc::new(collection);
        inner
            .by_name
            .insert(collection.name.clone(), Arc::clone(&collection));
        inner.by_id.insert(collection.id, collection);
    }

    /// Keeps a collection from being served.
    pub(crate) fn quarantine(&self, quarantined: Quarantined) {
        let mut inner = self.inner.write();
        let id = quarantined.entry.id;
        inner.next = inner.next.max(id.0 + 1);
        inner.quarantined.insert(id, Arc::new(quarantined));
    }

    pub(crate) fn is_quarantined(&self, id: CollectionId) -> bool {
        self.inner.read().quarantined.contains_key(&id)
    }

    /// The collections that are not served, in the order of their names.
    pub(crate) fn quarantined(&self) -> Vec<Arc<Quarantined>> {
        let mut all: Vec<_> = self.inner.read().quarantined.values().cloned().collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// Puts collections in, each in the place of the one that it replaces, if any: that one's aliases
    /// stand for it from now on. All in one step.
    pub(crate) fn restore(
        &self,
        collections: Vec<(Collection, Option<CollectionId>)>,
        aliases: &[(String, CollectionId)],
    ) {
        let inner = &mut *self.inner.write();
        for (collection, replaces) in collections {
            let collection = Arc::new(collection);
            if let Some(old) = replaces {
                inner.by_id.remove(&old);
                inner.quarantined.remove(&old);
                for target in inner.aliases.values_mut().filter(|target| **target == old) {
                    *target = collection.id;
                }
            }
            inner.next = inner.next.max(collection.id.0 + 1);
            inner
                .by_name
                .insert(collection.name.clone(), Arc::clone(&collection));
            inner.by_id.insert(collection.id, collection);
        }
        for (alias, target) in aliases {
            inner.aliases.insert(alias.clone(), *target);
        }
    }

    /// Removes a collection, and its aliases.
    pub(crate) fn remove(&self, id: CollectionId) {
        let mut inner = self.inner.write();
        inner.aliases.retain(|_, target| *target != id);
        inner.quarantined.remove(&id);
        if let Some(collection) = inner.by_id.remove(&id)
            && inner
                .by_name
                .get(&collection.name)
                .is_some_and(|named| named.id == id)
        {
            inner.by_name.remove(&collection.name);
        }
    }

    /// All collections in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Collection>> {
        let mut all: Vec<_> = self.inner.read().by_id.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
