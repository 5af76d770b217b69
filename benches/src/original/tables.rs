//! The quality tables: every system as it comes, over one data set, for each number of neighbours
//! that the original asked for.
//!
//! Systems are built and asked one after another on one core. Each cell is asked for several times,
//! of which the median time counts; a pass that takes seconds is not repeated.

use std::io::Write;

use anyhow::{Context, Result};

use super::published::{KS, ROWS, Row};
use super::quality::{Places, Quality};
use crate::ann::catalogue::Choice;
use crate::ann::clock::median;
use crate::ann::dataset::Dataset;
use crate::ann::doppel::Doppel;
use crate::ann::system::{Ask, System};
use crate::ann::venv::Venv;

/// Stands for a system's own search parameter.
const AS_IT_COMES: usize = 0;
/// A pass that takes longer is not repeated.
const PATIENCE_S: f64 = 2.0;

/// What the rows are called, and which system it is.
const SYSTEMS: [(&str, &str); 7] = [
    ("scikit-learn KDTree", "kdtree"),
    ("scikit-learn BallTree", "balltree"),
    ("annoy, 10 trees", "annoy:trees=10"),
    ("nmslib HNSW", "nmslib"),
    ("hnswlib", "hnswlib"),
    ("faiss HNSW", "faiss-hnsw:M=32:ef_construction=40"),
    ("doppel", "doppel"),
];

/// Peers whose search parameter is also raised until they find what doppel is to find.
const RAISED: [&str; 2] = ["nmslib", "hnswlib"];
/// What doppel is asked for in its second row.
const TARGET_RECALL: f32 = 0.995;

/// Of the ten best, this many are enough where a parameter is raised.
const ENOUGH_OF_10: f64 = 9.9;

/// A row: its name, and for each of [`KS`] a quality and the CPU time of a query in microseconds.
struct Line {
    name: String,
    cells: Vec<(Quality, f64)>,
}

/// Measures all systems over one data set and prints the table; what cannot be had is named.
///
/// # Errors
/// The output is gone.
pub fn print(
    out: &mut impl Write,
    title: &str,
    data: &Dataset,
    core: usize,
    rounds: usize,
    venv: &mut Venv,
) -> Result<()> {
    let places = Places::of(data);
    writeln!(
        out,
        "**{title}**: {} vectors of {} numbers, {} queries\n\n\
         | chosen position / in 10 best / dcg | k = 1 | k = 5 | k = 10 | k = 100 | us a query at k = 1 | 10 | 100 |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: |",
        data.base.len(),
        data.base.width(),
        data.queries.len()
    )?;
    let mut skipped = Vec::new();
    for (name, system) in SYSTEMS {
        eprintln!("{title}: {name}");
        let lines = Choice::parse(system).and_then(|choice| {
            let (mut system, _) = System::build(&choice, data, core, venv)?;
            let mut measure = Measure {
                places: &places,
                data,
                core,
                rounds,
            };
            let settled = match &system {
                System::Doppel(doppel) => {
                    doppel.settle()?;
                    format!(" (settled on {})", measure.settled(doppel))
                }
                System::Peer(_) => String::new(),
            };
            let first = format!("{name}{settled}");
            let mut lines = vec![measure.line(&first, &mut system, &[AS_IT_COMES; 4])?];
            let raised = match &system {
                System::Doppel(doppel) => {
                    let efs = KS.map(|k| doppel.tuned(TARGET_RECALL, k));
                    let [a, b, c, d] = efs;
                    Some((format!("`target_recall` {TARGET_RECALL}"), [a?, b?, c?, d?]))
                }
                System::Peer(_) if RAISED.contains(&choice.kind.name) => {
                    let params = measure.enough(&choice, &mut system)?;
                    Some(("raised".to_owned(), params))
                }
                System::Peer(_) => None,
            };
            if let Some((how, params)) = raised {
                let told = params.map(|param| measure.told(param)).join(", ");
                let name = format!("{name}, {how} ({told})");
                lines.push(measure.line(&name, &mut system, &params)?);
            }
            Ok(lines)
        });
        match lines {
            Ok(lines) => lines.iter().try_for_each(|line| writeln!(out, "{line}"))?,
            Err(why) => skipped.push(format!("{name}: {why:#}")),
        }
        out.flush()?;
    }
    for row in &ROWS {
        writeln!(out, "{}", theirs(row))?;
    }
    writeln!(out)?;
    skipped
        .iter()
        .try_for_each(|why| writeln!(out, "Left out: {why}\n"))?;
    Ok(())
}

struct Measure<'a> {
    places: &'a Places<'a>,
    data: &'a Dataset,
    core: usize,
    rounds: usize,
}

impl Measure<'_> {
    fn told(&self, ef: usize) -> String {
        match ef >= self.data.base.len() {
            true => "a scan".to_owned(),
            false => format!("`ef` {ef}"),
        }
    }

    /// What searches that are given no `ef` go by.
    fn settled(&self, doppel: &Doppel) -> String {
        let all = self.data.base.len();
        let scanned = KS.into_iter().filter(|k| doppel.usual(*k) >= all);
        let scanned: Vec<String> = scanned.map(|k| k.to_string()).collect();
        let usual = self.told(doppel.usual(KS[0]));
        match scanned.len() {
            0 => usual,
            all if all == KS.len() => usual,
            _ => format!("{usual}, a scan for k = {}", scanned.join(", ")),
        }
    }

    fn line(&mut self, name: &str, system: &mut System, params: &[usize; 4]) -> Result<Line> {
        let cells = KS.into_iter().zip(params);
        let cells = cells.map(|(k, param)| self.cell(system, k, *param));
        Ok(Line {
            name: name.to_owned(),
            cells: cells.collect::<Result<_>>()?,
        })
    }

    fn cell(&mut self, system: &mut System, k: usize, param: usize) -> Result<(Quality, f64)> {
        let mut ask = self.ask(k, param);
        let first = system.search(self.data, self.core, ask)?;
        let answers = first.ids.as_ref().context("no answers came back")?;
        let quality = self.places.judge(answers);
        let mut times = vec![first.cpu_s];
        ask.want_ids = false;
        if first.wall_s < PATIENCE_S {
            times.clear();
            for _ in 0..self.rounds.max(1) {
                times.push(system.search(self.data, self.core, ask)?.cpu_s);
            }
        }
        let us = median(times) / self.data.queries.len() as f64 * 1e6;
        Ok((quality, us))
    }

    fn ask(&self, k: usize, param: usize) -> Ask {
        Ask {
            k,
            param,
            queries: self.data.queries.len(),
            want_ids: true,
        }
    }

    /// For each of [`KS`] the least parameter tried that finds enough of the best ten, or the last.
    fn enough(&mut self, choice: &Choice, system: &mut System) -> Result<[usize; 4]> {
        let mut params = [0; 4];
        for (k, chosen) in KS.into_iter().zip(&mut params) {
            for param in choice.sweep(k) {
                *chosen = param;
                let pass = system.search(self.data, self.core, self.ask(k, param))?;
                let found = pass
                    .ids
                    .map_or(0.0, |ids| self.places.judge(&ids).in_10_best);
                if found >= ENOUGH_OF_10 / 10.0 * k.min(10) as f64 {
                    break;
                }
            }
        }
        Ok(params)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "| {} |", self.name)?;
        for (quality, _) in &self.cells {
            write!(f, " {quality} |")?;
        }
        for ((_, us), k) in self.cells.iter().zip(KS) {
            match k {
                5 => {}
                _ if *us < 100.0 => write!(f, " {us:.1} |")?,
                _ => write!(f, " {us:.0} |")?,
            }
        }
        Ok(())
    }
}

/// A published row, which has no times.
fn theirs(row: &Row) -> String {
    let cells = row.cells.map(|cell| format!(" {cell} |")).concat();
    format!("| *published: {}* |{cells} | | |", row.name)
}
