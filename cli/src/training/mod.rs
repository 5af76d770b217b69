//! `doppel train`: networks of one's own, as models like any others; `doppel eval head`: what a head is
//! worth. The mathematics is `train`'s.

mod arguments;
mod crops;
mod evaluate;
mod head;
mod index;
mod kept;
mod network;
mod people;
mod run;
mod table;
mod vectors;

use anyhow::Result;

pub(crate) use arguments::{EvalHeadArgs, HEAD_HELP, TrainCommand};
pub(crate) use evaluate::evaluate;

use crate::exit::Exit;

/// Runs one of the commands.
pub(crate) fn run(command: &TrainCommand) -> Result<Exit> {
    match command {
        TrainCommand::Head(arguments) => head::run(arguments),
        TrainCommand::Network(arguments) => network::run(arguments),
    }
}
