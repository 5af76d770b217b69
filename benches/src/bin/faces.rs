//! From a photo to its look-alikes, stage by stage, on one core, beside the same models in plain
//! Python (ONNX Runtime, Pillow, NumPy; `peers/faces.py`) in the same run:
//!
//! `cargo run --release -p benches --bin faces -- --models-dir MODELS --photos FOLDER`
//!
//! FOLDER has photos in it, or folders of photos. A photo of 20 megapixels is made out of one of
//! them. Each time is the best of some rounds; of many photos it is the median. `batched` puts
//! several faces through the model at once, a face's part of that is told. The first rows are what a
//! server does; those with 32 bits, like the script, leave out the network with numbers of 8 bits.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::ann::generator::{Shape, generate};
use benches::ann::venv::Venv;
use benches::original::photos;
use clap::Parser;
use embedder::{Choice, FaceEmbedder, Manifest, OnnxEmbedder, Want};
use engine::{
    Ack, CollectionSpec, Engine, Metric, Options, Payload, Point, PointId, Query, Select, Which,
};
use serde::Deserialize;

#[derive(Parser)]
struct Arguments {
    /// The installed models.
    #[arg(long)]
    models_dir: PathBuf,
    /// A folder of photos.
    #[arg(long)]
    photos: PathBuf,
    /// Photos that are measured.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Times that each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Faces that go through the model at once.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Faces that are searched.
    #[arg(long, default_value_t = 100_000)]
    faces: usize,
    /// Where the Python environment is made.
    #[arg(long, default_value = "target/ann-peers-venv")]
    venv: PathBuf,
    /// The Python it is made with.
    #[arg(long, default_value = "python3")]
    python: String,
}

const NAME: &str = "faces";
const WANT: Want = Want {
    faces: Choice::Largest,
    vectors: true,
    crop: false,
    smallest: 0,
};

/// Milliseconds.
struct Stages {
    decode: f64,
    detect: f64,
    embed: f64,
    batched: Option<f64>,
    search: Option<f64>,
}

/// What the script says, in milliseconds.
#[derive(Deserialize)]
struct Plain {
    decode: f64,
    detect: f64,
    crop: f64,
    embed: f64,
    embed_batched: f64,
    faces: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut photos = photos::below(&arguments.photos)?;
    photos.truncate(arguments.count);
    let mut venv = Venv::new(arguments.venv.clone(), arguments.python.clone());
    let python = venv.python_with(&["onnxruntime", "pillow"])?;
    let folder = tempfile::tempdir()?;
    let huge = folder.path().join("huge.jpg");
    run(Command::new(&python)
        .arg(script())
        .arg("huge")
        .arg(&huge)
        .arg(&photos[0]))?;
    let manifest = Manifest::builtin();
    let engine = filled(folder.path(), arguments.faces, manifest.dim)?;
    let large = std::slice::from_ref(&huge);
    let mut rows = Vec::new();
    for (bits, rounded) in [("8 bits", true), ("32 bits", false)] {
        let mut manifest = manifest.clone();
        (manifest.embedders_mut()).for_each(|it| it.use_rounded = rounded);
        let mut embedder = OnnxEmbedder::load_as(&arguments.models_dir, 1, manifest)?;
        for (what, photos) in [("small photos", &photos[..]), ("20 megapixels", large)] {
            let stages = ours(&mut embedder, &engine, photos, &arguments)?;
            rows.push((format!("doppel, {bits}, {what}"), stages));
        }
    }
    for (what, photos) in [("small photos", &photos[..]), ("20 megapixels", large)] {
        let stages = plain(&python, &arguments, photos)?;
        rows.push((format!("plain Python, {what}"), stages));
    }
    engine.shutdown()?;
    let mut out = std::io::stdout().lock();
    let bytes = std::fs::metadata(&huge)?.len();
    writeln!(
        out,
        "{} photos of {}; one of 20 megapixels, {:.1} MB; {} faces are searched\n\n\
         | milliseconds | decode | detect | crop and embed | batched by {} | search | photo to hits |\n\
         | --- | --: | --: | --: | --: | --: | --: |",
        photos.len(),
        arguments.photos.display(),
        bytes as f64 / 1e6,
        arguments.faces,
        arguments.batch
    )?;
    for (what, stages) in rows {
        writeln!(out, "| {what} | {stages} |")?;
    }
    // What it said of its own service: aligning, embedding, index.
    writeln!(
        out,
        "| *the original, published* | | 20 to 200 | 50 to 100 | | 7 to 8 | 77 to 308 |"
    )?;
    Ok(())
}

impl std::fmt::Display for Stages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.2}"));
        let (decode, detect, embed) = (self.decode, self.detect, self.embed);
        let whole = self.search.map(|search| decode + detect + embed + search);
        write!(
            f,
            "{decode:.2} | {detect:.2} | {embed:.2} | {} | {} | {}",
            told(self.batched),
            told(self.search),
            told(whole)
        )
    }
}

fn filled(folder: &Path, faces: usize, dim: usize) -> Result<Engine> {
    let made = generate(Shape::Faces, faces, dim, 1, 1)?;
    let engine = Engine::open(Options::new(folder.join("data")))?;
    engine.create_collection(NAME, CollectionSpec::new(dim, Metric::Cosine))?;
    let rows: Vec<_> = made.base.rows().collect();
    for (batch, rows) in rows.chunks(1_000).enumerate() {
        let points = rows.iter().enumerate().map(|(at, row)| Point {
            id: PointId::Num((batch * 1_000 + at) as u64),
            vectors: row.to_vec().into(),
            payload: Payload::new(),
            face: None,
        });
        engine.upsert(NAME, points.collect(), Ack::Applied)?;
    }
    Ok(engine)
}

fn ours(
    embedder: &mut OnnxEmbedder,
    engine: &Engine,
    paths: &[PathBuf],
    arguments: &Arguments,
) -> Result<Stages> {
    let files = paths.iter().map(std::fs::read);
    let files = files.collect::<std::io::Result<Vec<_>>>()?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for file in &files {
        let mut best = [Duration::MAX; 4];
        for _ in 0..arguments.rounds {
            let seen = embedder.analyze(file, WANT)?;
            let started = Instant::now();
            if let Some(face) = seen.faces.first() {
                engine.search(NAME, &nearest(face.vector.clone()))?;
            }
            let (stages, search) = (seen.timings, started.elapsed());
            for (best, time) in
                best.iter_mut()
                    .zip([stages.decode, stages.detect, stages.embed, search])
            {
                *best = time.min(*best);
            }
        }
        times
            .iter_mut()
            .zip(best)
            .for_each(|(all, time)| all.push(time));
    }
    let [decode, detect, embed, search] = times.map(|mut times| {
        times.sort_unstable();
        milliseconds(times[times.len() / 2])
    });
    Ok(Stages {
        decode,
        detect,
        embed,
        batched: batched(embedder, &files, arguments)?,
        search: Some(search),
    })
}

/// What a face takes where several are embedded at once; none where there is but one photo.
fn batched(
    embedder: &mut OnnxEmbedder,
    files: &[Vec<u8>],
    arguments: &Arguments,
) -> Result<Option<f64>> {
    let (mut taken, mut faces) = (0.0, 0);
    for some in files.chunks_exact(arguments.batch.max(2)) {
        let photos: Vec<_> = some.iter().map(|file| (file.as_slice(), WANT)).collect();
        let mut best = f64::MAX;
        let mut found = 0;
        for _ in 0..arguments.rounds {
            let started = Instant::now();
            let seen = embedder.analyze_all(&photos);
            let mut spent = milliseconds(started.elapsed());
            found = 0;
            for seen in seen {
                let seen = seen?;
                spent -= milliseconds(seen.timings.decode + seen.timings.detect);
                found += seen.faces.len();
            }
            best = best.min(spent);
        }
        taken += best;
        faces += found;
    }
    Ok((faces > 0).then(|| taken / faces as f64))
}

fn nearest(vector: Vec<f32>) -> Query {
    Query {
        vector,
        using: String::new(),
        limit: 10,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: None,
        filter: None,
        select: Select {
            payload: true,
            vectors: Which::None,
        },
    }
}

fn plain(python: &Path, arguments: &Arguments, photos: &[PathBuf]) -> Result<Stages> {
    let mut command = Command::new(python);
    command
        .arg(script())
        .arg("measure")
        .arg(&arguments.models_dir);
    command.args([arguments.batch, arguments.rounds].map(|n| n.to_string()));
    let told = run(command.args(photos))?;
    let plain: Plain = serde_json::from_slice(&told)?;
    Ok(Stages {
        decode: plain.decode,
        detect: plain.detect,
        embed: plain.crop + plain.embed,
        batched: (plain.faces > 1).then_some(plain.crop + plain.embed_batched),
        search: None,
    })
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/faces.py")
}

/// What a command prints.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let done = command.stderr(Stdio::inherit()).output()?;
    ensure!(done.status.success(), "the script failed: {}", done.status);
    Ok(done.stdout)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
