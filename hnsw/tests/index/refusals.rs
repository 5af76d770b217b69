//! What the index refuses: vectors that cannot be compared, settings out of range, hostile bytes.

use hnsw::{Error, Index, Metric, Params, SearchOptions, Slot};

use crate::common::{Random, build, bytes, insert, read};

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut index = Index::new(Params::new(2, Metric::Cosine)).unwrap();
    assert!(matches!(
        index.insert(1, &[1.0]),
        Err(Error::Dimension {
            expected: 2,
            got: 1
        })
    ));
    assert!(matches!(
        index.insert(1, &[f32::NAN, 0.0]),
        Err(Error::NotFinite { position: 0, .. })
    ));
    assert!(matches!(
        index.insert(1, &[0.0, f32::INFINITY]),
        Err(Error::NotFinite { position: 1, .. })
    ));
    assert!(matches!(
        index.insert(1, &[0.0, 0.0]),
        Err(Error::NoDirection(_))
    ));
    assert!(matches!(index.remove(Slot(0)), Err(Error::NoSuchSlot(0))));
    assert!(
        index
            .search(&[1.0, 0.0], 5, &SearchOptions::default())
            .unwrap()
            .is_empty()
    );
    assert!(
        index
            .search(&[1.0, 0.0], 0, &SearchOptions::default())
            .is_err()
    );
    assert!(Index::new(Params::new(0, Metric::Dot)).is_err());
    assert!(
        Index::new(Params {
            m: 1,
            ..Params::new(2, Metric::Dot)
        })
        .is_err()
    );
    assert!(index.is_empty());
    let mut euclid = Index::new(Params::new(2, Metric::Euclid)).unwrap();
    let too_large = euclid.insert(1, &[0.0, 2e16]);
    assert!(matches!(
        too_large,
        Err(Error::TooLarge { position: 1, .. })
    ));
    index.insert(1, &[f32::MAX, f32::MAX]).unwrap();
    index.insert(1, &[f32::MIN_POSITIVE, 0.0]).unwrap();
    index.check().unwrap();
}

/// A new centre is due, which must wait for an insert that succeeds.
#[test]
fn a_batch_with_a_vector_that_is_refused_leaves_the_index_as_it_was() {
    let mut random = Random(150);
    let vectors: Vec<_> = (0..40).map(|_| random.vector(70)).collect();
    let mut index = Index::new(Params::new(70, Metric::Cosine)).unwrap();
    insert(&mut index, &mut random, &vectors, 1);
    let before = bytes(&index);
    let refused = index.insert_batch(&[(1, &vectors[0]), (2, &[0.0; 70])], 2);
    assert!(matches!(refused, Err(Error::NoDirection(_))));
    assert!(bytes(&index) == before);
}

#[test]
fn a_damaged_frozen_index_is_refused_and_never_a_panic() {
    let mut random = Random(3);
    let vectors: Vec<_> = (0..30).map(|_| random.vector(5)).collect();
    let mut index = build(
        Params {
            m: 3,
            ..Params::new(5, Metric::Euclid)
        },
        &vectors,
    );
    index.remove(Slot(4)).unwrap();
    let good = bytes(&index);
    for len in 0..good.len() {
        assert!(read(&good[..len]).is_err(), "cut at {len}");
    }
    for at in 0..good.len() {
        for mask in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            if let Ok(index) = read(&bad) {
                // A flipped bit of a vector or an unused byte cannot be told without a checksum.
                let _ = index.search(&[0.0; 5], 10, &SearchOptions::default());
            }
        }
    }
}
