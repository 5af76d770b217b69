//! How well and how fast the face pipeline does on Labeled Faces in the Wild:
//! `cargo run --release -p benches --bin lfw -- ../shared/data/lfw-dev --models-dir models`.
//!
//! Prints rank-1 accuracy (leave-one-out over people with two or more photos: is another photo of
//! the same person the nearest?), verification accuracy over the pairs at the best threshold, the
//! photos without a face, and the median time of each stage.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use benches::{Lfw, Pair};
use clap::Parser;
use embedder::{Choice, FaceEmbedder, OnnxEmbedder, Timings, Want};
use engine::{Ack, CollectionSpec, Engine, Metric, Options, Point, PointId, Query, Select, Which};

#[derive(Parser)]
struct Arguments {
    /// The folder with `images/` and `pairs.txt`.
    dir: PathBuf,
    /// The folder with the models (`doppel models install`).
    #[arg(long, env = "DOPPEL_MODELS_DIR", default_value = "models")]
    models_dir: PathBuf,
    /// Photos embedded at once, each on one thread.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Use only so many photos.
    #[arg(long)]
    limit: Option<usize>,
}

struct Embedded {
    vector: Option<Vec<f32>>,
    timings: Timings,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut lfw = Lfw::open(&arguments.dir)?;
    if let Some(limit) = arguments.limit {
        lfw.photos.truncate(limit);
        lfw.pairs.retain(|pair| pair.a < limit && pair.b < limit);
    }
    let started = Instant::now();
    let embedded = embed_all(&lfw, &arguments)?;
    let seconds = started.elapsed().as_secs_f64();
    let mut out = std::io::stdout().lock();
    let missed = embedded
        .iter()
        .filter(|photo| photo.vector.is_none())
        .count();
    writeln!(
        out,
        "photos              {} in {seconds:.0} s on {} threads",
        embedded.len(),
        arguments.threads
    )?;
    writeln!(out, "no face found       {missed}")?;
    let (right, asked, search) = rank_1(&lfw, &embedded)?;
    writeln!(
        out,
        "rank-1              {:.4} ({right} of {asked} photos)",
        ratio(right, asked)
    )?;
    let (accuracy, threshold) = verification(&lfw.pairs, &embedded);
    writeln!(
        out,
        "verification        {accuracy:.4} over {} pairs at cosine {threshold:.3}",
        lfw.pairs.len()
    )?;
    let stage = |of: fn(&Timings) -> Duration| {
        median(embedded.iter().map(|photo| of(&photo.timings)).collect())
    };
    writeln!(out, "median decode       {:.2} ms", stage(|t| t.decode))?;
    writeln!(out, "median detect       {:.2} ms", stage(|t| t.detect))?;
    writeln!(out, "median embed        {:.2} ms", stage(|t| t.embed))?;
    writeln!(out, "median search       {:.3} ms", median(search))?;
    Ok(())
}

fn embed_all(lfw: &Lfw, arguments: &Arguments) -> Result<Vec<Embedded>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Embedded)>> {
        let mut embedder = OnnxEmbedder::load(&arguments.models_dir, 1)?;
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(photo) = lfw.photos.get(at) else {
                return Ok(done);
            };
            let bytes = std::fs::read(&photo.path)?;
            let want = Want {
                faces: Choice::Largest,
                vectors: true,
                crop: false,
            };
            let analysis = embedder
                .analyze(&bytes, want)
                .with_context(|| photo.path.display().to_string())?;
            let vector = analysis.faces.into_iter().next().map(|face| face.vector);
            done.push((
                at,
                Embedded {
                    vector,
                    timings: analysis.timings,
                },
            ));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        anyhow::Ok(all)
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, photo)| photo).collect())
}

/// Through a real engine: every photo asks for its two nearest, itself and the one that counts.
fn rank_1(lfw: &Lfw, embedded: &[Embedded]) -> Result<(usize, usize, Vec<Duration>)> {
    let dir = std::env::temp_dir().join(format!("doppel-lfw-{}", std::process::id()));
    let engine = Engine::open(Options::new(&dir))?;
    let dim = embedded
        .iter()
        .find_map(|photo| Some(photo.vector.as_ref()?.len()))
        .context("no face at all")?;
    engine.create_collection("lfw", CollectionSpec::new(dim, Metric::Cosine))?;
    let mut points = Vec::new();
    for (at, photo) in embedded.iter().enumerate() {
        if let Some(vector) = &photo.vector {
            points.push(Point {
                id: PointId::Num(at as u64),
                vectors: vector.clone().into(),
                payload: Default::default(),
                face: None,
            });
        }
    }
    for batch in points.chunks(1_000) {
        engine.upsert("lfw", batch.to_vec(), Ack::Applied)?;
    }
    let mut photos_of: HashMap<&str, usize> = HashMap::new();
    for photo in &lfw.photos {
        *photos_of.entry(&photo.person).or_default() += 1;
    }
    let (mut right, mut asked, mut times) = (0, 0, Vec::new());
    for (at, photo) in lfw
        .photos
        .iter()
        .enumerate()
        .filter(|(_, photo)| photos_of[photo.person.as_str()] > 1)
    {
        asked += 1;
        let Some(vector) = &embedded[at].vector else {
            continue;
        };
        let query = Query {
            vector: vector.clone(),
            using: String::new(),
            limit: 2,
            offset: 0,
            ef: None,
            exact: false,
            score_threshold: None,
            filter: None,
            select: Select {
                payload: true,
                vectors: Which::None,
            },
        };
        let started = Instant::now();
        let hits = engine.search("lfw", &query)?;
        times.push(started.elapsed());
        let nearest = hits.iter().find_map(|hit| match hit.point.id {
            PointId::Num(id) if id != at as u64 => usize::try_from(id).ok(),
            _ => None,
        });
        right += usize::from(nearest.is_some_and(|other| lfw.photos[other].person == photo.person));
    }
    drop(engine);
    std::fs::remove_dir_all(&dir)?;
    Ok((right, asked, times))
}

/// The best accuracy any one threshold reaches, and that threshold. A pair with a photo in which no
/// face was found counts as different people.
fn verification(pairs: &[Pair], embedded: &[Embedded]) -> (f64, f32) {
    let cosine = |pair: &Pair| match (&embedded[pair.a].vector, &embedded[pair.b].vector) {
        (Some(a), Some(b)) => a.iter().zip(b).map(|(x, y)| x * y).sum(),
        _ => -1.0f32,
    };
    let scored: Vec<(f32, bool)> = pairs.iter().map(|pair| (cosine(pair), pair.same)).collect();
    let accuracy = |threshold: f32| {
        let right = scored
            .iter()
            .filter(|(score, same)| (*score >= threshold) == *same)
            .count();
        (ratio(right, scored.len()), threshold)
    };
    let all = scored.iter().map(|(score, _)| accuracy(*score));
    all.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0.0))
}

#[expect(clippy::cast_precision_loss, reason = "counts of photos")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
        * 1_000.0
}
