//! The flags of `doppel eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::models::ModelsArgs;
use crate::training::{EvalHeadArgs, HEAD_HELP};

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// On Labeled Faces in the Wild: verification, rank-1, missed faces, times
    #[command(after_help = EVAL_LFW_HELP)]
    Lfw(EvalLfwArgs),
    /// What a head is worth for people it was not learned from, beside other ways to shorten vectors
    #[command(after_help = HEAD_HELP)]
    Head(Box<EvalHeadArgs>),
}

const EVAL_LFW_HELP: &str = "\
DIR has pairs.txt and a folder of each person's photos (in lfw/, lfw-deepfunneled/, images/ or DIR
itself). Verification is over the folds of pairs.txt, each with the threshold that is best on the
others; rank-1 asks for each photo of somebody who has several whether the nearest other photo shows
the same person.";

#[derive(Debug, Args)]
pub(crate) struct EvalLfwArgs {
    /// The data set
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    /// The model [default: that of the settings]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Photos at work at once, each on one thread
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Use only so many photos
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Try another crop: its side over the longer side of a face's box
    #[arg(long, value_name = "X")]
    pub(crate) margin: Option<f32>,
    /// Try enlarging small photos up to so many times before faces are looked for
    #[arg(long, value_name = "X")]
    pub(crate) enlarge: Option<f32>,
    /// Try averaging each face with its mirror image, or not
    #[arg(long, value_name = "BOOL")]
    pub(crate) mirror: Option<bool>,
    /// Try the model with numbers of 8 bits, or not
    #[arg(long, value_name = "BOOL")]
    pub(crate) rounded: Option<bool>,
    /// Also write the faces as the model sees them into a folder, as PNG
    #[arg(long, value_name = "FOLDER")]
    pub(crate) crops: Option<PathBuf>,
    /// Also fit what cosines mean: `calibration` of a model's manifest
    #[arg(long)]
    pub(crate) calibrate: bool,
    /// Also draw false against true matches, as SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Also try other weights of a model's two networks, and say which one half of the pairs asks for
    #[arg(long, conflicts_with = "json")]
    pub(crate) weights: bool,
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) const CALIBRATE_HELP: &str = "\
DIR is like that of `doppel eval lfw`: pairs.txt and a folder of each person's photos. The curve of
one person's probability is fitted to the pairs, the scale of likeness to one photo of each person.
Both go into NAME.manifest.json in the folder of models, which a server reads at its start.";

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// The pairs of photos
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    /// The model [default: that of the settings]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Photos at work at once, each on one thread
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Only print it
    #[arg(long)]
    pub(crate) dry_run: bool,
}
