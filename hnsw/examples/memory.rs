//! Bytes a vector takes by its size and by how the graph is walked, vectors in a file as a server
//! has them by default: `cargo run --release -p hnsw --example memory`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::Write;

use common::{Random, faces};
use hnsw::{Bits, Index, Metric, Params, Quantization, Scratch};

/// Whole chunks of every kind of row; with other numbers the last chunk is partly empty.
const COUNT: usize = 1 << 14;
const BATCH: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let kinds = [
        ("none", Quantization::None),
        ("int8", Quantization::Int8),
        ("4 bits", Quantization::Packed(Bits::Four)),
        ("2 bits", Quantization::Packed(Bits::Two)),
        ("1 bit", Quantization::Packed(Bits::One)),
    ];
    write!(out, "| numbers |")?;
    for (name, _) in kinds {
        write!(out, " {name} |")?;
    }
    writeln!(out, " default | file |")?;
    for dim in [64, 128, 256, 384, 512, 768, 1_024, 1_536, 3_072] {
        let vectors = faces(&mut Random(1), COUNT, dim);
        write!(out, "| {dim} |")?;
        for (_, kind) in kinds {
            write!(out, " {} |", bytes(&vectors, kind)?)?;
        }
        let default = Quantization::fitting(dim);
        let name = kinds.iter().find(|(_, kind)| *kind == default);
        let file = dim.next_multiple_of(16) * size_of::<f32>();
        writeln!(out, " {} | {file} |", name.map_or("", |(name, _)| name))?;
    }
    Ok(())
}

fn bytes(
    vectors: &[Vec<f32>],
    quantization: Quantization,
) -> Result<usize, Box<dyn std::error::Error>> {
    // Memory does not depend on how carefully the graph is built.
    let params = Params {
        quantization,
        ef_construct: 16,
        ..Params::new(vectors[0].len(), Metric::Cosine)
    };
    let scratch = Scratch::new(tempfile::tempfile()?);
    let mut index = Index::with_scratch(params, Some(scratch))?;
    let mut random = Random(2);
    for batch in vectors.chunks(BATCH) {
        let points: Vec<(u64, &[f32])> = batch
            .iter()
            .map(|vector| (random.next(), vector.as_slice()))
            .collect();
        index.insert_batch(&points, hnsw::threads())?;
    }
    Ok(index.memory_bytes() / index.len())
}
