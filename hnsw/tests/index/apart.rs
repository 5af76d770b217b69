//! Indexes that are read from three parts: from streams, or with rows that are used where they stand in
//! a file until they are copied. Each is the index that was written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use hnsw::{Apart, Error, Index, Kept, Place, Quantization, Scratch};

use crate::common::{KINDS, METRICS, Random, bytes, checksum, faces, insert, options, rough};

/// What an index was written as.
#[derive(Clone)]
struct Parts {
    graph: Vec<u8>,
    vectors: Vec<u8>,
    codes: Vec<u8>,
}

impl Parts {
    fn of(index: &Index) -> Self {
        let (mut graph, mut vectors, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        let frozen = index.freeze();
        frozen.write_graph(&mut graph).unwrap();
        frozen.write_vectors(&mut vectors).unwrap();
        frozen.write_codes(&mut codes).unwrap();
        Self {
            graph,
            vectors,
            codes,
        }
    }

    fn read(&self, scratch: Option<Scratch>) -> Result<Index, Error> {
        Index::read_apart(Apart {
            graph: (&mut &self.graph[..], self.graph.len() as u64),
            vectors: (
                Kept::Stream(&mut &self.vectors[..]),
                self.vectors.len() as u64,
            ),
            codes: (Kept::Stream(&mut &self.codes[..]), self.codes.len() as u64),
            scratch,
        })
    }

    /// With rows that are used in a file, where 64 other bytes come first.
    fn keep(&self) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let parts = [&[7; 64], &self.vectors[..], &self.codes];
        parts.iter().for_each(|part| file.write_all(part).unwrap());
        file
    }

    fn read_kept(&self, file: &File, scratch: Option<Scratch>) -> Result<Index, Error> {
        let (mut vectors, mut codes) = (Vec::new(), Vec::new());
        let index = Index::read_apart(Apart {
            graph: (&mut &self.graph[..], self.graph.len() as u64),
            vectors: (
                place(file, 64, &mut show(&mut vectors)),
                self.vectors.len() as u64,
            ),
            codes: (
                place(file, 64 + self.vectors.len() as u64, &mut show(&mut codes)),
                self.codes.len() as u64,
            ),
            scratch,
        })?;
        assert!(
            vectors == self.vectors && codes == self.codes,
            "all is shown once"
        );
        Ok(index)
    }
}

fn show(seen: &mut Vec<u8>) -> impl FnMut(&[u8]) -> io::Result<u32> {
    |bytes| {
        seen.extend_from_slice(bytes);
        Ok(sum(bytes))
    }
}

fn sum(bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..] = checksum(bytes).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn place<'a>(
    file: &File,
    start: u64,
    seen: &'a mut dyn FnMut(&[u8]) -> io::Result<u32>,
) -> Kept<'a> {
    Kept::File(Place {
        file: Arc::new(file.try_clone().unwrap().into()),
        start,
        seen,
        checksum: sum,
    })
}

fn scratch() -> Option<Scratch> {
    Some(Scratch::new(tempfile::tempfile().unwrap()))
}

/// With free slots, upper levels and a centre.
fn grow(index: &mut Index, seed: u64, vectors: &[Vec<f32>]) {
    let mut random = Random(seed);
    for batch in vectors.chunks(31) {
        let slots = insert(index, &mut random, batch, 2);
        slots
            .iter()
            .step_by(5)
            .for_each(|slot| index.remove(*slot).unwrap());
    }
}

fn assert_same(a: &Index, b: &Index, queries: &[Vec<f32>], of: &str) {
    assert_eq!(b.check(), Ok(()), "{of}");
    assert!(bytes(a) == bytes(b), "{of}");
    assert_eq!(a.history(), b.history(), "{of}");
    for query in queries {
        for (ef, exact) in [(0, false), (8, false), (0, true)] {
            let options = options(ef, exact, None);
            let (one, other) = (a.search(query, 9, &options), b.search(query, 9, &options));
            assert_eq!(one.unwrap(), other.unwrap(), "{of}");
        }
    }
}

fn own_all(index: &mut Index) -> usize {
    let mut copies = 0;
    while let Some(lent) = index.lent() {
        index.own(lent.copy().unwrap());
        copies += 1;
    }
    copies
}

#[test]
fn an_index_from_parts_is_the_one_that_was_written_and_grows_as_it_does() {
    let vectors = faces(&mut Random(180), 1_500, 72);
    for metric in METRICS {
        for quantization in KINDS {
            let of = format!("{metric:?} {quantization:?}");
            let mut index = Index::new(rough(72, metric, quantization)).unwrap();
            grow(&mut index, 181, &vectors[..1_200]);
            let parts = Parts::of(&index);
            let file = parts.keep();
            let mut copies = vec![
                parts.read(None).unwrap(),
                parts.read(scratch()).unwrap(),
                parts.read_kept(&file, None).unwrap(),
                parts.read_kept(&file, scratch()).unwrap(),
            ];
            // One is copied before anything is changed, one in the middle of it.
            let mut owned = parts.read_kept(&file, scratch()).unwrap();
            assert!(own_all(&mut owned) > 0, "{of}");
            copies.push(owned);
            for copy in &copies {
                assert_same(&index, copy, &vectors[1_200..1_210], &of);
            }
            grow(&mut index, 182, &vectors[1_200..]);
            for copy in &mut copies {
                let lent = copy.lent();
                grow(copy, 182, &vectors[1_200..]);
                if let Some(lent) = lent {
                    copy.own(lent.copy().unwrap());
                }
                own_all(copy);
                assert_same(&index, copy, &vectors[1_490..], &of);
            }
        }
    }
}

#[test]
fn an_index_whose_rows_are_lent_survives_the_file_once_they_are_copied() {
    let vectors = faces(&mut Random(183), 700, 64);
    let mut index = Index::new(rough(64, METRICS[0], Quantization::Int8)).unwrap();
    grow(&mut index, 184, &vectors);
    let parts = Parts::of(&index);
    let file = parts.keep();
    let mut copy = parts.read_kept(&file, scratch()).unwrap();
    let before = copy.memory_bytes();
    own_all(&mut copy);
    assert_eq!(
        copy.memory_bytes(),
        before,
        "codes are counted all the time"
    );
    file.set_len(0).unwrap();
    assert_same(&index, &copy, &vectors[..5], "copied");
}

/// What has become of rows in their file must not be taken for them: neither into RAM nor to a new file.
#[test]
fn rows_that_have_changed_in_their_file_are_refused() {
    let vectors = faces(&mut Random(185), 700, 64);
    let mut index = Index::new(rough(64, METRICS[0], Quantization::Int8)).unwrap();
    grow(&mut index, 186, &vectors);
    let parts = Parts::of(&index);
    let codes_at = 64 + parts.vectors.len() as u64;
    for harmed in [64 + 5_000, codes_at + 300] {
        let file = parts.keep();
        let mut copy = parts.read_kept(&file, scratch()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, harmed).unwrap();
        file.write_all_at(&[byte[0] ^ 1], harmed).unwrap();
        let refused = loop {
            let lent = copy.lent().expect("the harmed rows cannot be copied");
            match lent.copy() {
                Ok(copied) => copy.own(copied),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, Error::Scratch(_)), "{refused}");
        let frozen = copy.freeze();
        let written = frozen.write_vectors(&mut Vec::new());
        let written = written.and_then(|()| frozen.write_codes(&mut Vec::new()));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

/// Also where a change meets them first.
#[test]
fn a_change_that_would_copy_rows_that_have_changed_is_an_error() {
    let vectors = faces(&mut Random(191), 700, 64);
    let mut index = Index::new(rough(64, METRICS[0], Quantization::Int8)).unwrap();
    grow(&mut index, 192, &vectors);
    let parts = Parts::of(&index);
    for harmed in [64 + 5_000, 64 + parts.vectors.len() as u64 + 300] {
        let file = parts.keep();
        let mut copy = parts.read_kept(&file, scratch()).unwrap();
        file.write_all_at(&[0xaa; 64], harmed).unwrap();
        let points: Vec<(u64, &[f32])> = vectors.iter().map(|it| (5, it.as_slice())).collect();
        let refused = copy.insert_batch(&points, 1);
        assert!(matches!(refused, Err(Error::Scratch(_))));
    }
}

#[test]
fn codes_that_are_not_of_the_vectors_are_computed_again() {
    let vectors = faces(&mut Random(187), 900, 64);
    for quantization in KINDS {
        let mut index = Index::new(rough(64, METRICS[0], quantization)).unwrap();
        grow(&mut index, 188, &vectors);
        let good = Parts::of(&index);
        let mut other = good.clone();
        other.codes.iter_mut().for_each(|byte| *byte ^= 4);
        let mut not_finite = good.clone();
        let end = not_finite.codes.len().saturating_sub(4);
        if let Some(fact) = not_finite.codes.get_mut(end..) {
            fact.copy_from_slice(&f32::NAN.to_le_bytes()[..fact.len()]);
        }
        let none = Parts {
            codes: Vec::new(),
            ..good
        };
        for (parts, of) in [
            (other, "others"),
            (not_finite, "not finite"),
            (none, "none"),
        ] {
            let file = parts.keep();
            assert_same(&index, &parts.read(None).unwrap(), &vectors[..5], of);
            let kept = Index::read_apart(Apart {
                graph: (&mut &parts.graph[..], parts.graph.len() as u64),
                vectors: (
                    Kept::Stream(&mut &parts.vectors[..]),
                    parts.vectors.len() as u64,
                ),
                codes: (
                    place(
                        &file,
                        64 + parts.vectors.len() as u64,
                        &mut show(&mut Vec::new()),
                    ),
                    parts.codes.len() as u64,
                ),
                scratch: None,
            });
            assert_same(&index, &kept.unwrap(), &vectors[..5], of);
        }
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let vectors = faces(&mut Random(189), 300, 64);
    let mut index = Index::new(rough(64, METRICS[0], Quantization::Int8)).unwrap();
    grow(&mut index, 190, &vectors);
    let good = Parts::of(&index);
    let mut infinite = good.clone();
    infinite.vectors[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let mut short = good.clone();
    short.vectors.truncate(short.vectors.len() - 256);
    let mut whole = good.clone();
    whole.graph = bytes(&index);
    for parts in [infinite, short, whole] {
        assert!(matches!(parts.read(None), Err(Error::Corrupt(_))));
        let file = parts.keep();
        let refused = parts.read_kept(&file, scratch());
        assert!(matches!(refused, Err(Error::Corrupt(_))));
    }
    let alone = Index::read(&mut &good.graph[..], good.graph.len() as u64, None);
    assert!(matches!(alone, Err(Error::Corrupt(_))));
    let file = good.keep();
    let mut refuse = |_: &[u8]| Err(io::Error::other("no"));
    let refused = Index::read_apart(Apart {
        graph: (&mut &good.graph[..], good.graph.len() as u64),
        vectors: (place(&file, 64, &mut refuse), good.vectors.len() as u64),
        codes: (Kept::Stream(&mut &good.codes[..]), good.codes.len() as u64),
        scratch: scratch(),
    });
    assert!(refused.is_err());
}
