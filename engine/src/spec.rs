//! What a collection is made of: its name, and the settings of each vector that its points may have.

use std::collections::BTreeMap;

use hnsw::Bits;

use crate::error::Error;
use crate::limits::{MAX_NAME_LEN, MAX_VECTOR_NAME_LEN};
use crate::point::Payload;

/// The key of a collection's metadata by which its points are not in it but in parts elsewhere, with other
/// logs: it is an entry that says so, and neither takes points nor has any. It is there from the start or
/// never.
pub const SHARDS: &str = "doppel_shards";

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Cosine similarity; vectors are normalised when they come in.
    Cosine,
    /// Inner product.
    Dot,
    /// Euclidean distance.
    Euclid,
    /// Manhattan (L1) distance.
    Manhattan,
}

impl Metric {
    /// Whether a higher score is a better one.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Metric::Cosine | Metric::Dot)
    }
}

/// What the index walks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// The `f32` vectors themselves.
    None,
    /// One byte a dimension, and exact rescoring of the best.
    Int8,
    /// One bit a dimension, then int8, then exact.
    Bits1,
    /// Two bits a dimension, then int8, then exact.
    Bits2,
    /// Four bits a dimension, then int8, then exact.
    Bits4,
}

impl Quantization {
    /// What suits vectors of this size.
    pub fn fitting(dim: usize) -> Self {
        match hnsw::Quantization::fitting(dim) {
            hnsw::Quantization::None => Self::None,
            hnsw::Quantization::Int8 => Self::Int8,
            hnsw::Quantization::Packed(Bits::One) => Self::Bits1,
            hnsw::Quantization::Packed(Bits::Two) => Self::Bits2,
            hnsw::Quantization::Packed(Bits::Four) => Self::Bits4,
        }
    }
}

/// The embedding model that makes vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderRef {
    /// The model's name, as in its manifest.
    pub name: String,
    /// Hex SHA-256 of the model file; photos embedded by another file are refused.
    pub sha256: String,
}

/// A collection's settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CollectionSpec {
    /// The vectors that points may have, by name; the only vector of a collection may go without
    /// a name, which is "" here.
    pub vectors: BTreeMap<String, VectorSpec>,
    /// What users want to be kept with the collection.
    pub metadata: Payload,
}

impl CollectionSpec {
    /// One vector without a name, with the defaults for `dim` numbers under `metric`.
    pub fn new(dim: usize, metric: Metric) -> Self {
        VectorSpec::new(dim, metric).into()
    }

    /// Vectors with names.
    pub fn named<'a>(vectors: impl IntoIterator<Item = (&'a str, VectorSpec)>) -> Self {
        let vectors = vectors.into_iter();
        Self {
            vectors: vectors
                .map(|(name, spec)| (name.to_owned(), spec))
                .collect(),
            metadata: Payload::new(),
        }
    }
}

impl From<VectorSpec> for CollectionSpec {
    fn from(spec: VectorSpec) -> Self {
        Self::named([("", spec)])
    }
}

/// The settings of one of the vectors that a point may have.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSpec {
    /// Numbers in a vector.
    pub dim: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// What the index walks on.
    pub quantization: Quantization,
    /// Links of a point on the upper levels of the graph (twice as many on level 0).
    pub m: usize,
    /// Candidates that are considered when a point is inserted.
    pub ef_construct: usize,
    /// Whether the `f32` vectors lie in a file that the system pages in and out, instead of in RAM.
    pub on_disk: bool,
    /// The model that makes these vectors out of photos, if one does.
    pub embedder: Option<EmbedderRef>,
}

impl VectorSpec {
    /// The defaults for vectors of `dim` numbers under `metric`.
    pub fn new(dim: usize, metric: Metric) -> Self {
        Self {
            dim,
            metric,
            quantization: Quantization::fitting(dim),
            m: 16,
            ef_construct: 200,
            on_disk: true,
            embedder: None,
        }
    }

    pub(crate) fn params(&self) -> hnsw::Params {
        hnsw::Params {
            dim: self.dim,
            metric: match self.metric {
                Metric::Cosine => hnsw::Metric::Cosine,
                Metric::Dot => hnsw::Metric::Dot,
                Metric::Euclid => hnsw::Metric::Euclid,
                Metric::Manhattan => hnsw::Metric::Manhattan,
            },
            m: self.m,
            ef_construct: self.ef_construct,
            quantization: match self.quantization {
                Quantization::None => hnsw::Quantization::None,
                Quantization::Int8 => hnsw::Quantization::Int8,
                Quantization::Bits1 => hnsw::Quantization::Packed(Bits::One),
                Quantization::Bits2 => hnsw::Quantization::Packed(Bits::Two),
                Quantization::Bits4 => hnsw::Quantization::Packed(Bits::Four),
            },
        }
    }
}

/// Refuses a name that could not be part of a URL or a path, and says why.
pub fn check_name(name: &str) -> Result<(), Error> {
    let refuse = |reason: &str| {
        Err(Error::BadName {
            name: name.chars().take(80).collect(),
            reason: reason.into(),
        })
    };
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > MAX_NAME_LEN {
        return refuse(&format!("it is longer than {MAX_NAME_LEN} characters"));
    }
    if name.starts_with('.') {
        return refuse("it starts with a dot");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    {
        return refuse("only letters, digits, `_`, `-` and `.` are allowed");
    }
    Ok(())
}

/// Refuses a name that no vector can have, and says why.
pub(crate) fn check_vector_name(name: &str) -> Result<(), Error> {
    let wrong = match name {
        "" => "it is empty",
        name if name.len() > MAX_VECTOR_NAME_LEN => "it is longer than 255 bytes",
        name if name.chars().any(char::is_control) => "it has control characters",
        _ => return Ok(()),
    };
    Err(Error::BadName {
        name: name.chars().take(80).collect(),
        reason: wrong.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_folder_or_break_a_url_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a b",
            "ä",
            "a\0",
            "a?b",
            "%2e",
            &"x".repeat(256),
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["faces", "a.b-c_d", "0", &"x".repeat(255)] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
    }
}
