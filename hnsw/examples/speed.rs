//! How fast the index is on face-like vectors, in this process on one thread:
//! `cargo run --release -p hnsw --example speed -- 100000 512`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::Write;
use std::time::Instant;

use common::{Random, faces};
use hnsw::{Index, Metric, Params, Quantization, SearchOptions, Slot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let n: usize = args.next().map_or(Ok(20_000), |arg| arg.parse())?;
    let dim: usize = args.next().map_or(Ok(512), |arg| arg.parse())?;
    let mut random = Random(1);
    let all = faces(&mut random, n + 1_000, dim);
    // Every so many-th photo is a query, so that most queries have photos of the same person.
    let step = all.len() / 1_000;
    let (queries, vectors): (Vec<_>, Vec<_>) =
        all.iter().enumerate().partition(|(at, _)| at % step == 0);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} vectors of {dim}, kernels {}",
        vectors.len(),
        hnsw::kernels().name
    )?;
    for quantization in [Quantization::None, Quantization::fitting(dim)] {
        let mut index = Index::new(Params {
            quantization,
            ..Params::new(dim, Metric::Cosine)
        })?;
        let started = Instant::now();
        let mut inserts = Vec::with_capacity(vectors.len());
        for (_, vector) in &vectors {
            let one = Instant::now();
            index.insert(random.next(), vector)?;
            inserts.push(one.elapsed().as_micros());
        }
        let build = started.elapsed().as_secs_f64();
        let median = |times: &mut Vec<u128>| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or(0)
        };
        let late = &mut inserts.split_off(vectors.len() * 9 / 10);
        writeln!(
            out,
            "{quantization:?}: build {build:.1} s, insert median {} us (last tenth), {} bytes a vector",
            median(late),
            index.memory_bytes() / index.len()
        )?;
        let search = |index: &Index, query: &[f32], ef, exact| -> Vec<Slot> {
            let options = SearchOptions {
                ef,
                exact,
                filter: None,
            };
            index
                .search(query, 10, &options)
                .map_or(Vec::new(), |hits| hits.iter().map(|hit| hit.slot).collect())
        };
        let truth: Vec<Vec<Slot>> = queries
            .iter()
            .map(|(_, query)| search(&index, query, 0, true))
            .collect();
        for ef in [32, 48, 64, 100, 200, 400, 800] {
            let started = Instant::now();
            let answers: Vec<_> = queries
                .iter()
                .map(|(_, query)| search(&index, query, ef, false))
                .collect();
            let seconds = started.elapsed().as_secs_f64();
            let found: usize = answers
                .iter()
                .zip(&truth)
                .map(|(answer, truth)| answer.iter().filter(|slot| truth.contains(slot)).count())
                .sum();
            writeln!(
                out,
                "  ef {ef:4}: recall@10 {:.4}, {:.0} queries/s",
                found as f64 / (queries.len() * 10) as f64,
                queries.len() as f64 / seconds
            )?;
        }
        let mut removes = Vec::new();
        for slot in (0..u32::try_from(n)?).step_by(n / 500) {
            let one = Instant::now();
            index.remove(Slot(slot))?;
            removes.push(one.elapsed().as_micros());
        }
        writeln!(out, "  remove median {} us", median(&mut removes))?;
    }
    Ok(())
}
