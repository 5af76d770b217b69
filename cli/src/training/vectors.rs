//! Vectors and whose they are, from a collection, a table or photos; and the model that made them.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use embedder::{Manifest, models};

use super::arguments::VectorsArgs;
use super::people::Named;
use crate::client::Maker;
use crate::eval::{embed, lfw};
use crate::export::vector_of;
use crate::models::chosen;
use crate::npy::Rows;

/// Vectors with names, and the model that made them.
pub(crate) struct Labelled {
    pub(crate) models_dir: PathBuf,
    pub(crate) base: Manifest,
    pub(crate) vectors: Named,
}

impl Labelled {
    /// Reads all of them.
    pub(crate) fn read(arguments: &VectorsArgs) -> Result<Self> {
        let (vectors, maker) = match (&arguments.collection, &arguments.vectors, &arguments.labels)
        {
            (Some(collection), ..) => of_collection(collection, arguments)?,
            (_, Some(vectors), Some(labels)) => (of_table(vectors, labels)?, None),
            _ => (Vec::new(), None),
        };
        let with = &arguments.with;
        let made_by = maker.as_ref().map(|maker| maker.name.as_str());
        let (models_dir, base) = chosen(&with.models, with.model.as_deref().or(made_by))?;
        ensure!(
            base.head.is_none(),
            "{} is a head itself: a head is put on the vectors of the model under it",
            base.name
        );
        if let Some(maker) = &maker {
            same_model(maker, &base)?;
        }
        let mut vectors = match &arguments.photos {
            Some(photos) => of_photos(photos, (&models_dir, &base), with.threads.into())?,
            None => vectors,
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
        for (person, vector) in &vectors {
            ensure!(
                vector.len() == base.dim,
                "a vector of {person} has {} numbers, {} makes {}",
                vector.len(),
                base.name,
                base.dim
            );
        }
        let all = vectors.len();
        vectors.retain_mut(|(_, vector)| normalise(vector));
        if vectors.len() < all {
            let nowhere = all - vectors.len();
            eprintln!(
                "left out, as they point nowhere: {nowhere} vectors of length 0 (or without end)"
            );
        }
        ensure!(
            !vectors.is_empty(),
            "there is no vector with a person's name to learn from"
        );
        Ok(Self {
            models_dir,
            base,
            vectors,
        })
    }
}

/// A head remembers by checksum what it is put on: that must be what made the vectors.
fn same_model(maker: &Maker, base: &Manifest) -> Result<()> {
    let own = base.info();
    ensure!(
        (&maker.name, &maker.sha256) == (&own.name, &own.sha256),
        "the vectors were made by {} ({}), but the model here is {} ({}): a head on that one would be \
         learned from vectors of another. Name the folder of the server's models with --models-dir",
        maker.name,
        maker.sha256,
        own.name,
        own.sha256
    );
    Ok(())
}

/// All points with a person, and the model that the server says made their vectors.
fn of_collection(collection: &str, arguments: &VectorsArgs) -> Result<(Named, Option<Maker>)> {
    let client = arguments.server.client()?;
    let using = arguments.using.as_deref();
    let maker = client.maker_of(collection, using)?;
    if maker.is_none() && arguments.with.model.is_none() {
        let vectors = match using {
            Some(using) => format!("`{using}` of {collection}"),
            None => format!("of {collection}"),
        };
        bail!(
            "the server does not say that a model made the vectors {vectors}: say which it was by --model, or \
             which vectors are meant by --using"
        );
    }
    let (mut vectors, mut from) = (Vec::new(), None);
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
            let vector = vector_of(point, using);
            let vector = vector.with_context(|| format!("point {}", point.id))?;
            vectors.push((person.to_owned(), vector));
        }
        from = page.next_page_offset;
        if from.is_none() {
            return Ok((vectors, maker));
        }
    }
}

fn of_table(vectors: &Path, labels: &Path) -> Result<Named> {
    let shown = || vectors.display().to_string();
    let file = File::open(vectors).with_context(shown)?;
    let table = Rows::open(BufReader::new(file)).with_context(shown)?;
    let table: Vec<Vec<f32>> = table.collect::<Result<_>>().with_context(shown)?;
    if let Some(row) = (table.iter()).position(|row| row.iter().any(|x| !x.is_finite())) {
        bail!(
            "{}: row {row} (from 0) has a number that is not finite",
            vectors.display()
        );
    }
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
    let named = names.into_iter().map(str::to_owned).zip(table);
    Ok(named.filter(|(name, _)| !name.is_empty()).collect())
}

fn of_photos(dir: &Path, (models, base): (&Path, &Manifest), threads: usize) -> Result<Named> {
    let photos = lfw::photos(dir)?;
    models::locate(models, base)?;
    let embedded = embed::all(&photos, models, base, threads)?;
    let found = photos.into_iter().zip(embedded);
    Ok(found
        .filter_map(|(photo, seen)| Some((photo.person, seen.vector?)))
        .collect())
}

/// Brings a vector to length 1; not if it points nowhere.
pub(super) fn normalise(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    let points = length > 0.0 && length.is_finite();
    if points {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    points
}
