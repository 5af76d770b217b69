//! Sets of vectors on the index that a server has: how many of the original's ten nearest are found, in
//! what time, and what a vector takes. Everybody's vectors are looked among, those held out are asked for.

use std::fmt::Write;
use std::hint::black_box;

use anyhow::Result;
use hnsw::{Index, Metric, Params, Scratch, SearchOptions, Slot};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use train::{Chance, Measured, mean_over_people, nearest_among};

use super::evaluate::Whole;
use super::table;

/// How many of each are looked for.
const COUNT: usize = 10;
/// Candidates that a search expands.
const EFS: [usize; 10] = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192];
/// Those of a search that names none: as quick as the original is then, others are measured too.
const BY_DEFAULT: usize = hnsw::limits::DEFAULT_EF;
/// Times that searches are timed; the best counts.
const ROUNDS: usize = 5;
/// Vectors that are inserted together, as by a server.
const BATCH: usize = 64;
/// Vectors of which memory is told: chunks of every kind of row are full then.
const FULL: usize = 1 << 14;

/// One set on an index.
struct OnIndex {
    name: String,
    size: usize,
    /// Bytes a vector in memory, and in the file beside it.
    bytes: (usize, usize),
    at: Vec<At>,
    /// What it finds when it is as quick as the original by default.
    as_quick: (At, Measured),
}

/// What comes of an `ef`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At {
    ef: usize,
    recall: f64,
    /// CPU time of a search.
    micros: f64,
}

/// All sets.
pub(crate) struct Indexed {
    vectors: usize,
    sets: Vec<OnIndex>,
}

/// An index of a set's vectors, and the place of the vector in each of its slots.
struct Built {
    index: Index,
    places: Vec<usize>,
}

impl Indexed {
    /// The first is the original.
    pub(crate) fn of(wholes: &[Whole], people: &[u32], draws: (usize, u64)) -> Result<Self> {
        let Some(original) = wholes.first() else {
            return Ok(Self {
                vectors: 0,
                sets: Vec::new(),
            });
        };
        let due = nearest_among(&original.set.held_out, &all(original));
        let built = wholes.iter().map(|whole| Built::of(&all(whole)));
        let built = built.collect::<Result<Vec<_>>>()?;
        let times = times(wholes, &built)?;
        let quick = EFS.iter().zip(&times[0]);
        let quick = quick
            .filter(|(ef, _)| **ef == BY_DEFAULT)
            .map(|(_, time)| *time);
        let quick = quick.fold(0.0, f64::max);
        let mut sets = Vec::new();
        for ((whole, built), times) in wholes.iter().zip(&built).zip(times) {
            let queries = &whole.set.held_out;
            let mut found = Vec::new();
            for ef in EFS {
                found.push(built.recall(queries, ef, &due)?);
            }
            let at = |n: usize| At {
                ef: EFS[n],
                recall: found[n].iter().sum::<f64>() / found[n].len().max(1) as f64,
                micros: times[n],
            };
            // The most that can be expanded in that time.
            let n = (0..EFS.len())
                .rev()
                .find(|n| times[*n] <= quick)
                .unwrap_or(0);
            sets.push(OnIndex {
                name: whole.set.name.clone(),
                size: built.index.params().dim,
                bytes: bytes(&all(whole))?,
                at: (0..EFS.len()).map(at).collect(),
                as_quick: (at(n), mean_over_people(people, &found[n], draws)),
            });
        }
        Ok(Self {
            vectors: built[0].index.len(),
            sets,
        })
    }

    pub(crate) fn text(&self) -> Result<String> {
        let mut text = String::new();
        let efs = EFS.map(|ef| format!("{:>14}", format!("ef {ef}"))).concat();
        let count = self.vectors;
        writeln!(
            text,
            "\non an index of all {count} vectors: recall@10, us\n{:<22}{efs}",
            ""
        )?;
        for set in &self.sets {
            let told = |at: &At| format!("{:>14}", format!("{:.4} {:6.1}", at.recall, at.micros));
            let found: String = set.at.iter().map(told).collect();
            writeln!(text, "{:<22}{found}", set.name)?;
        }
        writeln!(
            text,
            "\n{:<22}{:>5}{:>8}{:>8}{:>6}{:>8}{:>28}",
            "as quick", "size", "memory", "file", "ef", "us", "recall@10"
        )?;
        for set in &self.sets {
            let (at, recall) = &set.as_quick;
            writeln!(
                text,
                "{:<22}{:>5}{:>8}{:>8}{:>6}{:>8.1}{:>28}",
                set.name,
                set.size,
                set.bytes.0,
                set.bytes.1,
                at.ef,
                at.micros,
                table::told(*recall, false)
            )?;
        }
        write!(
            text,
            "\nOf the first row's ten nearest among all vectors. us: CPU time of a search. As quick: with the \
             greatest ef\nthat takes no longer than the first row with ef {BY_DEFAULT}. Memory, file: bytes a \
             vector of the index.\n"
        )?;
        Ok(text)
    }

    pub(crate) fn json(&self) -> Value {
        let at = |it: &At| json!({"ef": it.ef, "recall": it.recall, "micros": it.micros});
        let sets = self.sets.iter().map(|set| {
            let (quick, recall) = &set.as_quick;
            json!({
                "name": set.name, "size": set.size,
                "memory_bytes": set.bytes.0, "file_bytes": set.bytes.1,
                "at": set.at.iter().map(at).collect::<Vec<_>>(),
                "as_quick": {"at": at(quick), "recall": table::measured(*recall)},
            })
        });
        json!({"vectors": self.vectors, "sets": sets.collect::<Vec<_>>()})
    }
}

/// Those held out first.
fn all(whole: &Whole) -> Vec<Vec<f32>> {
    let Whole { set, learned, .. } = whole;
    [&set.held_out[..], &set.watched, learned].concat()
}

impl Built {
    fn of(vectors: &[Vec<f32>]) -> Result<Self> {
        let mut built = Self {
            index: empty(params(vectors))?,
            places: Vec::new(),
        };
        let slots = insert(&mut built.index, vectors.iter())?;
        for (place, slot) in slots.into_iter().enumerate() {
            let at = slot.0 as usize;
            let len = built.places.len().max(at + 1);
            built.places.resize(len, usize::MAX);
            built.places[at] = place;
        }
        Ok(built)
    }

    /// Asks for all, each once.
    fn ask(&self, queries: &[Vec<f32>], ef: usize) -> Result<Vec<Vec<usize>>> {
        let options = SearchOptions {
            ef,
            ..SearchOptions::default()
        };
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            // A query is there itself.
            let hits = self.index.search(query, COUNT + 1, &options)?;
            found.push(
                hits.iter()
                    .map(|hit| self.places[hit.slot.0 as usize])
                    .collect(),
            );
        }
        Ok(found)
    }

    /// Of each query: the part of those due that is found.
    fn recall(&self, queries: &[Vec<f32>], ef: usize, due: &[Vec<usize>]) -> Result<Vec<f64>> {
        let found = self.ask(queries, ef)?;
        let parts = found
            .iter()
            .zip(due)
            .enumerate()
            .map(|(own, (found, due))| {
                let others = found.iter().filter(|place| **place != own).take(COUNT);
                let right = others.filter(|place| due.contains(place)).count();
                right as f64 / due.len().max(1) as f64
            });
        Ok(parts.collect())
    }
}

/// By set and `ef`: the CPU time of a search. One set after the other and again, so that a busy moment does
/// not meet one alone.
fn times(wholes: &[Whole], built: &[Built]) -> Result<Vec<[f64; EFS.len()]>> {
    let mut best = vec![[f64::MAX; EFS.len()]; built.len()];
    for _ in 0..ROUNDS {
        for ((whole, built), best) in wholes.iter().zip(built).zip(&mut best) {
            let queries = &whole.set.held_out;
            for (ef, best) in EFS.iter().zip(best) {
                let before = cpu_s();
                black_box(built.ask(black_box(queries), *ef)?);
                let taken = cpu_s() - before;
                *best = best.min(1e6 * taken / queries.len().max(1) as f64);
            }
        }
    }
    Ok(best)
}

/// Seconds of CPU that this thread has used.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What a vector takes in memory and in its file, once chunks are full: the same ones again and again,
/// which costs what others would.
fn bytes(vectors: &[Vec<f32>]) -> Result<(usize, usize)> {
    // Memory does not depend on how carefully the graph is built.
    let mut index = empty(Params {
        ef_construct: COUNT,
        ..params(vectors)
    })?;
    insert(&mut index, vectors.iter().cycle().take(FULL))?;
    let row = index.params().dim.next_multiple_of(16) * size_of::<f32>();
    Ok((index.memory_bytes() / index.len(), row))
}

fn params(vectors: &[Vec<f32>]) -> Params {
    Params::new(vectors.first().map_or(1, Vec::len), Metric::Cosine)
}

/// As a server has it by default: whole vectors are in a file.
fn empty(params: Params) -> Result<Index> {
    let scratch = Scratch::new(tempfile::tempfile()?);
    Ok(Index::with_scratch(params, Some(scratch))?)
}

fn insert<'a>(index: &mut Index, vectors: impl Iterator<Item = &'a Vec<f32>>) -> Result<Vec<Slot>> {
    let mut chance = Chance::new(1);
    let points: Vec<(u64, &[f32])> = vectors
        .map(|vector| (chance.number(), vector.as_slice()))
        .collect();
    let mut slots = Vec::with_capacity(points.len());
    for batch in points.chunks(BATCH) {
        slots.extend(index.insert_batch(batch, hnsw::threads())?);
    }
    Ok(slots)
}
