//! Searches with a filter: whatever share of the points it lets through and wherever they lie, the
//! answers are the best of them.

use hnsw::{Bits, Index, Metric, Quantization, Slot, SlotSet};

use crate::common::{
    KINDS, Random, apart, build, common, faces, numbers, options, ranked, ratio, rough, with_kind,
};

/// Shares of the points that a filter lets through, in thousandths.
const SHARES: [usize; 8] = [1, 10, 50, 100, 250, 500, 900, 1_000];

const PLACES: [Place; 2] = [Place::Random, Place::Near];

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Anywhere.
    Random,
    /// About the query: every second of the nearest.
    Near,
    /// Whole neighbourhoods elsewhere: the query's own, and all that are near it, are left out.
    Elsewhere,
    /// The farthest there are. The best of them lie amid thousands that are as good but for the
    /// fourth digit.
    Farthest,
}

/// Points that are near a query.
const NEIGHBOURHOOD: usize = 200;

/// `count` of the ranked points.
fn chosen(place: Place, random: &mut Random, ranked: &[u32], count: usize) -> SlotSet {
    let all = ranked.len();
    let picked: Vec<u32> = match place {
        Place::Random => {
            let mut left = count;
            let picked = ranked.iter().enumerate().filter(|(at, _)| {
                let take = random.below(all - at) < left;
                left -= usize::from(take);
                take
            });
            picked.map(|(_, slot)| *slot).collect()
        }
        Place::Near if 2 * count <= all => ranked.iter().step_by(2).take(count).copied().collect(),
        Place::Near => ranked[..count].to_vec(),
        Place::Elsewhere => {
            let count = count.min(all - NEIGHBOURHOOD);
            let mut rest = ranked[NEIGHBOURHOOD..].to_vec();
            rest.sort_unstable();
            // Points of one identity have neighbouring slots.
            rest.rotate_left(random.below(all - NEIGHBOURHOOD));
            rest.truncate(count);
            rest
        }
        Place::Farthest => ranked[all - count..].to_vec(),
    };
    picked.into_iter().map(Slot).collect()
}

/// Recall@10 over all queries, each with a set of its own.
fn filtered_recall(
    index: &Index,
    rankings: &[(&Vec<f32>, Vec<u32>)],
    (place, share, ef): (Place, usize, usize),
) -> f32 {
    let mut random = Random(81);
    let (mut found, mut wanted) = (0, 0);
    for (query, ranked) in rankings {
        let set = chosen(place, &mut random, ranked, ranked.len() * share / 1_000);
        let best = ranked.iter().filter(|slot| set.contains(Slot(**slot)));
        let truth: Vec<u32> = best.take(10).copied().collect();
        let hits = index.search(query, 10, &options(ef, false, Some(&set)));
        let hits = numbers(&hits.unwrap());
        assert!(hits.iter().all(|slot| set.contains(Slot(*slot))));
        assert_eq!(hits.len(), truth.len(), "{place:?} {share}: too few");
        found += common(&hits, &truth);
        wanted += truth.len();
    }
    ratio(found, wanted)
}

/// Queries, each with all vectors in the order of their likeness to it.
fn rankings<'a>(asked: &'a [Vec<f32>], vectors: &[Vec<f32>]) -> Vec<(&'a Vec<f32>, Vec<u32>)> {
    let ranking = |query: &'a Vec<f32>| {
        let ranked = ranked(Metric::Cosine, vectors, query);
        (query, ranked.iter().map(|(slot, _)| *slot).collect())
    };
    asked.iter().map(ranking).collect()
}

fn floors(n: usize, quantizations: &[Quantization], shares: &[usize], ef: usize, places: &[Place]) {
    let all = faces(&mut Random(80), n, 128);
    let (asked, vectors) = apart(all, n / 40);
    let rankings = rankings(&asked, &vectors);
    for quantization in quantizations {
        let index = build(with_kind(128, Metric::Cosine, *quantization), &vectors);
        for share in shares {
            for place in places {
                let recall = filtered_recall(&index, &rankings, (*place, *share, ef));
                eprintln!("{n} {quantization:?} ef {ef} {place:?} {share}/1000: {recall}");
                assert!(
                    recall >= floor(*quantization),
                    "{quantization:?} {place:?} {share}: {recall}"
                );
            }
        }
    }
}

#[test]
fn recall_is_high_whatever_share_a_filter_lets_through() {
    let default = Quantization::Packed(Bits::Four);
    floors(6_600, &[default], &SHARES, 0, &PLACES);
}

/// With few points a filter that lets few through is answered by a scan. A low `ef` makes even a
/// tenth of them a walk.
#[test]
fn recall_is_high_when_even_few_allowed_points_are_walked_to() {
    floors(2_000, &KINDS, &[350, 500, 900, 1_000], 10, &PLACES);
}

/// Measured: 0.89 to 0.98 elsewhere, 0.44 to 0.67 of the farthest; with int8 codes or none 0.99.
#[test]
fn recall_is_high_when_the_querys_own_neighbourhood_is_not_allowed() {
    let default = Quantization::Packed(Bits::Four);
    floors(
        6_600,
        &[default],
        &[250, 500, 900],
        0,
        &[Place::Elsewhere, Place::Farthest],
    );
}

/// Everything passes but the query's own neighbourhood: 0.975 with a beam that is not widened.
#[test]
fn a_walk_that_is_led_to_what_is_not_allowed_looks_wider() {
    let all = faces(&mut Random(80), 6_600, 128);
    let (asked, vectors) = apart(all, 165);
    let default = Quantization::Packed(Bits::Four);
    let index = build(with_kind(128, Metric::Cosine, default), &vectors);
    let rankings = rankings(&asked, &vectors);
    let recall = filtered_recall(&index, &rankings, (Place::Elsewhere, 1_000, 0));
    assert!(recall >= 0.985, "{recall}");
}

/// What the issue asks for at the defaults; four bits are the default of such vectors.
fn floor(quantization: Quantization) -> f32 {
    match quantization {
        Quantization::Packed(Bits::One) => 0.9,
        _ => 0.95,
    }
}

#[test]
fn a_filter_that_lets_few_through_still_gets_all_there_are() {
    let vectors = faces(&mut Random(8), 3_000, 32);
    let index = build(rough(32, Metric::Cosine, Quantization::Int8), &vectors);
    let few: SlotSet = (7..3_000).step_by(500).map(Slot).collect();
    let hits = index.search(&vectors[0], 10, &options(10, false, Some(&few)));
    let mut found = numbers(&hits.unwrap());
    found.sort_unstable();
    assert_eq!(found, [7, 507, 1_007, 1_507, 2_007, 2_507]);
}

/// The filter counts as many slots as there are points, so it is walked for, to the graph's end.
#[test]
fn slots_of_a_filter_that_hold_no_point_are_passed_over() {
    let vectors = faces(&mut Random(82), 3_000, 32);
    for quantization in KINDS {
        let mut index = build(rough(32, Metric::Cosine, quantization), &vectors);
        let mut set: SlotSet = (0..10_000).map(Slot).collect();
        for slot in (0..3_000).filter(|slot| slot % 1_000 != 3) {
            set.remove(Slot(slot));
        }
        set.insert(Slot(700));
        index.remove(Slot(700)).unwrap();
        for exact in [false, true] {
            let hits = index.search(&vectors[700], 10, &options(0, exact, Some(&set)));
            let mut found = numbers(&hits.unwrap());
            found.sort_unstable();
            assert_eq!(found, [3, 1_003, 2_003], "{quantization:?} {exact}");
        }
    }
}

#[test]
fn an_empty_filter_finds_nothing() {
    let vectors = faces(&mut Random(83), 2_000, 16);
    let index = build(rough(16, Metric::Cosine, Quantization::Int8), &vectors);
    let none = SlotSet::new();
    for exact in [false, true] {
        let hits = index.search(&vectors[0], 10, &options(0, exact, Some(&none)));
        assert!(hits.unwrap().is_empty());
    }
}
