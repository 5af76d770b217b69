//! Frozen indexes: each is the index as it was, whatever happens later, and the index that is read
//! from one is the same in everything it does.

use hnsw::{Error, Frozen, Index, Metric, Params, Quantization, Scratch, Slot};

use crate::common::{KINDS, METRICS, Random, bytes, faces, insert, options, read, rough};

fn written(frozen: &Frozen) -> Vec<u8> {
    let mut out = Vec::new();
    frozen.write(&mut out).unwrap();
    out
}

fn scratch() -> Option<Scratch> {
    Some(Scratch::new(tempfile::tempfile().unwrap()))
}

/// Changes of every kind, enough of them that chunks, levels and the centre change as well.
fn change(index: &mut Index, random: &mut Random, vectors: &[Vec<f32>]) {
    for batch in vectors.chunks(23) {
        let slots = insert(index, random, batch, 2);
        for slot in slots.iter().step_by(4) {
            index.remove(*slot).unwrap();
        }
    }
}

#[test]
fn a_frozen_index_that_is_written_after_later_changes_is_the_one_written_at_once() {
    let vectors = faces(&mut Random(160), 1_800, 40);
    for quantization in KINDS {
        for in_file in [false, true] {
            let params = rough(40, Metric::Cosine, quantization);
            let place = in_file.then(scratch).flatten();
            let mut index = Index::with_scratch(params, place).unwrap();
            let mut random = Random(161);
            let mut kept = Vec::new();
            for part in vectors.chunks(300) {
                kept.push((index.freeze(), bytes(&index)));
                change(&mut index, &mut random, part);
            }
            for slot in (0u32..).map(Slot).take(index.slots()) {
                if index.is_live(slot) && slot.0 % 2 == 0 {
                    index.remove(slot).unwrap();
                }
            }
            for (at, (frozen, at_once)) in kept.iter().enumerate() {
                assert!(
                    &written(frozen) == at_once,
                    "{quantization:?} {in_file} {at}"
                );
            }
            index.check().unwrap();
        }
    }
}

fn assert_same_answers(a: &Index, b: &Index, queries: &[Vec<f32>], of: &str) {
    for query in queries {
        for (k, ef, exact) in [(10, 0, false), (3, 8, false), (20, 0, true)] {
            let options = options(ef, exact, None);
            let (one, other) = (a.search(query, k, &options), b.search(query, k, &options));
            assert_eq!(one.unwrap(), other.unwrap(), "{of} k {k}");
        }
    }
}

#[test]
fn an_index_that_was_read_answers_and_grows_as_the_one_that_was_written() {
    let vectors = faces(&mut Random(162), 1_600, 40);
    for metric in METRICS {
        for quantization in KINDS {
            let of = format!("{metric:?} {quantization:?}");
            let params = rough(40, metric, quantization);
            let mut index = Index::new(params).unwrap();
            change(&mut index, &mut Random(163), &vectors[..1_300]);
            let frozen = bytes(&index);
            let mut plain = read(&frozen).unwrap();
            let mut filed = Index::read(&mut &frozen[..], frozen.len() as u64, scratch()).unwrap();
            for copy in [&plain, &filed] {
                assert_eq!(copy.check(), Ok(()), "{of}");
                assert_same_answers(&index, copy, &vectors[1_300..1_330], &of);
            }
            for copy in [&mut index, &mut plain, &mut filed] {
                change(copy, &mut Random(164), &vectors[1_300..]);
            }
            assert!(bytes(&plain) == bytes(&index), "{of}");
            assert!(bytes(&filed) == bytes(&index), "{of} in a file");
            assert_same_answers(&index, &filed, &vectors[1_570..], &of);
        }
    }
}

/// What is read before the centre is known finds the same centre later.
#[test]
fn an_index_that_was_read_early_measures_from_the_same_centre_later() {
    let vectors = faces(&mut Random(165), 1_300, 70);
    let params = rough(70, Metric::Euclid, Quantization::fitting(70));
    let mut index = Index::new(params).unwrap();
    insert(&mut index, &mut Random(166), &vectors[..1_020], 1);
    let mut early = read(&bytes(&index)).unwrap();
    for copy in [&mut index, &mut early] {
        let mut random = Random(167);
        for batch in vectors[1_020..].chunks(3) {
            insert(copy, &mut random, batch, 1);
        }
        copy.check().unwrap();
    }
    assert!(bytes(&early) == bytes(&index));
}

#[test]
fn vectors_in_a_file_take_no_memory_and_give_the_same_bytes() {
    let vectors = faces(&mut Random(168), 1_500, 256);
    let params = Params {
        ef_construct: 30,
        ..Params::new(256, Metric::Cosine)
    };
    let mut plain = Index::new(params).unwrap();
    let mut filed = Index::with_scratch(params, scratch()).unwrap();
    for index in [&mut plain, &mut filed] {
        change(index, &mut Random(169), &vectors);
    }
    assert!(bytes(&plain) == bytes(&filed));
    assert_same_answers(&plain, &filed, &vectors[..20], "in a file");
    let saved = plain.memory_bytes() - filed.memory_bytes();
    assert!(saved >= plain.slots() * 256 * 4, "only {saved} bytes");
}

#[test]
fn an_index_that_is_frozen_in_the_middle_of_an_insert_is_refused_or_whole() {
    let vectors = faces(&mut Random(170), 400, 30);
    let mut index = Index::new(Params::new(30, Metric::Cosine)).unwrap();
    insert(&mut index, &mut Random(171), &vectors[..300], 1);
    let prepared = vectors[300..].iter().map(|vector| index.encode(vector));
    let prepared: Vec<_> = prepared.map(Result::unwrap).collect();
    let seeds: Vec<u64> = (0..100).map(|at| Random(at).next()).collect();
    let mut batch = index.stage(&seeds, &prepared).unwrap();
    assert!(
        read(&bytes(&index)).is_err(),
        "slots that are neither free nor in use"
    );
    batch.set_plans(index.plan(&batch, 0..100));
    batch.set_thinned(index.thin(&batch, 0..batch.lists()));
    loop {
        let done = index.commit(&mut batch, 40);
        match read(&bytes(&index)) {
            Ok(half) => assert_eq!(half.check(), Ok(())),
            Err(error) => assert!(!done && matches!(error, Error::Corrupt(_))),
        }
        if done {
            break;
        }
    }
}
