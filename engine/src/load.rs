//! A collection from its snapshot.
//!
//! Snapshots of version 1 are of collections with one vector; their ids stand slot by slot of its
//! index, and slots become the points' numbers.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hnsw::{Apart, Kept, Place, Scratch};
use roaring::RoaringBitmap;
use storage::{
    CollectionEntry, Lsn, Part, PointId, SectionReader, SnapshotReader, TableChange, Tables,
    read_rows, section_checksum,
};

use crate::collection::{Collection, State};
use crate::convert;
use crate::error::Error;
use crate::numbers::{Numbers, PointNumber};
use crate::payload::PayloadIndexes;
use crate::sections;
use crate::settings::{Settings, Vector};
use crate::space::{NOBODY, Space};

/// How rows come from a snapshot or a backup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// They stand apart and are used there until they are copied, if an index has at least so many bytes
    /// of vectors: each takes a handle.
    Lent(u64),
    /// They are copied now, wherever they stand.
    Copied,
    /// They stand in the index, as in backups.
    Within,
}

/// The collection as it was at the snapshot's LSN.
pub(crate) fn load_collection(
    reader: &SnapshotReader,
    entry: &CollectionEntry,
    scratch: &Scratch,
    rows: Rows,
) -> Result<Collection, Error> {
    let settings = convert::settings(&entry.config)?;
    let state = match reader.ids_by_slot {
        true => load_by_slot(&reader.part(), settings, scratch),
        false => load_state(&reader.part(), settings, scratch, rows),
    };
    let (id, name) = (entry.id, entry.config.name.clone());
    let changed = Lsn(entry.snapshot.changed);
    let state = state.map_err(|error| match error {
        Error::Corrupt(what) => Error::Corrupt(format!("{}: {what}", reader.path().display())),
        other => other,
    })?;
    Ok(Collection::with_state(id, name, state, changed))
}

/// What a snapshot or a backup has of a collection's points and vectors.
pub(crate) fn load_state(
    reader: &Part<'_>,
    settings: Settings,
    scratch: &Scratch,
    rows: Rows,
) -> Result<State, Error> {
    let corrupt = Error::Corrupt;
    let ids = read_ids(reader.section(sections::IDS)?).map_err(corrupt)?;
    let numbers = Numbers::from_ids(ids).map_err(corrupt)?;
    let is_point = |number: PointNumber| numbers.id(number).is_some();
    let mut spaces = BTreeMap::new();
    for vector in &settings.vectors {
        let is_apart = rows != Rows::Within && reader.has(&sections::vectors(vector.id));
        let index = match is_apart {
            true => load_apart(reader, vector, scratch, rows),
            false => load_index(reader, &sections::index(vector.id), vector, scratch),
        }?;
        let by_slot = read_numbers(reader.section(&sections::numbers(vector.id))?);
        let space = by_slot.and_then(|by_slot| Space::with_numbers(index, &by_slot, is_point));
        spaces.insert(vector.id, space.map_err(corrupt)?);
    }
    Ok(State {
        settings: Arc::new(settings),
        numbers,
        spaces,
        payload: PayloadIndexes::default(),
        faced: RoaringBitmap::new(),
    })
}

fn load_by_slot(reader: &Part<'_>, settings: Settings, scratch: &Scratch) -> Result<State, Error> {
    let corrupt = Error::Corrupt;
    let [vector] = settings.vectors.as_slice() else {
        return Err(corrupt("it is of a collection with one vector".into()));
    };
    let id = vector.id;
    let index = load_index(reader, sections::ONLY_INDEX, vector, scratch)?;
    let ids = read_ids(reader.section(sections::IDS)?).map_err(corrupt)?;
    let by_slot = (0u32..).zip(&ids);
    let by_slot = by_slot.map(|(number, id)| id.map_or(NOBODY, |_| number));
    let by_slot: Vec<u32> = by_slot.collect();
    let numbers = Numbers::from_ids(ids).map_err(corrupt)?;
    let is_point = |number| numbers.id(number).is_some();
    let space = Space::with_numbers(index, &by_slot, is_point).map_err(corrupt)?;
    Ok(State {
        settings: Arc::new(settings),
        numbers,
        spaces: BTreeMap::from([(id, space)]),
        payload: PayloadIndexes::default(),
        faced: RoaringBitmap::new(),
    })
}

fn load_index(
    reader: &Part<'_>,
    section: &str,
    vector: &Vector,
    scratch: &Scratch,
) -> Result<hnsw::Index, Error> {
    let mut section = reader.section(section)?;
    let len = section.size();
    let scratch = vector.spec.on_disk.then(|| scratch.clone());
    as_configured(hnsw::Index::read(&mut section, len, scratch), vector)
}

/// An index whose rows stand apart.
fn load_apart(
    reader: &Part<'_>,
    vector: &Vector,
    scratch: &Scratch,
    rows: Rows,
) -> Result<hnsw::Index, Error> {
    let mut graph = reader.section(&sections::index(vector.id))?;
    let mut vectors = reader.section(&sections::vectors(vector.id))?;
    let mut codes = reader.section(&sections::codes(vector.id))?;
    let (graph_len, vectors_len, codes_len) = (graph.size(), vectors.size(), codes.size());
    let places = match rows {
        Rows::Lent(from) if vectors_len >= from => places(&vectors, &codes),
        _ => None,
    };
    let mut vectors_seen = |bytes: &[u8]| vectors.check(bytes);
    let mut codes_seen = |bytes: &[u8]| codes.check(bytes);
    let index = match places {
        Some((file, vectors_start, codes_start)) => hnsw::Index::read_apart(Apart {
            graph: (&mut graph, graph_len),
            vectors: (kept((&file, vectors_start), &mut vectors_seen), vectors_len),
            codes: (kept((&file, codes_start), &mut codes_seen), codes_len),
            scratch: vector.spec.on_disk.then(|| scratch.clone()),
        }),
        None => hnsw::Index::read_apart(Apart {
            graph: (&mut graph, graph_len),
            vectors: (Kept::Stream(&mut vectors), vectors_len),
            codes: (Kept::Stream(&mut codes), codes_len),
            scratch: vector.spec.on_disk.then(|| scratch.clone()),
        }),
    };
    as_configured(index, vector)
}

/// The file of two sections, and where they begin; none if the system gives no more handles, which is no
/// fault of the snapshot.
fn places(
    vectors: &SectionReader<'_>,
    codes: &SectionReader<'_>,
) -> Option<(Arc<OwnedFd>, u64, u64)> {
    let (file, vectors) = vectors.place().ok().flatten()?;
    let (_, codes) = codes.place().ok().flatten()?;
    Some((Arc::new(file), vectors, codes))
}

fn kept<'a>(
    (file, start): (&Arc<OwnedFd>, u64),
    seen: &'a mut dyn FnMut(&[u8]) -> io::Result<u32>,
) -> Kept<'a> {
    Kept::File(Place {
        file: Arc::clone(file),
        start,
        seen,
        checksum: section_checksum,
    })
}

fn as_configured(
    index: Result<hnsw::Index, hnsw::Error>,
    vector: &Vector,
) -> Result<hnsw::Index, Error> {
    let index = index.map_err(|error| match error {
        // No fault of the snapshot.
        error @ hnsw::Error::Scratch(_) => Error::from(error),
        error => Error::Corrupt(error.to_string()),
    })?;
    if *index.params() != vector.spec.params() {
        return Err(Error::Corrupt(
            "the index has other settings than its collection".into(),
        ));
    }
    Ok(index)
}

fn read_ids(mut input: impl Read) -> Result<Vec<Option<PointId>>, String> {
    let mut ids = Vec::new();
    let mut length = [0];
    while input.read(&mut length).map_err(|error| error.to_string())? == 1 {
        let [length] = length;
        let mut key = vec![0; usize::from(length)];
        input
            .read_exact(&mut key)
            .map_err(|error| error.to_string())?;
        ids.push(match key.as_slice() {
            [] => None,
            key => Some(PointId::from_key(key).ok_or("an id is malformed")?),
        });
    }
    Ok(ids)
}

fn read_numbers(mut input: impl Read) -> Result<Vec<u32>, String> {
    let mut bytes = Vec::new();
    let read = input.read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("the list of numbers is cut off".into());
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// Fills empty tables with a snapshot's rows.
pub(crate) fn refill_tables(
    tables: &Tables,
    reader: &SnapshotReader,
    entry: &CollectionEntry,
    collection: &Collection,
) -> Result<(), Error> {
    let mut rows = read_rows(reader.part().section(sections::POINTS)?);
    loop {
        let piece: Vec<_> = rows.by_ref().take(1_000).collect::<Result<_, _>>()?;
        if piece.is_empty() {
            return Ok(());
        }
        let there = piece.iter().filter(|row| collection.contains(&row.id));
        let puts = there.map(|row| TableChange::PutPoint {
            collection: entry.id,
            id: row.id,
            lsn: Lsn(entry.snapshot.changed),
            payload: &row.payload,
            face: row.face.clone(),
        });
        tables.apply(Lsn(0), &puts.collect::<Vec<_>>())?;
    }
}
