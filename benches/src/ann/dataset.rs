//! What is measured on: a base, queries and the exact answers, made or read once and kept as files
//! under a name that says everything they depend on.
//!
//! Invariant: under cosine every vector has length 1, so inner product, cosine and Euclidean
//! distance agree on the order and every system may use the one it is best at.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::formats::{read_ids, read_vectors, write_ids, write_vectors};
use super::generator::{Shape, generate};
use super::table::Table;
use super::truth::{Metric, exact};

/// Where the data comes from, on the command line of every comparison.
#[derive(Debug, Clone, Args)]
pub struct DataArguments {
    /// Data to be made.
    #[arg(long, value_enum, default_value_t = Shape::Faces)]
    pub data: Shape,
    /// Vectors in the base. With --base, only its first so many are used.
    #[arg(long)]
    pub n: Option<usize>,
    /// Numbers in a vector that is made.
    #[arg(long, default_value_t = 512)]
    pub dim: usize,
    /// Queries that are made, or the first so many of those read.
    #[arg(long, default_value_t = 1_000)]
    pub queries_n: usize,
    /// What the data is made from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Vectors to read instead (.npy or .fvecs, float32).
    #[arg(long, requires = "queries")]
    pub base: Option<PathBuf>,
    /// Queries to read (.npy or .fvecs, float32).
    #[arg(long, requires = "base")]
    pub queries: Option<PathBuf>,
    /// The exact answers, nearest first (.npy or .ivecs); computed if absent.
    #[arg(long, requires = "base")]
    pub truth: Option<PathBuf>,
    /// How vectors are compared.
    #[arg(long, value_enum, default_value_t = Metric::Cosine)]
    pub metric: Metric,
    /// Folder for prepared data [default: ann-data beside the build's own folder].
    #[arg(long)]
    pub cache: Option<PathBuf>,
}

/// Vectors in the base when nothing else is said.
const DEFAULT_N: usize = 100_000;
/// Exact answers kept for each query, if not more are asked for.
const DEPTH: usize = 100;

/// Prepared data: in memory for us, in files for the peers.
pub struct Dataset {
    /// What it depends on, in words that can name a file.
    pub name: String,
    /// How vectors are compared.
    pub metric: Metric,
    /// What is searched.
    pub base: Table<f32>,
    /// What is searched for.
    pub queries: Table<f32>,
    /// The exact answers, nearest first.
    pub truth: Table<u32>,
    /// Whose photo each vector is; empty if that is not known.
    pub identities: Vec<u32>,
    /// The folder with `base.npy` and `queries.npy`.
    pub dir: PathBuf,
}

/// The folder of everything that comparisons keep between runs: the build's own.
///
/// # Errors
/// The program does not lie in such a folder.
pub fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let dir = program.parent().and_then(Path::parent);
    Ok(dir
        .context("the program is not in a build folder")?
        .to_owned())
}

impl Dataset {
    /// Makes or reads the data, or takes it from the cache. Answers are known to `depth` or deeper.
    ///
    /// # Errors
    /// A file cannot be read or written, or the data do not fit together.
    pub fn prepare(arguments: &DataArguments, depth: usize) -> Result<Self> {
        let cache = match &arguments.cache {
            Some(dir) => dir.clone(),
            None => target_dir()?.join("ann-data"),
        };
        let this = match (&arguments.base, &arguments.queries) {
            (Some(base), Some(queries)) => {
                Self::read(arguments, base, queries, depth.max(DEPTH), &cache)?
            }
            _ => Self::make(arguments, depth.max(DEPTH), &cache)?,
        };
        if this.base.is_empty() || this.queries.is_empty() {
            bail!("{}: nothing to search or to search for", this.name);
        }
        if this.truth.width() < depth.min(this.base.len()) {
            bail!("the exact answers are {} deep", this.truth.width());
        }
        let unknown = |id: &u32| *id as usize >= this.base.len();
        if this.truth.len() != this.queries.len() || this.truth.values().iter().any(unknown) {
            bail!("{}: the exact answers are of other data", this.name);
        }
        Ok(this)
    }

    fn make(arguments: &DataArguments, depth: usize, cache: &Path) -> Result<Self> {
        let (n, metric) = (arguments.n.unwrap_or(DEFAULT_N), arguments.metric);
        let name = format!(
            "{}-n{n}-d{}-q{}-s{}-{}",
            arguments.data.name(),
            arguments.dim,
            arguments.queries_n,
            arguments.seed,
            metric.name()
        );
        let dir = cache.join(&name);
        if !dir.join("identities.npy").exists() {
            eprintln!("making {name}");
            let mut made = generate(
                arguments.data,
                n,
                arguments.dim,
                arguments.queries_n,
                arguments.seed,
            )?;
            if metric == Metric::Cosine {
                made.base.normalise()?;
                made.queries.normalise()?;
            }
            store(&dir, &made.base, &made.queries)?;
            write_ids(
                &dir.join("identities.npy"),
                &Table::new(1, made.identities)?,
            )?;
        }
        let identities = read_ids(&dir.join("identities.npy"))?;
        let identities = identities.values().to_vec();
        Self::load(name, metric, dir, identities, None, depth)
    }

    fn read(
        arguments: &DataArguments,
        base: &Path,
        queries: &Path,
        depth: usize,
        cache: &Path,
    ) -> Result<Self> {
        let metric = arguments.metric;
        let mut vectors = read_vectors(base)?;
        let whole = arguments.n.is_none_or(|n| n >= vectors.len());
        vectors.truncate(arguments.n.unwrap_or(usize::MAX));
        let mut asked = read_vectors(queries)?;
        asked.truncate(arguments.queries_n);
        if metric == Metric::Cosine {
            vectors.normalise()?;
            asked.normalise()?;
        }
        let stem = base.file_stem().and_then(|stem| stem.to_str());
        let stem = stem
            .unwrap_or("data")
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = format!(
            "{stem}-n{}-d{}-q{}-{:016x}-{}",
            vectors.len(),
            vectors.width(),
            asked.len(),
            digest(&[&vectors, &asked]),
            metric.name()
        );
        let dir = cache.join(&name);
        if !dir.join("queries.npy").exists() {
            store(&dir, &vectors, &asked)?;
        }
        // Answers of a whole base say nothing about a part of it.
        let given = match &arguments.truth {
            Some(path) if whole => {
                let mut truth = read_ids(path)?;
                truth.truncate(asked.len());
                Some(truth)
            }
            _ => None,
        };
        Self::load(name, metric, dir, Vec::new(), given, depth)
    }

    fn load(
        name: String,
        metric: Metric,
        dir: PathBuf,
        identities: Vec<u32>,
        given: Option<Table<u32>>,
        depth: usize,
    ) -> Result<Self> {
        let base = read_vectors(&dir.join("base.npy"))?;
        let queries = read_vectors(&dir.join("queries.npy"))?;
        let path = dir.join(format!("truth-{depth}.npy"));
        let truth = match given {
            Some(truth) => truth,
            None if path.exists() => read_ids(&path)?,
            None => {
                eprintln!("comparing everything with everything for {name}");
                let truth = exact(&base, &queries, metric, depth, |_| true)?;
                write_ids(&path, &truth)?;
                truth
            }
        };
        Ok(Self {
            name,
            metric,
            base,
            queries,
            truth,
            identities,
            dir,
        })
    }
}

fn store(dir: &Path, base: &Table<f32>, queries: &Table<f32>) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    write_vectors(&dir.join("base.npy"), base)?;
    write_vectors(&dir.join("queries.npy"), queries)
}

/// Tells data apart that have the same name and size.
fn digest(tables: &[&Table<f32>]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for value in tables.iter().flat_map(|table| table.values()) {
        hasher.write_u32(value.to_bits());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(cache: &Path) -> DataArguments {
        DataArguments {
            data: Shape::Faces,
            n: Some(400),
            dim: 16,
            queries_n: 20,
            seed: 3,
            base: None,
            queries: None,
            truth: None,
            metric: Metric::Cosine,
            cache: Some(cache.to_owned()),
        }
    }

    #[test]
    fn made_data_is_the_same_from_the_cache_and_from_its_files() {
        let cache = std::env::temp_dir().join(format!("ann-dataset-{}", std::process::id()));
        let made = arguments(&cache);
        let first = Dataset::prepare(&made, 10).unwrap();
        let second = Dataset::prepare(&made, 10).unwrap();
        assert_eq!(first.base, second.base);
        assert_eq!(first.truth, second.truth);
        assert_eq!(first.identities.len(), 400);
        let read = DataArguments {
            base: Some(first.dir.join("base.npy")),
            queries: Some(first.dir.join("queries.npy")),
            truth: Some(first.dir.join("truth-100.npy")),
            n: None,
            ..made
        };
        let third = Dataset::prepare(&read, 10).unwrap();
        assert_eq!(first.truth, third.truth);
        let part = DataArguments {
            n: Some(100),
            ..read
        };
        let part = Dataset::prepare(&part, 10).unwrap();
        assert_eq!(part.base.len(), 100);
        assert!(part.truth.values().iter().all(|id| *id < 100));
        std::fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn truth_of_other_data_is_refused() {
        let cache = std::env::temp_dir().join(format!("ann-other-{}", std::process::id()));
        let made = Dataset::prepare(&arguments(&cache), 10).unwrap();
        let path = cache.join("other.ivecs");
        write_ids(&path, &Table::new(10, vec![400; 200]).unwrap()).unwrap();
        let other = DataArguments {
            base: Some(made.dir.join("base.npy")),
            queries: Some(made.dir.join("queries.npy")),
            truth: Some(path),
            ..arguments(&cache)
        };
        assert!(Dataset::prepare(&other, 10).is_err());
        std::fs::remove_dir_all(cache).unwrap();
    }
}
