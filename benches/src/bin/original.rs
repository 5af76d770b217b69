//! The tables and figures of the program that this one follows, made again:
//!
//! ```sh
//! cargo run --release -p benches --bin original -- tables --models-dir MODELS --photos FOLDER
//! cargo run --release -p benches --bin original -- times --svg docs/benchmarks/times.svg
//! ```
//!
//! `tables` prints the quality of answers (columns: `benches/src/original/quality.rs`) and the CPU
//! time of a query by Euclidean distance, k 1, 5, 10 and 100, of every system with its own settings:
//! over uniform vectors of 128 numbers, face-like ones of 512, and what the default model makes of
//! real photos (left out without `--models-dir` and `--photos`). `times` prints and draws query time
//! over the number of vectors. Peers run as in `ann`, each on the same one core.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use benches::ann::clock::last_core;
use benches::ann::dataset::{DataArguments, Dataset, target_dir};
use benches::ann::generator::Shape;
use benches::ann::truth::Metric;
use benches::ann::venv::Venv;
use benches::original::{photos, tables, times};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "original")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The quality of answers.
    Tables {
        #[command(flatten)]
        common: Common,
        /// Vectors that are made.
        #[arg(long, default_value_t = 100_000)]
        n: usize,
        /// The installed models.
        #[arg(long, requires = "photos")]
        models_dir: Option<PathBuf>,
        /// A folder of photos.
        #[arg(long, requires = "models_dir")]
        photos: Option<PathBuf>,
    },
    /// Query time over the number of vectors.
    Times {
        #[command(flatten)]
        common: Common,
        /// Numbers of vectors.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "1000,3000,10000,30000,100000"
        )]
        sizes: Vec<usize>,
        /// Draws the plots into this file.
        #[arg(long)]
        svg: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Common {
    /// Queries.
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// Times that everything is asked.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What the data is made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The peers' environment [default: ann-peers-venv in the build's own folder].
    #[arg(long)]
    venv: Option<PathBuf>,
    /// The interpreter that makes it.
    #[arg(long, default_value = "python3")]
    python: String,
}

const UNIFORM: (Shape, usize) = (Shape::Uniform, 128);
const FACES: (Shape, usize) = (Shape::Faces, 512);

impl Common {
    fn venv(&self) -> Result<Venv> {
        let dir = match &self.venv {
            Some(dir) => dir.clone(),
            None => target_dir()?.join("ann-peers-venv"),
        };
        Ok(Venv::new(dir, self.python.clone()))
    }

    fn data(&self, (shape, dim): (Shape, usize)) -> DataArguments {
        DataArguments {
            data: shape,
            n: None,
            dim,
            queries_n: self.queries,
            seed: self.seed,
            base: None,
            queries: None,
            truth: None,
            metric: Metric::Euclid,
            cache: None,
        }
    }
}

fn main() -> Result<()> {
    match Arguments::parse().what {
        What::Tables {
            common,
            n,
            models_dir,
            photos,
        } => qualities(&common, n, models_dir.zip(photos)),
        What::Times { common, sizes, svg } => growth(&common, &sizes, svg),
    }
}

fn qualities(common: &Common, n: usize, real: Option<(PathBuf, PathBuf)>) -> Result<()> {
    let made = |title: &str, what| {
        let data = DataArguments {
            n: Some(n),
            ..common.data(what)
        };
        (title.to_owned(), data)
    };
    let mut sets = vec![made("Uniform in [0, 1)", UNIFORM), made("Face-like", FACES)];
    if let Some((models, folder)) = real {
        let (base, queries) = photos::vectors(&models, &folder, common.queries)?;
        let data = DataArguments {
            base: Some(base),
            queries: Some(queries),
            ..common.data(FACES)
        };
        sets.push(("Faces of real photos".to_owned(), data));
    }
    let mut out = std::io::stdout().lock();
    let mut venv = common.venv()?;
    for (title, data) in sets {
        let data = Dataset::prepare(&data, 100)?;
        tables::print(
            &mut out,
            &title,
            &data,
            last_core()?,
            common.rounds,
            &mut venv,
        )?;
    }
    Ok(())
}

fn growth(common: &Common, sizes: &[usize], svg: Option<PathBuf>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut venv = common.venv()?;
    let how = (last_core()?, common.rounds);
    let mut panels = Vec::new();
    for (title, what) in [
        ("Uniform vectors of 128 numbers", UNIFORM),
        ("Face-like vectors of 512 numbers", FACES),
    ] {
        let lines = times::series(&common.data(what), sizes, how, &mut venv)?;
        times::table(&mut out, title, sizes, &lines)?;
        panels.push((title.to_owned(), lines));
    }
    if let Some(path) = svg {
        std::fs::write(&path, times::picture(&panels))
            .with_context(|| path.display().to_string())?;
    }
    out.flush()?;
    Ok(())
}
