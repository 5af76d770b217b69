//! A collection's settings in memory: its vectors by name and by number, and its metadata.
//!
//! A vector's number is given once; a name may be given again to another vector. Records speak of
//! numbers, callers of names.

use storage::VectorId;

use crate::error::Error;
use crate::filter::KeyPath;
use crate::limits::{MAX_METADATA_BYTES, MAX_VECTORS};
use crate::payload::IndexKind;
use crate::point::{PERSON, Payload};
use crate::spec::{CollectionSpec, VectorSpec, check_vector_name};

/// What a collection is made of at the moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// By number; those too that nobody sees yet.
    pub(crate) vectors: Vec<Vector>,
    /// The number that the next vector gets.
    pub(crate) next: u32,
    pub(crate) metadata: Payload,
    /// The keys of payloads that have an index.
    pub(crate) indexes: Vec<(KeyPath, IndexKind)>,
}

/// One of the vectors that points may have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vector {
    pub(crate) id: VectorId,
    pub(crate) name: String,
    pub(crate) spec: VectorSpec,
    /// The vector of the same name whose index this one is being built to replace.
    pub(crate) rebuilds: Option<VectorId>,
    /// The vector that this one is made of: it goes from a point that gets another one there.
    pub(crate) made_of: Option<VectorId>,
}

impl Settings {
    /// Those of a new collection; every setting is checked.
    pub(crate) fn new(spec: CollectionSpec) -> Result<Self, Error> {
        let mut settings = Self {
            vectors: Vec::new(),
            next: 1,
            metadata: Payload::new(),
            indexes: default_indexes(spec.vectors.values()),
        };
        for (name, spec) in spec.vectors {
            let id = match name.as_str() {
                "" => VectorId::UNNAMED,
                _ => settings.next_id(),
            };
            settings.add(Vector {
                id,
                name,
                spec,
                rebuilds: None,
                made_of: None,
            })?;
        }
        settings.set_metadata(spec.metadata)?;
        Ok(settings)
    }

    /// The vector of this name.
    pub(crate) fn by_name(&self, name: &str) -> Result<&Vector, Error> {
        self.find(name).ok_or_else(|| {
            let have: Vec<&str> = self.seen().map(|v| v.name.as_str()).collect();
            Error::NoVector {
                which: match name {
                    "" => "without a name".into(),
                    name => format!("`{}`", name.chars().take(80).collect::<String>()),
                },
                have: match have.as_slice() {
                    [] => "it has none".into(),
                    [""] => "its vector has no name".into(),
                    names => format!("it has `{}`", names.join("`, `")),
                },
            }
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Vector> {
        self.seen().find(|vector| vector.name == name)
    }

    /// The vectors that callers know of.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &Vector> {
        let vectors = self.vectors.iter();
        vectors.filter(|vector| vector.rebuilds.is_none())
    }

    /// The one that is being built to replace this one.
    pub(crate) fn rebuild_of(&self, of: VectorId) -> Option<&Vector> {
        let mut vectors = self.vectors.iter();
        vectors.find(|vector| vector.rebuilds == Some(of))
    }

    /// As callers are told.
    pub(crate) fn spec(&self) -> CollectionSpec {
        CollectionSpec {
            vectors: self
                .seen()
                .map(|vector| (vector.name.clone(), vector.spec.clone()))
                .collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// Adds a vector under a name that none has.
    pub(crate) fn add_named(&mut self, name: &str, spec: VectorSpec) -> Result<(), Error> {
        check_vector_name(name)?;
        let id = self.next_id();
        self.add(Vector {
            id,
            name: name.to_owned(),
            spec,
            rebuilds: None,
            made_of: None,
        })
    }

    /// From now on one of the vectors is made of another.
    pub(crate) fn note_made(&mut self, name: &str, of: VectorId) {
        let mut vectors = self.vectors.iter_mut();
        let made = vectors.find(|vector| vector.name == name && vector.rebuilds.is_none());
        if let Some(made) = made {
            made.made_of = Some(of);
        }
    }

    /// What an update that puts these vectors of a point outdates: those that were made of them and do not
    /// come with them, also in an index that is being built.
    pub(crate) fn outdated(&self, put: impl Fn(VectorId) -> bool) -> Vec<VectorId> {
        let made = self
            .vectors
            .iter()
            .filter(|it| it.made_of.is_some_and(&put));
        let gone = made.filter(|it| !put(it.id));
        let both = gone.flat_map(|it| [Some(it.id), self.rebuild_of(it.id).map(|it| it.id)]);
        both.flatten().collect()
    }

    /// Begins to build another index for a vector.
    pub(crate) fn begin_rebuild(&mut self, of: &Vector, spec: VectorSpec) -> Result<(), Error> {
        check(&of.name, &spec)?;
        let id = self.next_id();
        self.vectors.push(Vector {
            id,
            name: of.name.clone(),
            spec,
            rebuilds: Some(of.id),
            made_of: None,
        });
        Ok(())
    }

    /// Gives up what is being built to replace a vector's index.
    pub(crate) fn cancel_rebuild(&mut self, of: VectorId) {
        self.vectors.retain(|vector| vector.rebuilds != Some(of));
    }

    /// Has a vector get the settings of the one that was built to replace it, which goes. `None` if
    /// there are not both.
    pub(crate) fn swap(&mut self, from: VectorId) -> Option<VectorId> {
        let new = self.vectors.iter().find(|vector| vector.id == from)?;
        let (spec, of) = (new.spec.clone(), new.rebuilds?);
        let old = self.vectors.iter_mut().find(|vector| vector.id == of)?;
        old.spec = spec;
        self.cancel_rebuild(of);
        Some(of)
    }

    /// Takes a vector away; `false` if there is none of this name.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(gone) = self.find(name).map(|vector| vector.id) else {
            return false;
        };
        self.vectors.retain(|vector| vector.name != name);
        let made = self.vectors.iter_mut();
        made.filter(|vector| vector.made_of == Some(gone))
            .for_each(|vector| vector.made_of = None);
        true
    }

    /// Changes what can be changed of a vector that is there.
    pub(crate) fn change(&mut self, name: &str, spec: VectorSpec) -> Result<(), Error> {
        check(name, &spec)?;
        // What is being built to replace it goes by it too.
        let ef_construct = spec.ef_construct;
        let vectors = self.vectors.iter_mut();
        let rebuilds = vectors.filter(|vector| vector.name == name && vector.rebuilds.is_some());
        rebuilds.for_each(|vector| vector.spec.ef_construct = ef_construct);
        let mut vectors = self.vectors.iter_mut();
        let known = vectors.find(|vector| vector.name == name && vector.rebuilds.is_none());
        if let Some(vector) = known {
            vector.spec = spec;
        }
        Ok(())
    }

    /// Metadata, if it is not too large.
    pub(crate) fn set_metadata(&mut self, metadata: Payload) -> Result<(), Error> {
        let bytes = storage::encode_payload(&metadata)?.len();
        if bytes > MAX_METADATA_BYTES {
            return Err(Error::TooLarge(format!(
                "the metadata has {bytes} bytes, the limit is {MAX_METADATA_BYTES}"
            )));
        }
        self.metadata = metadata;
        Ok(())
    }

    fn next_id(&mut self) -> VectorId {
        self.next += 1;
        VectorId(self.next - 1)
    }

    fn add(&mut self, vector: Vector) -> Result<(), Error> {
        if !vector.name.is_empty() {
            check_vector_name(&vector.name)?;
        }
        if self.seen().count() >= MAX_VECTORS {
            return Err(Error::TooLarge(format!(
                "a collection has at most {MAX_VECTORS} vectors"
            )));
        }
        check(&vector.name, &vector.spec)?;
        self.vectors.push(vector);
        Ok(())
    }
}

/// The indexes that a collection has from the start: where photos come in, faces are asked for by
/// whose they are.
pub(crate) fn default_indexes<'a>(
    vectors: impl IntoIterator<Item = &'a VectorSpec>,
) -> Vec<(KeyPath, IndexKind)> {
    let photos = vectors.into_iter().any(|vector| vector.embedder.is_some());
    let person = (KeyPath::of(PERSON), IndexKind::Keyword);
    photos.then_some(person).into_iter().collect()
}

fn check(name: &str, spec: &VectorSpec) -> Result<(), Error> {
    let index = hnsw::Index::new(spec.params());
    let refused = index.map_err(|error| named(name, Error::BadRequest(error.to_string())));
    refused.map(drop)
}

/// The same error, said of one of the vectors if it has a name.
pub(crate) fn named(name: &str, error: Error) -> Error {
    match error {
        error if name.is_empty() => error,
        Error::BadRequest(what) => Error::BadRequest(format!("vector `{name}`: {what}")),
        Error::BadVector { what } => Error::BadVector {
            what: format!("vector `{name}`: {what}"),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Metric;

    #[test]
    fn a_number_is_never_given_twice_though_a_name_is() {
        let spec = CollectionSpec::named([("b", VectorSpec::new(2, Metric::Dot))]);
        let mut settings = Settings::new(spec).unwrap();
        settings
            .add_named("a", VectorSpec::new(3, Metric::Dot))
            .unwrap();
        let first = settings.by_name("a").unwrap().id;
        assert!(settings.remove("a") && !settings.remove("a"));
        settings
            .add_named("a", VectorSpec::new(4, Metric::Dot))
            .unwrap();
        assert!(settings.by_name("a").unwrap().id > first);
        let unknown = settings.by_name("c").unwrap_err().to_string();
        assert!(
            unknown.contains("`c`") && unknown.contains("`b`, `a`"),
            "{unknown}"
        );
    }

    #[test]
    fn a_wrong_setting_is_told_with_the_vector_it_is_of() {
        let spec = CollectionSpec::named([("front", VectorSpec::new(0, Metric::Dot))]);
        let refused = Settings::new(spec).unwrap_err().to_string();
        assert!(refused.contains("`front`"), "{refused}");
    }
}
