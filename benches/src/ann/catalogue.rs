//! Every system that can be compared: what it needs, what it can, and how its search is swept.

use anyhow::{Context, Result, bail};

use super::truth::Metric;

/// Search effort of graphs: candidates kept while walking.
const EF: &[usize] = &[
    10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 900, 1_280, 1_800, 2_560,
];
/// Ours: it may expand fewer nodes than it answers with.
const DEPTH: &[usize] = &[
    4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 900, 1_280, 1_800, 2_560,
];
/// Nodes that annoy inspects.
const SEARCH_K: &[usize] = &[100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000];
/// Lists that an inverted file looks into.
const PROBES: &[usize] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Nothing to choose: the answer is exact.
const EXACT: &[usize] = &[0];

const ALL: &[Metric] = &[Metric::Cosine, Metric::Dot, Metric::Euclid];
/// Where distance is all it knows; under cosine the vectors have length 1, so that is the same.
const DISTANCE: &[Metric] = &[Metric::Cosine, Metric::Euclid];

/// One system.
#[derive(Debug)]
pub struct Kind {
    /// Its name on the command line.
    pub name: &'static str,
    /// What must be installed for it.
    pub packages: &'static [&'static str],
    /// Search parameters by rising effort.
    pub sweep: &'static [usize],
    /// Whether its parameter must not be less than k.
    pub param_at_least_k: bool,
    /// Queries it is asked at most: few where one takes long.
    pub max_queries: usize,
    /// Metrics it knows.
    pub metrics: &'static [Metric],
    /// What it is, in one line.
    pub about: &'static str,
}

impl Kind {
    /// Whether it is no peer.
    pub fn is_ours(&self) -> bool {
        self.name == "doppel"
    }
}

const fn graph(name: &'static str, packages: &'static [&'static str], about: &'static str) -> Kind {
    Kind {
        name,
        packages,
        sweep: EF,
        param_at_least_k: true,
        max_queries: usize::MAX,
        metrics: ALL,
        about,
    }
}

const fn exact(name: &'static str, packages: &'static [&'static str], about: &'static str) -> Kind {
    Kind {
        sweep: EXACT,
        param_at_least_k: false,
        max_queries: 50,
        ..graph(name, packages, about)
    }
}

/// All systems, ours first.
pub const KINDS: &[Kind] = &[
    // It keeps more candidates than it expands, so that fewer than `k` may be expanded.
    Kind {
        sweep: DEPTH,
        param_at_least_k: false,
        ..graph(
            "doppel",
            &[],
            "ours; options m, ef_construct, quantization, vectors, threads",
        )
    },
    graph(
        "symphonyqg",
        &["rabitqlib"],
        "RaBitQ codes in a graph of fixed degree; options R=32, ef_construction=200",
    ),
    graph(
        "symphonyqg-8bit",
        &["rabitqlib"],
        "the same with 8-bit vectors in its rows",
    ),
    graph(
        "hnswlib",
        &["hnswlib"],
        "HNSW as it comes; options M=16, ef_construction=200",
    ),
    graph(
        "hnswlib-hugepages",
        &["hnswlib"],
        "the same with the C library's 2 MiB pages",
    ),
    graph(
        "nmslib",
        &["nmslib"],
        "its HNSW; options M=16, ef_construction=200",
    ),
    graph(
        "faiss-hnsw",
        &["faiss-cpu"],
        "HNSW on float32; options M=16, ef_construction=200",
    ),
    graph(
        "faiss-hnsw-sq8",
        &["faiss-cpu"],
        "HNSW on 8-bit codes, 3k candidates refined on float32; options as above and refine=3",
    ),
    Kind {
        sweep: PROBES,
        param_at_least_k: false,
        ..graph(
            "faiss-ivfpq",
            &["faiss-cpu"],
            "inverted lists of 4-bit product codes, refined on float32; options lists, refine=10",
        )
    },
    graph(
        "usearch-f32",
        &["usearch"],
        "HNSW on float32; options M=16, ef_construction=200",
    ),
    graph("usearch-bf16", &["usearch"], "HNSW on bfloat16"),
    graph(
        "usearch-i8",
        &["usearch"],
        "HNSW on 8-bit codes without refinement",
    ),
    graph(
        "vsag",
        &["pyvsag"],
        "HGraph on 8-bit codes with float32 re-ordering; options max_degree=32, ef_construction=200",
    ),
    graph(
        "glass",
        &["glassppy"],
        "HNSW on 8-bit codes with refinement; options M=16, ef_construction=200, level=1",
    ),
    Kind {
        sweep: SEARCH_K,
        param_at_least_k: false,
        max_queries: 300,
        ..graph(
            "annoy",
            &["annoy"],
            "random projection trees; options trees=100",
        )
    },
    Kind {
        metrics: DISTANCE,
        ..exact(
            "kdtree",
            &["scikit-learn"],
            "k-d tree of scikit-learn, exact",
        )
    },
    Kind {
        metrics: DISTANCE,
        ..exact(
            "balltree",
            &["scikit-learn"],
            "ball tree of scikit-learn, exact",
        )
    },
    Kind {
        max_queries: 200,
        ..exact(
            "brute",
            &[],
            "NumPy, one matrix-vector product a query, exact",
        )
    },
];

/// Settings of a build as `name=value`.
#[derive(Debug, Clone, Default)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// In the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A system with its settings, as chosen by `NAME` or `NAME:OPTION=VALUE:...`.
#[derive(Debug, Clone)]
pub struct Choice {
    /// As it was written.
    pub label: String,
    /// Which one.
    pub kind: &'static Kind,
    /// How it is built.
    pub options: Options,
    /// Search parameters in place of its own.
    pub sweep: Option<Vec<usize>>,
}

impl Choice {
    /// Understands what was written.
    ///
    /// # Errors
    /// There is no such system, or an option has no value.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or("");
        let kind = KINDS.iter().find(|kind| kind.name == name);
        let known = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>();
        let kind = kind.with_context(|| format!("no system `{name}`; there are {:?}", known()))?;
        let option = |part: &str| {
            let (name, value) = part.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let options: Option<_> = parts.map(option).collect();
        let options = options.with_context(|| format!("`{text}`: an option is NAME=VALUE"))?;
        Ok(Self {
            label: text.to_owned(),
            kind,
            options: Options(options),
            sweep: None,
        })
    }

    /// Search parameters for a `k`, by rising effort.
    pub fn sweep(&self, k: usize) -> Vec<usize> {
        if let Some(sweep) = &self.sweep {
            return sweep.clone();
        }
        let all = self.kind.sweep.iter().copied();
        if !self.kind.param_at_least_k {
            return all.collect();
        }
        let mut sweep: Vec<usize> = all.filter(|param| *param > k).collect();
        sweep.insert(0, k);
        sweep
    }
}

/// Gives sweeps (`32,64,128` for all, or `SYSTEM=32,64`) to those they are for.
///
/// # Errors
/// A number is none, or a system was not chosen.
pub fn apply_sweeps(choices: &mut [Choice], sweeps: &[String]) -> Result<()> {
    for text in sweeps {
        // The system may have options of its own, so the last `=` parts it from the numbers.
        let (system, numbers) = match text.rsplit_once('=') {
            Some((system, numbers)) => (Some(system), numbers),
            None => (None, text.as_str()),
        };
        let sweep = numbers.split(',').map(|number| number.trim().parse());
        let sweep: Result<Vec<usize>, _> = sweep.collect();
        let sweep = sweep.with_context(|| format!("--params {text}"))?;
        let mut meant = choices
            .iter_mut()
            .filter(|choice| system.is_none_or(|s| choice.label == s || choice.kind.name == s))
            .peekable();
        if meant.peek().is_none() {
            bail!("--params {text}: no such system was chosen");
        }
        meant.for_each(|choice| choice.sweep = Some(sweep.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_chosen_with_its_options() {
        let choice = Choice::parse("hnswlib:M=32:ef_construction=400").unwrap();
        assert_eq!(choice.kind.name, "hnswlib");
        let options: Vec<_> = choice.options.iter().collect();
        assert_eq!(options, [("M", "32"), ("ef_construction", "400")]);
        assert!(Choice::parse("faster").is_err());
        assert!(Choice::parse("hnswlib:M").is_err());
    }

    #[test]
    fn a_sweep_starts_at_k_and_can_be_replaced_for_one_or_all() {
        let parse = |text| Choice::parse(text).unwrap();
        assert_eq!(parse("hnswlib").sweep(100)[..3], [100, 112, 160]);
        assert_eq!(parse("annoy").sweep(100)[0], 100);
        assert_eq!(parse("brute").sweep(100), [0]);
        let mut choices = [parse("hnswlib:M=8"), parse("doppel")];
        apply_sweeps(
            &mut choices,
            &["30,60".to_owned(), "hnswlib:M=8=5".to_owned()],
        )
        .unwrap();
        assert_eq!(choices[0].sweep(10), [5]);
        assert_eq!(choices[1].sweep(10), [30, 60]);
        assert!(apply_sweeps(&mut choices, &["annoy=5".to_owned()]).is_err());
        assert!(apply_sweeps(&mut choices, &["many".to_owned()]).is_err());
    }

    #[test]
    fn names_are_told_apart_and_sweeps_rise() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..at].iter().all(|other| other.name != kind.name));
            assert!(kind.sweep.is_sorted() && !kind.sweep.is_empty());
        }
    }
}
