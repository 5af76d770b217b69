//! The flags of `doppel train` and `doppel eval head`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use train::Loss;

use crate::models::ModelsArgs;
use crate::target::ServerArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// A small network that makes shorter vectors of a model's, learned from people with names
    #[command(after_help = HEAD_HELP)]
    Head(TrainHeadArgs),
    /// A convolutional network from pixels to vectors, learned from a folder of each person's photos
    #[command(after_help = NETWORK_HELP)]
    Network(TrainNetworkArgs),
}

pub(crate) const HEAD_HELP: &str = "\
Vectors come from a collection (points whose payload has `person`), from a table with a file that says
in each line whose a row is (an empty line: unknown), or from a folder of each person's photos.

Of all people the part --held-out is not learned from, by seed and name (`_` reads as a space), and of the
rest some are watched to end in time. The same seed gives the same network, bit for bit, on the same machine.
docs/METRIC_LEARNING.md tells what is learned and how.";

const NETWORK_HELP: &str = "\
FOLDER has a folder of each person's photos (in lfw/, lfw-deepfunneled/, images/ or FOLDER itself). The
face of each photo is found by the detector of --model and cut out as that model would see it. The network
is MobileFaceNet's, begun from random weights: to be useful it takes photos of thousands of people at
the least. What it is worth for people held out is printed at the end.

Where it stands is kept after every epoch; the same command goes on from there. The same seed gives the
same network, bit for bit, on the same machine. docs/METRIC_LEARNING.md tells how it is learned.";

fn seed(text: &str) -> Result<u64, String> {
    let number = text.parse();
    number.map_err(|_| format!("a seed is a whole number, 0 to {}", u64::MAX))
}

fn count(text: &str) -> Result<usize, String> {
    let number = text.parse();
    number.map_err(|_| "it is a count: a whole number, not below 0".to_owned())
}

/// What every training is told.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Of all chance, and of who is held out
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The part of people who are not learned from
    #[arg(
        long,
        value_name = "PART",
        allow_negative_numbers = true,
        default_value_t = 0.3
    )]
    pub(crate) held_out: f64,
    /// Epochs at most
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 100)]
    pub(crate) epochs: usize,
    /// Epochs without an improvement after which it ends
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 10)]
    pub(crate) patience: usize,
}

/// Where photos are, and the models.
#[derive(Debug, Args)]
pub(crate) struct WithModelArgs {
    /// Photos at work at once, each on one thread
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// The model that makes, or has made, the vectors, or whose detector finds the faces
    /// [default: the collection's, else that of the settings]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
}

/// Where vectors and names come from: one of the three.
#[derive(Debug, Args)]
pub(crate) struct VectorsArgs {
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
    /// A folder with a folder of each person's photos
    #[arg(long, value_name = "DIR")]
    pub(crate) photos: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) with: WithModelArgs,
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

impl From<LossArg> for Loss {
    fn from(loss: LossArg) -> Self {
        match loss {
            LossArg::Quadruplet => Self::Quadruplet,
            LossArg::Triplet => Self::Triplet,
            LossArg::Contrastive => Self::Contrastive,
        }
    }
}

/// How a head is learned.
#[derive(Debug, Args)]
pub(crate) struct HeadArgs {
    /// Numbers in its vectors
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 64)]
    pub(crate) size: usize,
    /// Numbers in a hidden layer [default: none, the head is linear]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) hidden: Option<usize>,
    /// The length of a step
    #[arg(
        long,
        value_name = "X",
        allow_negative_numbers = true,
        default_value_t = 0.0003
    )]
    pub(crate) rate: f64,
    /// How strongly weights are drawn back to where they began
    #[arg(
        long,
        value_name = "X",
        allow_negative_numbers = true,
        default_value_t = 0.1
    )]
    pub(crate) decay: f64,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrainHeadArgs {
    /// The name of the new model
    #[arg(value_name = "MODEL")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) source: VectorsArgs,
    #[command(flatten)]
    pub(crate) learn: HeadArgs,
    /// What is made small
    #[arg(long, value_enum, default_value = "quadruplet")]
    pub(crate) loss: LossArg,
}

#[derive(Debug, Args)]
pub(crate) struct EvalHeadArgs {
    #[command(flatten)]
    pub(crate) source: VectorsArgs,
    #[command(flatten)]
    pub(crate) learn: HeadArgs,
    #[command(flatten)]
    pub(crate) figures: FiguresArgs,
}

/// How figures are told.
#[derive(Debug, Args)]
pub(crate) struct FiguresArgs {
    /// Times that people are drawn for the intervals
    #[arg(long, value_name = "N", default_value_t = 1000, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(40..=100_000))]
    pub(crate) draws: u32,
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrainNetworkArgs {
    /// The name of the new model
    #[arg(value_name = "MODEL")]
    pub(crate) name: String,
    /// A folder with a folder of each person's photos
    #[arg(value_name = "FOLDER")]
    pub(crate) photos: PathBuf,
    /// The photos are faces cut out already: each is taken whole
    #[arg(long)]
    pub(crate) cut_out: bool,
    /// Numbers in its vectors
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 128)]
    pub(crate) size: usize,
    /// Pixels on a side of what it sees, a multiple of 16
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 112)]
    pub(crate) side: usize,
    /// Divide the paper's numbers of channels
    #[arg(long, value_name = "BY", value_parser = count, allow_negative_numbers = true, default_value_t = 1)]
    pub(crate) narrower: usize,
    /// Show photos as they are, not mirrored and moved at random
    #[arg(long)]
    pub(crate) as_they_are: bool,
    /// What is made small
    #[arg(long, value_enum, default_value = "quadruplet")]
    pub(crate) loss: LossArg,
    /// People in a batch who have several photos
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 16)]
    pub(crate) people: usize,
    /// Photos of each of them at most
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 4)]
    pub(crate) photos_each: usize,
    /// Others in a batch, with a photo each
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 16)]
    pub(crate) strangers: usize,
    /// Batches in an epoch
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, default_value_t = 40)]
    pub(crate) batches: usize,
    /// The length of a step
    #[arg(
        long,
        value_name = "X",
        allow_negative_numbers = true,
        default_value_t = 0.001
    )]
    pub(crate) rate: f64,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) with: WithModelArgs,
    #[command(flatten)]
    pub(crate) figures: FiguresArgs,
}
