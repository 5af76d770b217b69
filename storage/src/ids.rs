//! The numbers that must not be mixed up.

use std::fmt;

/// A record's position in the log. The first record has 1; 0 stands before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position after this one.
    pub fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A collection's number; never given twice in one data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(pub u64);

/// A vector's number within its collection; never given twice in one collection, so that a record
/// that was decided before a vector went cannot be taken for one of a later vector of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VectorId(pub u32);

impl VectorId {
    /// That of collections whose points have one vector without a name.
    pub const UNNAMED: VectorId = VectorId(0);
}

/// A point's id within its collection. Numbers come before UUIDs in every order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// An unsigned integer.
    Num(u64),
    /// A UUID.
    Uuid(u128),
}

impl PointId {
    /// Bytes that sort as the ids do: a tag, then the number in big-endian order.
    pub fn key(&self) -> Vec<u8> {
        match self {
            PointId::Num(n) => [&[0u8][..], &n.to_be_bytes()].concat(),
            PointId::Uuid(u) => [&[1u8][..], &u.to_be_bytes()].concat(),
        }
    }

    /// The reverse of [`PointId::key`].
    pub fn from_key(key: &[u8]) -> Option<PointId> {
        match key.split_first()? {
            (0, number) => Some(PointId::Num(u64::from_be_bytes(number.try_into().ok()?))),
            (1, number) => Some(PointId::Uuid(u128::from_be_bytes(number.try_into().ok()?))),
            _ => None,
        }
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointId::Num(n) => n.fmt(f),
            PointId::Uuid(u) => uuid::Uuid::from_u128(*u).hyphenated().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_ids_and_come_back() {
        let mut ids = vec![
            PointId::Uuid(3),
            PointId::Num(256),
            PointId::Num(1),
            PointId::Uuid(u128::MAX),
            PointId::Num(u64::MAX),
        ];
        let mut keys: Vec<_> = ids.iter().map(PointId::key).collect();
        ids.sort();
        keys.sort();
        let back: Vec<_> = keys.iter().map(|k| PointId::from_key(k).unwrap()).collect();
        assert_eq!(ids, back);
        for bad in [&[][..], &[0, 1], &[2; 9], &[1; 9], &[0; 10]] {
            assert_eq!(PointId::from_key(bad), None);
        }
    }
}
