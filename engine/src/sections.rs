//! What the sections of a snapshot or a backup are called, and how those of a collection's state
//! are written.

use std::io::{self, Write};

use storage::{PointId, VectorId};

use crate::collection::FrozenCollection;

/// The ids, number by number; in snapshots of version 1 slot by slot of the only index.
pub(crate) const IDS: &str = "ids";
/// A row for each point.
pub(crate) const POINTS: &str = "points";
/// The pictures of faces, one behind the other; in backups only.
pub(crate) const PICTURES: &str = "pictures";
/// The index of a snapshot of version 1.
pub(crate) const ONLY_INDEX: &str = "index";

/// The index of a vector: in backups whole, in snapshots without vectors (in older ones with them).
pub(crate) fn index(of: VectorId) -> String {
    format!("index-{}", of.0)
}

/// The rows of an index, where they stand apart from it.
pub(crate) fn vectors(of: VectorId) -> String {
    format!("vectors-{}", of.0)
}

/// The codes of an index whose rows stand apart from it.
pub(crate) fn codes(of: VectorId) -> String {
    format!("codes-{}", of.0)
}

/// The numbers of a vector's points, slot by slot of its index.
pub(crate) fn numbers(of: VectorId) -> String {
    format!("numbers-{}", of.0)
}

type Fill<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Writes ids, indexes and numbers for a backup, each into a section of its own.
pub(crate) fn write_state<E>(
    state: &FrozenCollection,
    mut section: impl FnMut(&str, Fill<'_>) -> Result<(), E>,
) -> Result<(), E> {
    section(IDS, &mut |out| write_ids(out, &state.ids))?;
    for space in &state.spaces {
        section(&index(space.id), &mut |out| space.index.write(out))?;
        section(&numbers(space.id), &mut |out| {
            write_numbers(out, &space.numbers)
        })?;
    }
    Ok(())
}

/// Writes the same for a snapshot, from which a start shall be quick. Vectors come first: a snapshot's
/// first section begins at a cache line and they are whole cache lines, so that they can be used where
/// they stand.
pub(crate) fn write_quick_state<E>(
    state: &FrozenCollection,
    mut section: impl FnMut(&str, Fill<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for space in &state.spaces {
        section(&vectors(space.id), &mut |out| {
            space.index.write_vectors(out)
        })?;
    }
    section(IDS, &mut |out| write_ids(out, &state.ids))?;
    for space in &state.spaces {
        section(&index(space.id), &mut |out| space.index.write_graph(out))?;
        section(&codes(space.id), &mut |out| space.index.write_codes(out))?;
        section(&numbers(space.id), &mut |out| {
            write_numbers(out, &space.numbers)
        })?;
    }
    Ok(())
}

/// Number by number: the length of the id's key, and the key.
pub(crate) fn write_ids(out: &mut dyn Write, ids: &[Option<PointId>]) -> io::Result<()> {
    for id in ids {
        let key = id.map(|id| id.key()).unwrap_or_default();
        out.write_all(&[u8::try_from(key.len()).map_err(io::Error::other)?])?;
        out.write_all(&key)?;
    }
    Ok(())
}

/// Slot by slot: the number of the point whose vector is there.
pub(crate) fn write_numbers(out: &mut dyn Write, numbers: &[u32]) -> io::Result<()> {
    let mut numbers = numbers.iter();
    numbers.try_for_each(|number| out.write_all(&number.to_le_bytes()))
}
