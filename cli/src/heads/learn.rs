//! A head learned while a bar tells how far it is; where it stands is kept after every epoch.

use std::io::{IsTerminal, stderr};
use std::path::Path;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use train::{HeadShape, Loss, Model, Settings, Shape, Training};

use super::arguments::{LearnArgs, LossArg};
use super::source::Parts;

const BAR: &str = "{bar:32} epoch {pos} of {len} at most  {msg}  {elapsed}";

impl From<LossArg> for Loss {
    fn from(loss: LossArg) -> Self {
        match loss {
            LossArg::Quadruplet => Self::Quadruplet,
            LossArg::Triplet => Self::Triplet,
            LossArg::Contrastive => Self::Contrastive,
        }
    }
}

/// A head, and what came of it in a line.
pub(crate) struct Learned {
    pub(crate) model: Model,
    pub(crate) told: String,
}

/// Learns a head. With a checkpoint it goes on where that stands, and keeps it there.
pub(crate) fn learn(
    arguments: &LearnArgs,
    loss: Loss,
    parts: &Parts,
    checkpoint: Option<&Path>,
) -> Result<Learned> {
    let shape = Shape::Head(HeadShape {
        input: parts.learned.size(),
        hidden: arguments.hidden,
        output: arguments.size,
    });
    let settings = Settings {
        loss,
        epochs: arguments.epochs,
        patience: arguments.patience,
        rate: arguments.rate,
        decay: arguments.decay,
        seed: arguments.seed,
        ..Settings::default()
    };
    let epochs = settings.epochs as u64;
    let mut training = Training::begin(shape, settings, (&parts.learned, &parts.watched))?;
    if let Some(path) = checkpoint
        && training.resume(path)?
    {
        eprintln!(
            "going on after epoch {}, from {}",
            training.done().0,
            path.display()
        );
    }
    let bar = match stderr().is_terminal() {
        true => ProgressBar::new(epochs),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(BAR).expect("the template is well formed"));
    bar.set_position(training.done().0 as u64);
    let mut told = "nothing was left to learn".to_owned();
    while !training.done().1 {
        let epoch = training.epoch()?;
        if let Some(path) = checkpoint {
            training.save(path)?;
        }
        told = format!(
            "{} epochs, the best was {} (strangers as alike as a pair of one person: 1 in {:.0})",
            epoch.number,
            epoch.best.0,
            10_f64.powf(-epoch.best.1)
        );
        bar.set_position(epoch.number as u64);
        bar.set_message(format!(
            "loss {:.4}, watched {:.4}",
            epoch.loss, epoch.score
        ));
    }
    bar.finish_and_clear();
    Ok(Learned {
        model: training.best(),
        told,
    })
}
