//! Vectors and whose they are, from a collection, a table or photos.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use embedder::{Manifest, models};
use train::{Samples, split};

use super::arguments::SourceArgs;
use crate::eval::embed;
use crate::eval::lfw::Lfw;
use crate::export::vector_of;
use crate::models::chosen;
use crate::npy::Rows;

/// The part of people who are not held out that is watched.
const WATCHED: f64 = 0.15;

/// Vectors with names, and the model that made them.
pub(crate) struct Labelled {
    pub(crate) models_dir: PathBuf,
    pub(crate) base: Manifest,
    rows: Vec<(String, Vec<f32>)>,
}

/// People who are learned from, watched, held out.
pub(crate) struct Parts {
    pub(crate) learned: Samples,
    pub(crate) watched: Samples,
    pub(crate) held_out: Option<Samples>,
}

impl Labelled {
    /// Reads all of them.
    pub(crate) fn read(arguments: &SourceArgs) -> Result<Self> {
        let (rows, model) = match (&arguments.collection, &arguments.vectors, &arguments.labels) {
            (Some(collection), ..) => of_collection(collection, arguments)?,
            (_, Some(vectors), Some(labels)) => (of_table(vectors, labels)?, None),
            _ => (Vec::new(), None),
        };
        let named = arguments.model.as_deref().or(model.as_deref());
        let (models_dir, base) = chosen(&arguments.models, named)?;
        ensure!(
            base.head.is_none(),
            "{} is a head itself: a head is put on the vectors of the model under it",
            base.name
        );
        let rows = match &arguments.photos {
            Some(photos) => of_photos(photos, (&models_dir, &base), arguments.threads.into())?,
            None => rows,
        };
        let sources = [
            arguments.collection.is_some(),
            arguments.vectors.is_some(),
            arguments.photos.is_some(),
        ];
        ensure!(
            sources.contains(&true),
            "say where vectors come from: --collection, --vectors with --labels, or --photos"
        );
        for (person, vector) in &rows {
            ensure!(
                vector.len() == base.dim,
                "a vector of {person} has {} numbers, {} makes {}",
                vector.len(),
                base.name,
                base.dim
            );
        }
        Ok(Self {
            models_dir,
            base,
            rows,
        })
    }

    /// Who is learned from and who is not follows from seed and name.
    pub(crate) fn parts(&self, seed: u64, held_out: f64) -> Result<Parts> {
        ensure!(
            (0.0..=0.9).contains(&held_out),
            "--held-out must be 0 to 0.9"
        );
        let mut numbers = BTreeMap::new();
        for (person, _) in &self.rows {
            let next = u32::try_from(numbers.len())?;
            numbers.entry(person.as_str()).or_insert(next);
        }
        let mut groups: [Vec<&(String, Vec<f32>)>; 3] = Default::default();
        for row in &self.rows {
            let group = match (split(seed, &row.0, held_out), split(!seed, &row.0, WATCHED)) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
            groups[group].push(row);
        }
        let samples = |rows: &[&(String, Vec<f32>)]| {
            let people = rows
                .iter()
                .map(|(person, _)| numbers[person.as_str()])
                .collect();
            let values = rows
                .iter()
                .flat_map(|(_, vector)| vector.iter().copied())
                .collect();
            Samples::new(&[self.base.dim], values, people)
        };
        let [learned, watched, held_out] = &groups;
        Ok(Parts {
            learned: samples(learned).context("of those who are learned from")?,
            watched: samples(watched).context("of those who are watched")?,
            held_out: match held_out.is_empty() {
                true => None,
                false => Some(samples(held_out)?),
            },
        })
    }
}

type Named = Vec<(String, Vec<f32>)>;

/// All points with a person, and the model that the server says made their vectors.
fn of_collection(collection: &str, arguments: &SourceArgs) -> Result<(Named, Option<String>)> {
    let client = crate::client(&arguments.server)?;
    let (_, model) = client.vectors_of(collection)?;
    if model.is_none() && arguments.model.is_none() {
        bail!("the server does not say which model made the vectors of {collection}: use --model");
    }
    let (mut rows, mut from) = (Vec::new(), None);
    loop {
        let page = client.scroll(collection, from.as_ref())?;
        for point in &page.points {
            let person = point
                .payload
                .as_ref()
                .and_then(|payload| payload.get("person"));
            let Some(person) = person.and_then(|person| person.as_str()) else {
                continue;
            };
            let vector = vector_of(point, arguments.using.as_deref());
            let vector = vector.with_context(|| format!("point {}", point.id))?;
            rows.extend(unit(person, vector));
        }
        from = page.next_page_offset;
        if from.is_none() {
            return Ok((rows, model));
        }
    }
}

fn of_table(vectors: &Path, labels: &Path) -> Result<Named> {
    let shown = || vectors.display().to_string();
    let file = File::open(vectors).with_context(shown)?;
    let table = Rows::open(BufReader::new(file)).with_context(shown)?;
    let table: Vec<Vec<f32>> = table.collect::<Result<_>>().with_context(shown)?;
    let names = std::fs::read_to_string(labels);
    let names = names.with_context(|| labels.display().to_string())?;
    let names: Vec<&str> = names.lines().map(str::trim).collect();
    ensure!(
        names.len() == table.len(),
        "{} has {} lines, {} {} rows: there must be a line for each row",
        labels.display(),
        names.len(),
        vectors.display(),
        table.len()
    );
    let named = names
        .into_iter()
        .zip(table)
        .filter(|(name, _)| !name.is_empty());
    Ok(named
        .filter_map(|(name, vector)| unit(name, vector))
        .collect())
}

fn of_photos(dir: &Path, (models, base): (&Path, &Manifest), threads: usize) -> Result<Named> {
    let lfw = Lfw::open(dir, None)?;
    models::locate(models, base)?;
    let embedded = embed::all(&lfw, models, base, threads)?;
    let found = lfw.photos.iter().zip(embedded);
    let found = found.filter_map(|(photo, seen)| unit(&photo.person, seen.vector?));
    Ok(found.collect())
}

/// A vector of length 1; none of one that points nowhere.
fn unit(person: &str, mut vector: Vec<f32>) -> Option<(String, Vec<f32>)> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    (length > 0.0).then(|| (person.to_owned(), vector))
}
