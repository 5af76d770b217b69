//! Rows as they were at an LSN, for whoever reads them while writes go on.
//!
//! Indexes are frozen by counting references; tables are not frozen at all. Instead the applier
//! keeps, for each watch that is open, what a row was before it is changed for the first time. A
//! reader takes the row from the tables first and asks the watch afterwards: if the row has been
//! changed by then, what it was before is there, because the applier puts it there before it
//! changes the row. So a watch that begins between two groups sees exactly what was between them.
//! It costs nothing while nobody watches, and RAM for the rows that change while somebody does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};

use storage::{CollectionId, FaceRow, PointId, TableChange, Tables};

use crate::error::Error;
use crate::sync::Mutex;

/// What the tables have of a point.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) payload: Vec<u8>,
    pub(crate) face: Option<FaceRow>,
}

/// The rows of some collections as they were when it began.
pub(crate) struct Watch {
    /// The only collection that is looked at, or all.
    only: Option<CollectionId>,
    before: Mutex<HashMap<(CollectionId, PointId), Option<Row>>>,
}

/// The watches that are open; one ends when nobody has it any more.
#[derive(Default)]
pub(crate) struct Watches(Mutex<Vec<Weak<Watch>>>);

impl Watches {
    /// Begins a watch; called by the applier between two groups.
    pub(crate) fn begin(&self, only: Option<CollectionId>) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            only,
            before: Mutex::default(),
        });
        self.0.lock().push(Arc::downgrade(&watch));
        watch
    }

    /// Keeps what is about to be changed; called by the applier before it changes the tables.
    pub(crate) fn keep(&self, changes: &[TableChange<'_>], tables: &Tables) -> Result<(), Error> {
        let open: Vec<Arc<Watch>> = {
            let mut watches = self.0.lock();
            watches.retain(|watch| watch.strong_count() > 0);
            watches.iter().filter_map(Weak::upgrade).collect()
        };
        for watch in open {
            for (collection, id) in changes.iter().map(TableChange::point) {
                watch.keep(collection, id, tables)?;
            }
        }
        Ok(())
    }
}

impl Watch {
    fn keep(&self, collection: CollectionId, id: PointId, tables: &Tables) -> Result<(), Error> {
        if self.only.is_some_and(|only| only != collection) {
            return Ok(());
        }
        let mut before = self.before.lock();
        if let Entry::Vacant(place) = before.entry((collection, id)) {
            place.insert(read(tables, collection, &id)?);
        }
        Ok(())
    }

    /// A row as it was when the watch began; `None` if it was not there, or went with its whole
    /// collection.
    pub(crate) fn row(
        &self,
        tables: &Tables,
        collection: CollectionId,
        id: &PointId,
    ) -> Result<Option<Row>, Error> {
        let now = read(tables, collection, id)?;
        let before = self.before.lock().get(&(collection, *id)).cloned();
        Ok(before.unwrap_or(now))
    }
}

fn read(tables: &Tables, collection: CollectionId, id: &PointId) -> Result<Option<Row>, Error> {
    let Some(payload) = tables.payload(collection, id)? else {
        return Ok(None);
    };
    let face = tables.face(collection, id)?;
    Ok(Some(Row { payload, face }))
}
