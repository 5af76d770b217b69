//! The measurement itself: every system is built, then all are asked in turn, point by point and
//! round after round, so that whatever else the machine does hits all of them alike.
//!
//! The first round finds the recall and how far each sweep need go; its times count only where a
//! point takes too long to be repeated. What is reported is the median of the rounds after it.

use anyhow::Result;

use super::catalogue::Choice;
use super::clock::median;
use super::dataset::Dataset;
use super::recall::judge;
use super::system::{Ask, Built, Pass, System};
use super::venv::Venv;

/// How to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The core that everything runs on.
    pub core: usize,
    /// How many neighbours are asked for, each swept by itself.
    pub ks: Vec<usize>,
    /// Rounds after the first.
    pub rounds: usize,
    /// A sweep ends at the first point with this recall.
    pub enough_recall: f64,
    /// A point that took longer than this is not repeated, and ends its sweep.
    pub patience_s: f64,
}

/// One point of a system's curve.
#[derive(Debug, Clone)]
pub struct Point {
    /// Neighbours asked for.
    pub k: usize,
    /// The system's search parameter.
    pub param: usize,
    /// Share of the true neighbours found.
    pub recall: f64,
    /// Queries answered without any true neighbour.
    pub empty_handed: usize,
    /// Queries per second of CPU.
    pub qps_cpu: f64,
    /// Queries per second by the clock.
    pub qps_wall: f64,
    /// Mean time of one query.
    pub mean_us: f64,
    /// 99 of 100 queries took at most this long.
    pub p99_us: f64,
    /// Vectors compared for one query, where the system tells.
    pub distances: Option<f64>,
    /// Queries asked.
    pub queries: usize,
}

/// One system's build and curve.
pub struct Measured {
    /// As it was chosen.
    pub label: String,
    /// Its build.
    pub built: Built,
    /// By k, then by rising effort.
    pub points: Vec<Point>,
}

/// All systems; those that could not be measured, with the reason.
#[derive(Default)]
pub struct Outcome {
    /// Measured.
    pub systems: Vec<Measured>,
    /// Not measured, and why.
    pub skipped: Vec<(String, String)>,
}

struct Running {
    choice: Choice,
    system: System,
    built: Built,
    points: Vec<Passes>,
    failed: Option<String>,
}

/// One point's passes.
struct Passes {
    ask: Ask,
    recall: f64,
    empty_handed: usize,
    repeat: bool,
    passes: Vec<Pass>,
}

/// Builds and measures all systems on one data set.
pub fn compare(choices: &[Choice], data: &Dataset, plan: &Plan, venv: &mut Venv) -> Outcome {
    let mut outcome = Outcome::default();
    let mut running = Vec::new();
    for choice in choices {
        match System::build(choice, data, plan.core, venv) {
            Ok((system, built)) => {
                eprintln!("{}: built in {:.1} CPU s", choice.label, built.cpu_s);
                running.push(Running {
                    choice: choice.clone(),
                    system,
                    built,
                    points: Vec::new(),
                    failed: None,
                });
            }
            Err(why) => {
                eprintln!("{}: skipped: {why:#}", choice.label);
                outcome
                    .skipped
                    .push((choice.label.clone(), format!("{why:#}")));
            }
        }
    }
    for one in &mut running {
        let explored = one.explore(data, plan);
        one.note(explored);
        eprintln!("{}: {} points", one.choice.label, one.points.len());
    }
    for round in 1..=plan.rounds {
        let longest = running.iter().map(|one| one.points.len()).max();
        for at in 0..longest.unwrap_or(0) {
            for one in running.iter_mut().filter(|one| one.failed.is_none()) {
                let repeated = one.repeat(at, data, plan.core);
                one.note(repeated);
            }
        }
        eprintln!("round {round} of {} done", plan.rounds);
    }
    for one in running {
        match one.failed {
            Some(why) => outcome.skipped.push((one.choice.label, why)),
            None => outcome.systems.push(Measured {
                label: one.choice.label,
                built: one.built,
                points: one.points.iter().map(Passes::point).collect(),
            }),
        }
    }
    outcome
}

impl Running {
    fn note(&mut self, result: Result<()>) {
        if let Err(why) = result {
            eprintln!("{}: given up: {why:#}", self.choice.label);
            self.failed = Some(format!("{why:#}"));
        }
    }

    /// The first round: up the sweep until the recall is enough.
    fn explore(&mut self, data: &Dataset, plan: &Plan) -> Result<()> {
        for k in &plan.ks {
            for param in self.choice.sweep(*k) {
                let ask = Ask {
                    k: *k,
                    param,
                    queries: self.choice.kind.max_queries.min(data.queries.len()),
                    want_ids: true,
                };
                let mut pass = self.system.search(data, plan.core, ask)?;
                let Some(ids) = pass.ids.take() else {
                    continue;
                };
                let judged = judge(&ids, &data.truth, *k, data);
                let repeat = pass.wall_s <= plan.patience_s;
                self.points.push(Passes {
                    ask: Ask {
                        want_ids: false,
                        ..ask
                    },
                    recall: judged.recall,
                    empty_handed: judged.empty_handed,
                    repeat,
                    passes: vec![pass],
                });
                if judged.recall >= plan.enough_recall || !repeat {
                    break;
                }
            }
        }
        Ok(())
    }

    fn repeat(&mut self, at: usize, data: &Dataset, core: usize) -> Result<()> {
        if let Some(point) = self.points.get_mut(at).filter(|point| point.repeat) {
            let pass = self.system.search(data, core, point.ask)?;
            point.passes.push(pass);
        }
        Ok(())
    }
}

impl Passes {
    fn point(&self) -> Point {
        let counted = if self.passes.len() > 1 { 1 } else { 0 };
        let middle = |of: fn(&Pass) -> f64| {
            let passes = self.passes.iter().skip(counted);
            median(passes.map(of).collect())
        };
        Point {
            k: self.ask.k,
            param: self.ask.param,
            recall: self.recall,
            empty_handed: self.empty_handed,
            qps_cpu: middle(|pass| pass.queries as f64 / pass.cpu_s.max(1e-9)),
            qps_wall: middle(|pass| pass.queries as f64 / pass.wall_s.max(1e-9)),
            mean_us: middle(|pass| pass.mean_us),
            p99_us: middle(|pass| pass.p99_us),
            distances: self.passes.first().and_then(|pass| pass.distances),
            queries: self.passes.first().map_or(0, |pass| pass.queries),
        }
    }
}
