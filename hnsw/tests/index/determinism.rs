//! The same changes give the same index, bit for bit, whatever it was built with.

use std::collections::BTreeMap;
use std::process::Command;

use hnsw::{Index, Metric, Params, Quantization, Slot, available_kernels, kernels};

use crate::common::{KINDS, Random, bytes, checksum, faces, insert};

/// Batches of many sizes, one of them larger than the graph it meets, removals between them, and
/// enough points for a centre.
fn changed(quantization: Quantization, metric: Metric, threads: usize) -> Index {
    let params = Params {
        m: 8,
        ef_construct: 40,
        quantization,
        ..Params::new(100, metric)
    };
    let (mut index, mut random) = (Index::new(params).unwrap(), Random(71));
    let vectors = faces(&mut Random(70), 1_400, 100);
    let mut left = vectors.as_slice();
    for size in [1, 2, 90, 3, 64, 17, 400, 1, 200, 8, 300, 5, 128, 181] {
        let (batch, rest) = left.split_at(size);
        left = rest;
        let slots = insert(&mut index, &mut random, batch, threads);
        for slot in slots.iter().step_by(5) {
            index.remove(*slot).unwrap();
        }
    }
    assert!(left.is_empty());
    index
}

#[test]
fn any_number_of_threads_builds_the_same_bytes() {
    for quantization in KINDS {
        let one = changed(quantization, Metric::Cosine, 1);
        one.check().unwrap();
        for threads in [2, 8] {
            let more = changed(quantization, Metric::Cosine, threads);
            let same = bytes(&more) == bytes(&one);
            assert!(same, "{quantization:?} with {threads} threads");
        }
    }
}

#[test]
fn any_number_of_threads_builds_the_same_bytes_under_every_metric() {
    for metric in [Metric::Dot, Metric::Euclid, Metric::Manhattan] {
        let one = changed(Quantization::fitting(100), metric, 1);
        let eight = changed(Quantization::fitting(100), metric, 8);
        assert!(bytes(&eight) == bytes(&one), "{metric:?}");
    }
}

#[test]
fn a_batch_that_is_committed_in_small_steps_gives_the_same_bytes() {
    let vectors = faces(&mut Random(72), 700, 30);
    let (start, rest) = vectors.split_at(500);
    let params = Params::new(30, Metric::Euclid);
    let seeds: Vec<u64> = (0..200).map(|at| Random(at).next()).collect();
    let at_once = {
        let mut index = Index::new(params).unwrap();
        insert(&mut index, &mut Random(73), start, 1);
        let points = seeds.iter().copied().zip(rest.iter().map(Vec::as_slice));
        index.insert_batch(&points.collect::<Vec<_>>(), 2).unwrap();
        index
    };
    let mut index = Index::new(params).unwrap();
    insert(&mut index, &mut Random(73), start, 1);
    index.centre().unwrap();
    let prepared = rest.iter().map(|vector| index.encode(vector));
    let prepared = prepared.collect::<Result<Vec<_>, _>>().unwrap();
    let mut batch = index.stage(&seeds, &prepared).unwrap();
    // Parts in any shape; what counts is that they are handed over in order.
    let mut plans = index.plan(&batch, 0..7);
    plans.extend(index.plan(&batch, 7..200));
    batch.set_plans(plans);
    let half = batch.lists() / 2;
    let mut thinned = index.thin(&batch, 0..half);
    thinned.extend(index.thin(&batch, half..batch.lists()));
    batch.set_thinned(thinned);
    while !index.commit(&mut batch, 3) {}
    let slots: Vec<Slot> = batch.slots().to_vec();
    slots.iter().for_each(|slot| index.show(*slot));
    index.check().unwrap();
    assert!(bytes(&index) == bytes(&at_once));
}

const CHILD: &str = "DOPPEL_TEST_CHILD";
const THIS: &str = "determinism::every_kernel_of_this_machine_builds_the_same_bytes";

/// Kernels are chosen once a process, so others are tried in children; `None` compares in floating
/// point, whose last bits may differ.
#[test]
fn every_kernel_of_this_machine_builds_the_same_bytes() {
    if std::env::var_os(CHILD).is_some() {
        let coded = KINDS.iter().filter(|kind| **kind != Quantization::None);
        for kind in coded {
            for metric in [Metric::Cosine, Metric::Euclid] {
                let sum = checksum(&bytes(&changed(*kind, metric, 2)));
                let name = kernels().name;
                eprintln!("built: {name} {kind:?}/{metric:?} {sum:016x}");
            }
        }
        return;
    }
    let mut sums: BTreeMap<String, String> = BTreeMap::new();
    for wanted in available_kernels() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS, "--nocapture"])
            .envs([(CHILD, "1"), ("DOPPEL_SIMD", wanted.name)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{}: {said}", wanted.name);
        let mut lines = 0;
        for line in said.lines().filter_map(|line| line.split_once("built: ")) {
            let [name, what, sum] = line.1.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line:?} is not what a child says");
            };
            assert_eq!(name, wanted.name, "the kernel was not the one asked for");
            let first = sums
                .entry(what.to_owned())
                .or_insert_with(|| sum.to_owned());
            assert_eq!(first, sum, "{what} with {name}");
            lines += 1;
        }
        assert_eq!(lines, 8, "{}: {said}", wanted.name);
    }
}
