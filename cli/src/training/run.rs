//! A training from its beginning, or from where it was stopped, to its end, while a bar tells how far it
//! is; where it stands is kept after every epoch.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use train::{Model, Settings, Shape, Training};

use super::people::Parts;

const BAR: &str = "{bar:32} {prefix}  {msg}  {elapsed}";
/// How often it is said how it stands, where no bar can be shown.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A network, and what came of it in a line.
pub(crate) struct Learned {
    pub(crate) model: Model,
    /// The same before it learned anything.
    pub(crate) start: Model,
    /// Whether no epoch was better than the start.
    pub(crate) is_start: bool,
    pub(crate) told: String,
}

/// Learns a network. With a checkpoint it goes on where that stands, and keeps it there.
pub(crate) fn learn(
    shape: Shape,
    settings: Settings,
    parts: &Parts,
    checkpoint: Option<&Path>,
) -> Result<Learned> {
    let (epochs, batches) = (settings.epochs, settings.batches as u64);
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
        true => ProgressBar::new(epochs as u64 * batches),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(BAR).expect("the template is well formed"));
    let mut said = Instant::now();
    while !training.done().1 {
        let done = training.done().0;
        bar.set_prefix(format!("epoch {} of {epochs} at most", done + 1));
        let at = done as u64 * batches;
        let epoch = training.epoch_told(&mut |batch| bar.set_position(at + batch as u64))?;
        if let Some(path) = checkpoint {
            training.save(path)?;
        }
        let stands = format!("loss {:.4}, watched {:.4}", epoch.loss, epoch.score);
        if bar.is_hidden() && said.elapsed() >= SAY_EVERY {
            eprintln!("after epoch {}: {stands}", epoch.number);
            said = Instant::now();
        }
        bar.set_message(stands);
    }
    bar.finish_and_clear();
    let (best, score) = training.best_so_far();
    let which = match best {
        0 => "none was better than the start, so nothing was learned".to_owned(),
        best => format!("epoch {best} was the best"),
    };
    let told = format!(
        "ended after epoch {}, {which} (of those watched, 1 pair of strangers in {:.0} is as alike as a pair of \
         one person)",
        training.done().0,
        10_f64.powf(-score)
    );
    Ok(Learned {
        model: training.best(),
        start: training.start(),
        is_start: best == 0,
        told,
    })
}
