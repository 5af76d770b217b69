//! Positions of records: the sequence of their message in the stream, and their place in it.

use storage::Lsn;

/// Bits of a position that are a record's place in its group.
pub(crate) const PLACE_BITS: u32 = 16;

/// Of a record in the group that ends with the message of this sequence.
pub(crate) fn position(sequence: u64, place: usize) -> Lsn {
    Lsn((sequence << PLACE_BITS) | place as u64)
}

/// The sequence of the message that ends the group of a record.
pub(crate) fn sequence(lsn: Lsn) -> u64 {
    lsn.0 >> PLACE_BITS
}

/// The last position that a record in this message can have.
pub(crate) fn behind(sequence: u64) -> Lsn {
    match sequence {
        0 => Lsn(0),
        sequence => position(sequence, (1 << PLACE_BITS) - 1),
    }
}

/// From where on nothing is missing in a stream whose first message has this sequence, for whoever has applied the group
/// of the record before: a group is applied whole, so that whichever record of the message before the first that was,
/// nothing is.
pub(crate) fn kept_from(first_sequence: u64) -> Lsn {
    match first_sequence {
        0 | 1 => Lsn(1),
        later => position(later - 1, 0).next(),
    }
}

/// How many messages of the stream lie between the groups of two records; none where the second is not
/// behind the first.
pub fn messages_between(from: Lsn, to: Lsn) -> u64 {
    sequence(to).saturating_sub(sequence(from))
}
