//! The collections by name and by id.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use storage::CollectionId;

use crate::collection::Collection;

/// All collections of an engine. A `CollectionId` is never given twice.
#[derive(Default)]
pub(crate) struct Catalog {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_name: HashMap<String, Arc<Collection>>,
    by_id: HashMap<CollectionId, Arc<Collection>>,
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

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Collection>> {
        self.inner.read().by_name.get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: CollectionId) -> Option<Arc<Collection>> {
        self.inner.read().by_id.get(&id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.read().by_id.len()
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

    pub(crate) fn remove(&self, id: CollectionId) {
        let mut inner = self.inner.write();
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
