//! Checksums of a collection, to compare servers that have been fed the same log, or a backup with
//! what it was made of. They are computed on a view, while writes go on.

use std::collections::BTreeMap;
use std::io::Write;

use hnsw::Slot;
use storage::{CollectionId, Digest, Lsn, PointId};

use crate::collection::{FrozenCollection, FrozenSpace};
use crate::engine::Engine;
use crate::error::Error;
use crate::sections;
use crate::space::NOBODY;
use crate::view::View;

/// What a collection is, in two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// All up to here is in it.
    pub lsn: Lsn,
    /// The last record that changed it: it is the same at every position from there to `lsn`.
    pub changed: Lsn,
    /// Its points.
    pub points: usize,
    /// SHA-256 of what its points are: ids, vectors by name, payloads, faces. The same wherever the
    /// same points are, whatever way they came.
    pub content: String,
    /// SHA-256 of its indexes. The same where the same records came in the same order.
    pub graph: String,
}

impl Engine {
    /// The checksums of a collection after all that has been accepted before.
    pub fn checksum(&self, collection: &str) -> Result<Checksum, Error> {
        let collection = self.collection(collection)?;
        let _moving = self.moving.read();
        let view = self.view(Some(collection.id))?;
        self.checksum_in(&view, collection.id)
    }

    /// Those of one of the collections of a view.
    pub(crate) fn checksum_in(&self, view: &View, of: CollectionId) -> Result<Checksum, Error> {
        let mut collections = view.state.collections.iter();
        let found = collections.find(|(collection, _)| collection.id == of);
        let (collection, state) =
            found.ok_or_else(|| Error::NoCollection(format!("number {}", of.0)))?;
        let gone = || Error::NoCollection(collection.name.clone());
        let content = self.content(of, state, view);
        let content = content?.ok_or_else(gone)?;
        Ok(Checksum {
            lsn: view.state.lsn,
            changed: state.changed,
            points: state.ids.iter().flatten().count(),
            content,
            graph: graph(state)?,
        })
    }

    /// `None` if the collection is dropped meanwhile: its rows go with it.
    fn content(
        &self,
        of: CollectionId,
        state: &FrozenCollection,
        view: &View,
    ) -> Result<Option<String>, Error> {
        let spaces: BTreeMap<&str, (&FrozenSpace, Vec<u32>)> = state
            .spaces
            .iter()
            .filter_map(|space| {
                let vectors = state.settings.vectors.iter();
                let name = vectors.filter(|vector| vector.id == space.id);
                let name = name.map(|vector| vector.name.as_str()).next()?;
                Some((name, (space, slots(space, state.ids.len()))))
            })
            .collect();
        let by_number = (0u32..).zip(&state.ids);
        let mut points: Vec<(PointId, u32)> = by_number
            .filter_map(|(number, id)| Some(((*id)?, number)))
            .collect();
        points.sort_unstable();
        let mut digest = Digest::new();
        for (id, number) in points {
            digest.field(&id.key());
            for (name, (space, slots)) in &spaces {
                let slot = slots.get(number as usize).copied().unwrap_or(NOBODY);
                let Some(vector) = space.index.vector(Slot(slot)) else {
                    continue;
                };
                digest.field(name.as_bytes());
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                digest.field(&bytes);
            }
            let row = view.watch.row(&self.shared().tables, of, &id)?;
            let Some(row) = row else { return Ok(None) };
            digest.field(&row.payload);
            if let Some(face) = row.face {
                let box_and_landmarks = face
                    .bounding_box
                    .iter()
                    .chain(face.landmarks.as_flattened());
                let numbers = box_and_landmarks.chain([&face.confidence]);
                let bytes: Vec<u8> = numbers.flat_map(|x| x.to_le_bytes()).collect();
                digest.field(&bytes);
                for picture in [face.crop, face.photo] {
                    let len = picture.map_or(u32::MAX, |place| place.len);
                    digest.field(&len.to_le_bytes());
                }
            }
        }
        Ok(Some(digest.hex()))
    }
}

/// The slot of each point by its number.
fn slots(space: &FrozenSpace, numbers: usize) -> Vec<u32> {
    let mut slots = vec![NOBODY; numbers];
    for (slot, number) in (0u32..).zip(&space.numbers) {
        if let Some(place) = slots.get_mut(*number as usize) {
            *place = slot;
        }
    }
    slots
}

fn graph(state: &FrozenCollection) -> Result<String, Error> {
    let mut digest = Digest::new();
    let failed = |error: std::io::Error| Error::Corrupt(format!("a checksum: {error}"));
    sections::write_ids(&mut digest, &state.ids).map_err(failed)?;
    for space in &state.spaces {
        digest
            .write_all(&space.id.0.to_le_bytes())
            .map_err(failed)?;
        space.index.write(&mut digest).map_err(failed)?;
        // A loaded index does not know how many free slots there were at the end.
        let last = space.numbers.iter().rposition(|number| *number != NOBODY);
        let used = space.numbers.get(..last.map_or(0, |last| last + 1));
        sections::write_numbers(&mut digest, used.unwrap_or_default()).map_err(failed)?;
    }
    Ok(digest.hex())
}
