//! A point's vectors by name.

/// Any number of vectors, each under its name; a collection's only vector may have none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vectors(Vec<(String, Vec<f32>)>);

impl Vectors {
    /// The vector of this name; that without a name is under "".
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, vector)| vector.as_slice())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// About how many bytes of memory they take at most where they are put in: as they came, as
    /// rows and codes, and links in an index.
    pub fn memory_bytes(&self) -> u64 {
        let of = |(_, vector): &(String, Vec<f32>)| 1_024 + 10 * vector.len() as u64;
        self.0.iter().map(of).sum()
    }

    /// Names and vectors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        let vectors = self.0.iter();
        vectors.map(|(name, vector)| (name.as_str(), vector.as_slice()))
    }
}

/// The one vector of a collection whose vector has no name.
impl From<Vec<f32>> for Vectors {
    fn from(vector: Vec<f32>) -> Self {
        Self(vec![(String::new(), vector)])
    }
}

impl FromIterator<(String, Vec<f32>)> for Vectors {
    fn from_iter<I: IntoIterator<Item = (String, Vec<f32>)>>(vectors: I) -> Self {
        Self(vectors.into_iter().collect())
    }
}

impl IntoIterator for Vectors {
    type Item = (String, Vec<f32>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
