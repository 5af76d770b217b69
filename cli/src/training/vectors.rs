//! Vectors and whose they are, from a collection, a table or photos; and the model that made them.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use embedder::{Manifest, models};
use serde_json::Value;

use super::arguments::VectorsArgs;
use super::people::Named;
use crate::client::{Client, Maker};
use crate::eval::{embed, lfw};
use crate::models::{chosen, folder};
use crate::npy::Rows;

/// Where vectors with names come from, and the model that made them.
pub(crate) struct Source<'a> {
    arguments: &'a VectorsArgs,
    pub(crate) models_dir: PathBuf,
    pub(crate) base: Manifest,
    /// A collection: its server, its name, and which of its points' vectors.
    of_server: Option<(Client, &'a str, String)>,
}

impl<'a> Source<'a> {
    /// Finds out about them; none is read yet.
    pub(crate) fn open(arguments: &'a VectorsArgs) -> Result<Self> {
        let with = &arguments.with;
        let named = arguments.vectors.is_some() || arguments.photos.is_some();
        ensure!(
            named || arguments.collection.is_some(),
            "say where vectors come from: --collection, --vectors with --labels, or --photos"
        );
        let (mut maker, mut of_server) = (None, None);
        if let Some(collection) = &arguments.collection {
            let client = arguments.server.client()?;
            let vectors = client.makers_of(collection)?;
            let known = models::list(&folder(&with.models)?)?;
            let is_head =
                |name: &str| (known.iter()).any(|it| it.name == name && it.head.is_some());
            let asked = (arguments.using.as_deref(), with.model.as_deref());
            let (name, made_by) = of_base(collection, vectors, asked, is_head)?;
            maker = made_by;
            of_server = Some((client, collection.as_str(), name));
        }
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
        Ok(Self {
            arguments,
            models_dir,
            base,
            of_server,
        })
    }

    /// Reads all of them.
    pub(crate) fn read(&self) -> Result<Named> {
        let (arguments, base) = (self.arguments, &self.base);
        let tables = arguments.vectors.as_ref().zip(arguments.labels.as_ref());
        let mut vectors = match (&self.of_server, tables, &arguments.photos) {
            (Some((client, collection, using)), ..) => of_collection(client, collection, using)?,
            (_, Some((vectors, labels)), _) => of_table(vectors, labels)?,
            (.., Some(photos)) => {
                let threads = arguments.with.threads.into();
                of_photos(photos, (&self.models_dir, base), threads)?
            }
            (None, None, None) => Vec::new(),
        };
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
            eprintln!("left out, as they point nowhere: {nowhere} vectors of length 0");
        }
        ensure!(
            !vectors.is_empty(),
            "there is no vector with a person's name to learn from"
        );
        Ok(vectors)
    }
}

/// Which of a collection's vectors are learned from: those asked for, else the only ones that were made by a
/// model that is no head.
fn of_base(
    collection: &str,
    vectors: Vec<(String, Option<Maker>)>,
    (using, model): (Option<&str>, Option<&str>),
    is_head: impl Fn(&str) -> bool,
) -> Result<(String, Option<Maker>)> {
    let all = listed(vectors.iter().map(|(name, _)| name.as_str()));
    let heads = vectors.iter().filter_map(|(_, maker)| maker.as_ref());
    let heads = heads.map(|maker| maker.name.as_str());
    let heads: Vec<&str> = heads.filter(|name| is_head(name)).collect();
    let (heads, count) = (listed(heads.into_iter()), vectors.len());
    let fits = |(name, maker): &(String, Option<Maker>)| match (using, maker) {
        (Some(using), _) => name == using,
        (None, Some(maker)) => !is_head(&maker.name),
        (None, None) => count == 1,
    };
    let mut fitting: Vec<_> = vectors.into_iter().filter(fits).collect();
    if let (Some(model), 2..) = (model, fitting.len()) {
        let is_of = |maker: &Option<Maker>| maker.as_ref().is_some_and(|it| it.name == model);
        fitting.retain(|(_, maker)| is_of(maker));
    }
    match (fitting.pop(), fitting.is_empty(), using) {
        (Some((name, None)), true, _) if model.is_none() => bail!(
            "the server does not say that a model made the vectors `{name}` of {collection}: say which it was \
             by --model"
        ),
        (Some(only), true, _) => Ok(only),
        (Some(_), false, _) => bail!(
            "{collection} has vectors of several models: say by --using which are learned from, of {all}"
        ),
        (None, _, Some(using)) => {
            bail!("{collection} has no vectors `{using}` for --using: it has {all}")
        }
        (None, _, None) if !heads.is_empty() => bail!(
            "the vectors of {collection} are those of a head, {heads}: a head is put on the vectors of the \
             model under it, which {collection} no longer has. Learn from the photos (--photos), or move it \
             back first, by the photos and crops that are kept (`doppel reembed -c {collection} --model \
             BASE`)"
        ),
        (None, _, None) => bail!(
            "say by --using which vectors of {collection} are learned from, and by --model what made them: \
             it has {all}"
        ),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let named = names.map(|name| match name {
        "" => "one without a name (--using '')".to_owned(),
        name => format!("`{name}`"),
    });
    named.collect::<Vec<_>>().join(", ")
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

/// The vectors of all points with a person.
fn of_collection(client: &Client, collection: &str, using: &str) -> Result<Named> {
    let (mut vectors, mut from, mut without) = (Vec::new(), None, 0);
    loop {
        let page = client.scroll(collection, from.as_ref())?;
        for point in page.points {
            let person = point.payload.as_ref().and_then(|it| it.get("person"));
            let Some(person) = person.and_then(|person| person.as_str()) else {
                continue;
            };
            let vector = match point.vector {
                Some(Value::Object(mut named)) => named.remove(using),
                // The only one comes without its name, if that is empty.
                only => only,
            };
            match vector.filter(|vector| !vector.is_null()) {
                Some(vector) => {
                    let vector = serde_json::from_value(vector);
                    let vector = vector.with_context(|| format!("point {}", point.id))?;
                    vectors.push((person.to_owned(), vector));
                }
                None => without += 1,
            }
        }
        from = page.next_page_offset;
        if from.is_none() {
            break;
        }
    }
    if without > 0 {
        eprintln!("left out, as they have no such vector: {without} points");
    }
    Ok(vectors)
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
    // Some editors begin a file with a mark of its encoding.
    let names = names.trim_start_matches('\u{feff}').lines();
    let names: Vec<&str> = names.map(str::trim).collect();
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
    let count = photos.len();
    let found = photos.into_iter().zip(embedded);
    let found: Named = found
        .filter_map(|(photo, seen)| Some((photo.person, seen.vector?)))
        .collect();
    ensure!(
        !found.is_empty(),
        "{}: no face was found in {count} photos",
        dir.display()
    );
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        vectors: &[(&str, Option<&str>)],
        asked: (Option<&str>, Option<&str>),
    ) -> Result<String, String> {
        let vectors = vectors.iter().map(|(name, maker)| {
            let maker = maker.map(|maker| Maker {
                name: maker.to_owned(),
                sha256: String::new(),
            });
            ((*name).to_owned(), maker)
        });
        let found = of_base("faces", vectors.collect(), asked, |name| {
            name.starts_with("head")
        });
        found
            .map(|(name, _)| name)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_collection_that_kept_the_bases_vectors_beside_a_heads_is_learned_from_those() {
        let both = [("", Some("base")), ("a", Some("head"))];
        assert_eq!(of(&both, (None, None)), Ok(String::new()));
        assert_eq!(of(&both, (Some("a"), None)), Ok("a".to_owned()));
        let moved = of(&[("a", Some("head"))], (None, None)).unwrap_err();
        assert!(moved.contains("no longer has"), "{moved}");
        let two = [("x", Some("base")), ("y", Some("other")), ("z", None)];
        let unsure = of(&two, (None, None)).unwrap_err();
        assert!(unsure.contains("`x`, `y`, `z`"), "{unsure}");
        assert_eq!(of(&two, (None, Some("other"))), Ok("y".to_owned()));
        let unknown = of(&two, (Some("w"), None)).unwrap_err();
        assert!(unknown.contains("no vectors `w`"), "{unknown}");
    }

    #[test]
    fn vectors_that_no_model_is_known_to_have_made_take_its_name() {
        let plain = [("", None)];
        assert_eq!(of(&plain, (None, Some("base"))), Ok(String::new()));
        let untold = of(&plain, (None, None)).unwrap_err();
        assert!(untold.contains("--model"), "{untold}");
        let two = [("x", None), ("y", None)];
        let unsure = of(&two, (None, Some("base"))).unwrap_err();
        assert!(unsure.contains("--using"), "{unsure}");
        assert_eq!(of(&two, (Some("y"), Some("base"))), Ok("y".to_owned()));
    }
}
