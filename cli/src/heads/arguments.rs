//! The flags of `doppel train head` and `doppel eval head`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::ServerArgs;
use crate::models::ModelsArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// A small network that makes shorter vectors of a model's, learned from people with names
    #[command(after_help = HELP)]
    Head(TrainHeadArgs),
}

pub(crate) const HELP: &str = "\
Vectors come from a collection (points whose payload has `person`), from a table with a file that says
in each line whose a row is (an empty line: unknown), or from a data set like that of `doppel eval lfw`.

Of all people the part --held-out is not learned from, by seed and name, and of the rest some are
watched to end in time. The same seed gives the same network, bit for bit, on the same machine.
docs/METRIC_LEARNING.md tells what is learned and how.";

/// Where vectors and names come from: one of the three.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// A collection
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["vectors", "photos"])]
    pub(crate) collection: Option<String>,
    /// The vector of its points, where they have several
    #[arg(long, value_name = "VECTOR", requires = "collection")]
    pub(crate) using: Option<String>,
    /// A table of vectors (.npy)
    #[arg(
        long,
        value_name = "FILE",
        requires = "labels",
        conflicts_with = "photos"
    )]
    pub(crate) vectors: Option<PathBuf>,
    /// Whose the rows of --vectors are, one in a line
    #[arg(long, value_name = "FILE", requires = "vectors")]
    pub(crate) labels: Option<PathBuf>,
    /// A folder with pairs.txt and a folder of each person's photos
    #[arg(long, value_name = "DIR")]
    pub(crate) photos: Option<PathBuf>,
    /// Photos at work at once, each on one thread
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// The model that makes, or has made, the vectors [default: the collection's, else that of the settings]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LossArg {
    Quadruplet,
    Triplet,
    Contrastive,
}

/// How a head is learned.
#[derive(Debug, Args)]
pub(crate) struct LearnArgs {
    /// Numbers in its vectors
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) size: usize,
    /// Numbers in a hidden layer [default: none, the head is linear]
    #[arg(long, value_name = "N")]
    pub(crate) hidden: Option<usize>,
    /// Of all chance, and of who is held out
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The part of people who are not learned from
    #[arg(long, value_name = "PART", default_value_t = 0.3)]
    pub(crate) held_out: f64,
    /// Epochs at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) epochs: usize,
    /// Epochs without an improvement after which it ends
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) patience: usize,
    /// The length of a step
    #[arg(long, value_name = "X", default_value_t = 0.0003)]
    pub(crate) rate: f64,
    /// How strongly weights are drawn back to where they began
    #[arg(long, value_name = "X", default_value_t = 0.1)]
    pub(crate) decay: f64,
}

#[derive(Debug, Args)]
pub(crate) struct TrainHeadArgs {
    /// The name of the new model
    #[arg(value_name = "MODEL")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) learn: LearnArgs,
    /// What is made small
    #[arg(long, value_enum, default_value = "quadruplet")]
    pub(crate) loss: LossArg,
}

#[derive(Debug, Args)]
pub(crate) struct EvalHeadArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) learn: LearnArgs,
    /// Times that people are drawn for the intervals
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(40..=100_000))]
    pub(crate) draws: u32,
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
