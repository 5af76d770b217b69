//! Which collection a caller means, and which of its vectors: those that were seen, perhaps some time ago. A name may
//! stand for another by now, and whoever works on what was described by it neither fills nor takes away that.

use std::sync::Arc;

use storage::VectorId;

use crate::collection::Collection;
use crate::engine::Engine;
use crate::error::Error;
use crate::options::CollectionInfo;

/// A collection by its name, and which one of that name.
#[derive(Debug, Clone, Copy)]
pub struct Meant<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its number; `None` is whichever has the name.
    pub(crate) number: Option<u64>,
}

impl<'a> From<&'a str> for Meant<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, number: None }
    }
}

impl<'a> From<&'a String> for Meant<'a> {
    fn from(name: &'a String) -> Self {
        name.as_str().into()
    }
}

impl<'a> From<&'a CollectionInfo> for Meant<'a> {
    fn from(info: &'a CollectionInfo) -> Self {
        Self {
            name: &info.name,
            number: Some(info.number),
        }
    }
}

impl Meant<'_> {
    /// # Errors
    /// The collection of the name is another one.
    pub(crate) fn check(&self, collection: &Collection) -> Result<(), Error> {
        match self.number {
            Some(number) if number != collection.id.0 => {
                Err(Error::NoCollection(self.name.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl Engine {
    /// The collection that was described, which has its points here.
    pub(crate) fn described(&self, info: &CollectionInfo) -> Result<Arc<Collection>, Error> {
        let collection = self.holder(&info.name)?;
        Meant::from(info).check(&collection)?;
        Ok(collection)
    }
}

impl Collection {
    /// The number of the vector that was described under this name. What only its index is built by may have changed.
    ///
    /// # Errors
    /// There is none of the name, or another one, of another model or size.
    pub(crate) fn described_vector(
        &self,
        info: &CollectionInfo,
        name: &str,
    ) -> Result<VectorId, Error> {
        let settings = self.settings();
        let vector = settings.by_name(name)?;
        let now = &vector.spec;
        let then = info.spec.vectors.get(name);
        let is_same = then.is_some_and(|then| {
            (&then.embedder, then.dim, then.metric) == (&now.embedder, now.dim, now.metric)
        });
        match is_same {
            true => Ok(vector.id),
            false => Err(Error::Conflict(format!(
                "the vector `{name}` of collection `{}` has been replaced by another meanwhile",
                info.name
            ))),
        }
    }
}
