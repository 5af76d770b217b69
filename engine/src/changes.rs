//! What records change in the tables. Rows of dropped collections are swept later, in pieces.

use storage::{FaceRow, Lsn, Record, TableChange};

use crate::keep::NewPayload;

/// Adds the changes that a record makes, with its faces and payloads worked out before.
pub(crate) fn table_changes<'a>(
    lsn: Lsn,
    record: &'a Record,
    faces: &[Option<FaceRow>],
    payloads: &'a [NewPayload],
    out: &mut Vec<TableChange<'a>>,
) {
    match record {
        // The rows of a dropped collection are swept later, in pieces.
        Record::CreateCollection { .. }
        | Record::DropCollection { .. }
        | Record::UpdateVectors { .. }
        | Record::DeleteVectors { .. }
        | Record::CopyVectors { .. }
        | Record::SwapVector { .. }
        | Record::ChangeAliases { .. }
        | Record::PutIndex { .. }
        | Record::DropIndex { .. }
        | Record::Restore { .. }
        | Record::Purge { .. }
        | Record::Mark
        | Record::Configure { .. } => {}
        Record::ChangePayload { collection, .. } => {
            out.extend(
                payloads
                    .iter()
                    .map(|(id, payload)| TableChange::PutPayload {
                        collection: *collection,
                        id: *id,
                        payload,
                    }),
            );
        }
        Record::Upsert { collection, points } => {
            out.extend(
                points
                    .iter()
                    .zip(faces)
                    .map(|(point, face)| TableChange::PutPoint {
                        collection: *collection,
                        id: point.id,
                        lsn,
                        payload: &point.payload,
                        face: face.clone(),
                    }),
            );
        }
        Record::Delete { collection, ids } => {
            out.extend(ids.iter().map(|id| TableChange::DeletePoint {
                collection: *collection,
                id: *id,
            }));
        }
    }
}
