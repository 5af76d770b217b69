//! The flags of `doppel export`.

use std::path::PathBuf;

use clap::Args;

use crate::target::ServerOrFolderArgs;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Where to write: .jsonl, a point in each line; .parquet, in each row; .npy, the vectors, with the ids in .ids.txt beside
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: String,
    /// The vector that goes into an .npy file, where points have several
    #[arg(long, value_name = "VECTOR")]
    pub(crate) using: Option<String>,
    /// Also write the crop of each face into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) crops: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) from: ServerOrFolderArgs,
}
