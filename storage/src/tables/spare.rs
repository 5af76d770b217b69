//! Rows in RAM that stand in for sled's, to be read only. sled that has met a full disk refuses even
//! reads that would have it put its pages in order on the way, for as long as the process lives.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{FaceRow, TableChange};
use crate::ids::{CollectionId, PointId};

/// The rows of all points.
#[derive(Default)]
pub struct Spare(BTreeMap<(CollectionId, PointId), Row>);

struct Row {
    payload: Vec<u8>,
    face: Option<FaceRow>,
}

impl Spare {
    /// Changes rows, in order.
    pub fn apply(&mut self, changes: &[TableChange<'_>]) {
        for change in changes {
            let at = change.point();
            match change {
                TableChange::PutPoint { payload, face, .. } => {
                    let (payload, face) = (payload.to_vec(), face.clone());
                    self.0.insert(at, Row { payload, face });
                }
                TableChange::PutPayload { payload, .. } => {
                    if let Some(row) = self.0.get_mut(&at) {
                        row.payload = payload.to_vec();
                    }
                }
                TableChange::DeletePoint { .. } => drop(self.0.remove(&at)),
            }
        }
    }

    /// Removes the rows of a collection.
    pub fn drop_collection(&mut self, collection: CollectionId) {
        self.0.retain(|(of, _), _| *of != collection);
    }

    /// A point's payload, MessagePack.
    pub fn payload(&self, collection: CollectionId, id: &PointId) -> Option<&[u8]> {
        Some(&self.0.get(&(collection, *id))?.payload)
    }

    pub(super) fn face(&self, collection: CollectionId, id: &PointId) -> Option<&FaceRow> {
        self.0.get(&(collection, *id))?.face.as_ref()
    }

    /// The ids of a collection in order, from `from` on.
    pub(super) fn ids(
        &self,
        collection: CollectionId,
        from: Option<&PointId>,
    ) -> impl Iterator<Item = PointId> {
        let start = (collection, from.copied().unwrap_or(PointId::Num(0)));
        let rows = self.0.range((Bound::Included(start), Bound::Unbounded));
        rows.map(|(at, _)| *at)
            .take_while(move |(of, _)| *of == collection)
            .map(|(_, id)| id)
    }
}
