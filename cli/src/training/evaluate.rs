//! `doppel eval head`: heads by each loss, measured beside the original and what needs no learning.

use std::time::Instant;

use anyhow::Result;
use train::{Chance, FIGURES, Loss, Samples, Set, compare, principal, random_projection};

use super::arguments::EvalHeadArgs;
use super::head;
use super::index::Indexed;
use super::people::Parts;
use super::run::learn;
use super::table::{self, About};
use super::vectors::{Source, normalise};
use crate::exit::Exit;
use crate::out;

/// A set of vectors with those of the people who were learned from, who are looked among too.
pub(crate) struct Whole {
    pub(crate) set: Set,
    pub(crate) learned: Vec<Vec<f32>>,
    /// Whether a head's learning has not changed it.
    pub(crate) is_start: bool,
}

/// Learns a head by each loss, and measures them.
pub(crate) fn evaluate(arguments: &EvalHeadArgs) -> Result<Exit> {
    let source = Source::open(&arguments.source)?;
    let base = &source.base;
    let parts = Parts::of(source.read()?, &[base.dim], &arguments.learn.run)?;
    let held_out = parts.measured()?;
    let started = Instant::now();
    let wholes = wholes(arguments, &base.name, &parts, held_out)?;
    let draws = (arguments.figures.draws as usize, arguments.learn.run.seed);
    let at_start = wholes.iter().filter(|whole| whole.is_start);
    let about = About {
        draws: draws.0,
        learned_s: started.elapsed().as_secs_f64(),
        at_start: at_start.map(|whole| whole.set.name.clone()).collect(),
        ..About::of(&parts, held_out)
    };
    let indexed = Indexed::of(&wholes, held_out.people(), draws)?;
    let sets: Vec<Set> = wholes.into_iter().map(|whole| whole.set).collect();
    let rows = compare(&sets, (held_out, &parts.watched), draws);
    out::print(&match arguments.figures.json {
        true => {
            let mut all = table::json(&about, &rows, &FIGURES);
            all["index"] = indexed.json();
            serde_json::to_string_pretty(&all)? + "\n"
        }
        false => format!(
            "{}{}",
            table::text(&about, &rows, &FIGURES)?,
            indexed.text()?
        ),
    })?;
    Ok(Exit::Success)
}

/// The original first.
fn wholes(
    arguments: &EvalHeadArgs,
    base: &str,
    parts: &Parts,
    held_out: &Samples,
) -> Result<Vec<Whole>> {
    type Made = Result<Vec<Vec<f32>>>;
    let whole = |name: &str, make: &dyn Fn(&Samples) -> Made| -> Result<Whole> {
        Ok(Whole {
            set: Set {
                name: name.to_owned(),
                held_out: make(held_out)?,
                watched: make(&parts.watched)?,
            },
            learned: make(&parts.learned)?,
            is_start: false,
        })
    };
    let plain = |samples: &Samples| -> Made { Ok(samples.rows().map(<[f32]>::to_vec).collect()) };
    let mut wholes = vec![whole(base, &plain)?];
    let losses = [
        ("quadruplet", Loss::Quadruplet),
        ("triplet", Loss::Triplet),
        ("contrastive", Loss::Contrastive),
    ];
    let dim = parts.learned.size();
    for (name, loss) in losses {
        let (shape, settings) = head::wanted(&arguments.learn, dim, loss);
        let learned = learn(shape, settings, parts, None)?;
        eprintln!("{name}: {}", learned.told);
        let made = |samples: &Samples| -> Made { Ok(learned.model.vectors(samples)?) };
        wholes.push(Whole {
            is_start: learned.is_start,
            ..whole(&format!("head, {name}"), &made)?
        });
    }
    let size = arguments.learn.size;
    let mut chance = Chance::new(arguments.learn.run.seed);
    let random = random_projection(dim, size, &mut chance);
    let directions = principal(&parts.learned, size)?;
    for (name, directions) in [
        ("principal directions", directions),
        ("random directions", random),
    ] {
        wholes.push(whole(name, &|samples| Ok(projected(samples, &directions)))?);
    }
    Ok(wholes)
}

fn projected(samples: &Samples, directions: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let along = |row: &[f32], direction: &[f32]| -> f32 {
        row.iter().zip(direction).map(|(a, b)| a * b).sum()
    };
    let rows = samples.rows().map(|row| {
        let mut made: Vec<f32> = directions.iter().map(|it| along(row, it)).collect();
        normalise(&mut made);
        made
    });
    rows.collect()
}
