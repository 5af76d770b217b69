//! In which shard a point is: by a hash of its id, the same for good and documented
//! (docs/SCALING.md), so that whoever wants to can tell it beforehand.

use engine::PointId;
use sha2::{Digest, Sha256};

/// The first eight bytes of SHA-256 of the id's key, as a big-endian number, modulo the number of shards. The
/// key is a byte 0 and the number in eight bytes, or a byte 1 and the sixteen of the UUID, big-endian.
pub(super) fn shard_of(id: &PointId, shards: u32) -> u32 {
    let hash = Sha256::digest(id.key());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    let place = u64::from_be_bytes(first) % u64::from(shards.max(1));
    u32::try_from(place).expect("it is less than the number of shards")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_id_never_changes() {
        // python3 -c 'import hashlib as h; f=lambda k:int.from_bytes(h.sha256(k).digest()[:8],"big")%7;
        // print([f(bytes([0])+n.to_bytes(8,"big")) for n in (0,1,2,2**64-1)], f(bytes([1])+bytes(range(16))))'
        let placed = [0, 1, 2, u64::MAX].map(|n| shard_of(&PointId::Num(n), 7));
        let uuid = u128::from_be_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        let uuid = shard_of(&PointId::Uuid(uuid), 7);
        assert_eq!((placed, uuid), PLACED);
    }

    const PLACED: ([u32; 4], u32) = ([5, 6, 5, 4], 4);

    #[test]
    fn shards_get_about_as_much_each() {
        let mut counts = [0; 3];
        for n in 0..9_000 {
            counts[shard_of(&PointId::Num(n), 3) as usize] += 1;
        }
        assert!(
            counts.iter().all(|it| (2_700..3_300).contains(it)),
            "{counts:?}"
        );
    }
}
