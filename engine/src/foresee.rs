//! About how much memory something is going to take, told before it is done, so that whoever has a limit
//! can refuse it. Where it cannot be known without doing it, it is an estimate from a sample, or from
//! the sizes in a file; nothing here changes anything.

use storage::{BackupReader, CollectionConfig, Incoming, Part, VectorId};

use crate::collection::State;
use crate::convert;
use crate::engine::Engine;
use crate::error::Error;
use crate::filter::KeyPath;
use crate::numbers::PointNumber;
use crate::payload::{FieldIndex, IndexKind, PayloadChange};
use crate::point::Chosen;
use crate::sections;

/// Payloads that are read to see how large an index of a key becomes.
const SAMPLE: usize = 512;
/// What a point's id takes beside its bytes in a file: it stands in two tables.
const ID_BYTES: u64 = 96;
/// What a node of an index takes for each of its M: two links on level 0, each there and back.
const LINK_BYTES: u64 = 16;
/// What it takes beside its links and rows: upper levels, and lists that have room to grow.
const NODE_BYTES: u64 = 96;

impl Engine {
    /// Bytes that the index of a vector takes now: about as many as another one beside it.
    ///
    /// # Errors
    /// There is no such collection or vector.
    pub fn index_bytes(&self, collection: &str, vector: &str) -> Result<usize, Error> {
        let collection = self.collection(collection)?;
        let state = collection.state.read();
        let id = state.settings.by_name(vector)?.id;
        Ok(state.index_bytes(id))
    }

    /// Bytes that an index of a key of the payloads would take, by a sample of them.
    ///
    /// # Errors
    /// There is no such collection, or the tables cannot be read.
    pub fn payload_index_bytes(
        &self,
        collection: &str,
        key: &KeyPath,
        kind: IndexKind,
    ) -> Result<u64, Error> {
        let collection = self.collection(collection)?;
        let (points, sample) = {
            let state = collection.state.read();
            let step = (state.numbers.len() / SAMPLE).max(1);
            let sample = state.numbers.ids().step_by(step).copied();
            (state.numbers.len(), sample.take(SAMPLE).collect::<Vec<_>>())
        };
        let mut field = FieldIndex::new(key.clone(), kind);
        for (number, id) in (0u32..).zip(&sample) {
            // Else it has gone meanwhile.
            if let Some(payload) = self.shared().tables.payload(collection.id, id)? {
                let entry = field.entry(&convert::payload(&payload)?);
                field.put(PointNumber(number), entry);
            }
        }
        let each = field.memory_bytes().div_ceil(sample.len().max(1));
        Ok(each as u64 * points as u64)
    }

    /// Bytes that a change brings to payloads, all of its points together; nothing where it only takes away.
    ///
    /// # Errors
    /// There is no such collection, or the tables cannot be read.
    pub fn change_bytes(
        &self,
        collection: &str,
        chosen: &Chosen,
        change: &PayloadChange,
    ) -> Result<u64, Error> {
        let each = change.bytes()? as u64;
        let points = match chosen {
            _ if each == 0 => 0,
            Chosen::Ids(ids) => ids.len(),
            Chosen::Filter(filter) => self.count_where(collection, filter)?,
        };
        Ok(each.saturating_mul(points as u64))
    }

    /// Bytes that the collections of a backup will take. Of a file that cannot be read nothing: what is
    /// wrong with it the restore tells.
    pub fn restore_bytes(&self, backup: &Incoming) -> u64 {
        self.backup_bytes(&backup.path()).unwrap_or(0)
    }

    /// The same of a backup that lies in the data folder.
    ///
    /// # Errors
    /// Its name is none.
    pub fn restore_bytes_from_shelf(&self, of: Option<&str>, file: &str) -> Result<u64, Error> {
        let found = self.backup_file(of, file)?;
        let bytes = found.and_then(|(path, _)| self.backup_bytes(&path).ok());
        Ok(bytes.unwrap_or(0))
    }

    fn backup_bytes(&self, path: &std::path::Path) -> Result<u64, Error> {
        let reader = BackupReader::open(&*self.shared().disk, path)?;
        let configs = reader.contents.collections.iter().enumerate();
        configs
            .map(|(part, config)| part_bytes(&reader.part(part), config))
            .sum()
    }
}

/// Links, and codes, which come to up to an eighth and a quarter of the `f32` rows; the rows themselves
/// unless they are on the disk.
fn part_bytes(part: &Part<'_>, config: &CollectionConfig) -> Result<u64, Error> {
    let settings = convert::settings(config)?;
    let mut bytes = 0;
    for vector in &settings.vectors {
        let slots = part.section(&sections::numbers(vector.id))?.size() / 4;
        let links = vector.spec.m as u64 * LINK_BYTES + NODE_BYTES;
        let row = vector.spec.dim as u64 * 4;
        let kept = if vector.spec.on_disk { 0 } else { row };
        bytes += slots.saturating_mul(links + row / 8 * 3 + kept);
    }
    let ids = part.section(sections::IDS)?.size();
    let points = ids / 9;
    let payloads = match settings.indexes.is_empty() {
        true => 0,
        false => part.section(sections::POINTS)?.size(),
    };
    Ok(bytes + ids + points * ID_BYTES + payloads)
}

impl State {
    /// Bytes of the index of a vector; none where there is no such vector.
    pub(crate) fn index_bytes(&self, of: VectorId) -> usize {
        let space = self.spaces.get(&of);
        space.map_or(0, |space| space.index.memory_bytes())
    }
}

#[cfg(test)]
mod tests {
    use storage::PointId;

    use super::*;
    use crate::options::Options;
    use crate::point::{Ack, Payload, Point};
    use crate::spec::{CollectionSpec, Metric};

    const NAME: &str = "faces";

    fn filled(dir: &std::path::Path, on_disk: bool) -> Engine {
        let engine = Engine::open(Options::new(dir)).unwrap();
        let mut spec = CollectionSpec::new(64, Metric::Euclid);
        spec.vectors
            .values_mut()
            .for_each(|vector| vector.on_disk = on_disk);
        engine.create_collection(NAME, spec).unwrap();
        let point = |id: u16| Point {
            id: PointId::Num(id.into()),
            vectors: vec![f32::from(id); 64].into(),
            payload: Payload::from_iter([("name".to_owned(), format!("person {id}").into())]),
            face: None,
        };
        let points = (0..3_000).map(point).collect();
        engine.upsert(NAME, points, Ack::Applied).unwrap();
        engine
    }

    fn used(engine: &Engine) -> u64 {
        engine.describe(NAME).unwrap().memory_bytes as u64
    }

    #[test]
    fn what_an_index_of_payloads_will_take_is_about_what_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let engine = filled(dir.path(), true);
        let (key, kind) = (KeyPath::of("name"), IndexKind::Keyword);
        let told = engine.payload_index_bytes(NAME, &key, kind).unwrap();
        let before = used(&engine);
        engine.create_index(NAME, key, kind, Ack::Applied).unwrap();
        let took = used(&engine) - before;
        assert!((took / 2..took * 2).contains(&told), "{told} told, {took}");
    }

    #[test]
    fn what_a_restore_will_take_is_at_least_what_it_takes_and_not_much_more() {
        for on_disk in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let engine = filled(dir.path(), on_disk);
            let made = engine.create_backup(Some(NAME)).unwrap();
            let told = engine.restore_bytes_from_shelf(Some(NAME), &made.name);
            let (told, took) = (told.unwrap(), used(&engine));
            assert!((took..took * 2).contains(&told), "{told} told, {took}");
            assert!(engine.index_bytes(NAME, "").unwrap() as u64 <= took);
        }
    }

    #[test]
    fn a_change_takes_what_it_brings_to_each_point() {
        let dir = tempfile::tempdir().unwrap();
        let engine = filled(dir.path(), true);
        let payload = Payload::from_iter([("about".to_owned(), "x".repeat(1_000).into())]);
        let change = PayloadChange::Set { payload, key: None };
        let all = Chosen::Filter(crate::Filter::default());
        let ids = Chosen::Ids(vec![PointId::Num(1), PointId::Num(2)]);
        let bytes = |chosen| engine.change_bytes(NAME, chosen, &change).unwrap();
        assert!((3_000_000..3_300_000).contains(&bytes(&all)));
        assert!((2_000..2_200).contains(&bytes(&ids)));
        let less = PayloadChange::Clear;
        assert_eq!(engine.change_bytes(NAME, &all, &less).unwrap(), 0);
    }
}
