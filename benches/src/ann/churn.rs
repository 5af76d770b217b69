//! What is left of an index after half of it was deleted and put back, again and again.
//!
//! The vectors after a round are those before it, so a fresh build (round 0) is what every round is
//! compared with, at one search parameter. While half is gone, the answers are judged by the exact
//! neighbours among those that are left.

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::dataset::Dataset;
use super::random::Random;
use super::recall::judge;
use super::system::{Ask, Built, System};
use super::table::Table;
use super::truth::exact;

/// Which half is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Any vectors.
    Random,
    /// All photos of half of the identities: whole regions of the graph go.
    Clusters,
}

impl Pattern {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Clusters => "clusters",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct ChurnPlan {
    /// The core that everything runs on.
    pub core: usize,
    /// Neighbours asked for.
    pub k: usize,
    /// The search parameter, the same in all rounds.
    pub param: usize,
    /// Deletions and re-insertions.
    pub rounds: usize,
    /// Where the choices come from.
    pub seed: u64,
}

/// A system's state after a round; round 0 is the fresh build.
#[derive(Debug, Clone)]
pub struct Round {
    /// From 0.
    pub number: usize,
    /// Share of the true neighbours found, with everything back.
    pub recall: f64,
    /// The same with half gone; none in round 0.
    pub recall_half: Option<f64>,
    /// Queries per second of CPU, with everything back.
    pub qps_cpu: f64,
    /// The same with half gone.
    pub qps_cpu_half: Option<f64>,
    /// Size of the index over the number of vectors.
    pub bytes_per_vector: f64,
    /// CPU seconds of the deletions.
    pub remove_cpu_s: f64,
    /// CPU seconds of the insertions; of the build in round 0.
    pub insert_cpu_s: f64,
    /// What the index finds broken in itself, if it can tell.
    pub violations: Option<usize>,
}

impl Round {
    /// For programs.
    pub fn json(&self, system: &str, pattern: Pattern, data: &Dataset, plan: &ChurnPlan) -> Value {
        json!({
            "churn": system,
            "pattern": pattern.name(),
            "round": self.number,
            "k": plan.k,
            "param": plan.param,
            "recall": self.recall,
            "recall_half": self.recall_half,
            "qps_cpu": self.qps_cpu,
            "qps_cpu_half": self.qps_cpu_half,
            "bytes_per_vector": self.bytes_per_vector,
            "remove_cpu_s": self.remove_cpu_s,
            "insert_cpu_s": self.insert_cpu_s,
            "violations": self.violations,
            "data": data.name,
        })
    }
}

/// One round: what goes, in which order it comes back, and the truth while it is gone.
pub struct Step {
    removed: Vec<u32>,
    inserted: Vec<u32>,
    truth_half: Table<u32>,
}

/// Decides all rounds once, for all systems alike.
///
/// # Errors
/// Nobody's photo is known, so there are no clusters.
pub fn steps(data: &Dataset, pattern: Pattern, plan: &ChurnPlan) -> Result<Vec<Step>> {
    let mut random = Random::new(plan.seed);
    let step = |_| {
        let removed = half(data, pattern, &mut random)?;
        let order = random.order(removed.len());
        let mut gone = vec![false; data.base.len()];
        removed.iter().for_each(|row| gone[*row as usize] = true);
        let live = |row: usize| !gone[row];
        Ok(Step {
            inserted: order.iter().map(|at| removed[*at]).collect(),
            truth_half: exact(&data.base, &data.queries, data.metric, plan.k, live)?,
            removed,
        })
    };
    (0..plan.rounds).map(step).collect()
}

fn half(data: &Dataset, pattern: Pattern, random: &mut Random) -> Result<Vec<u32>> {
    let n = data.base.len();
    let rows = 0..u32::try_from(n)?;
    if pattern == Pattern::Random {
        let order = random.order(n);
        let chosen = order.iter().take(n / 2);
        return chosen.map(|at| Ok(u32::try_from(*at)?)).collect();
    }
    let Some(people) = data.identities.iter().max().map(|last| *last as usize + 1) else {
        bail!("whose photo each vector is, is not known: only made faces have clusters");
    };
    let mut photos = vec![0; people];
    data.identities
        .iter()
        .for_each(|person| photos[*person as usize] += 1);
    let mut chosen = vec![false; people];
    let mut count = 0;
    for person in random.order(people) {
        if count < n / 2 {
            chosen[person] = true;
            count += photos[person];
        }
    }
    let whose = rows.zip(&data.identities);
    let gone = whose.filter(|(_, person)| chosen[**person as usize]);
    Ok(gone.map(|(row, _)| row).collect())
}

/// Goes through all rounds with one system; `told` hears of each.
///
/// # Errors
/// It cannot delete or insert.
pub fn run(
    system: &mut System,
    built: &Built,
    steps: &[Step],
    data: &Dataset,
    plan: &ChurnPlan,
    mut told: impl FnMut(&Round) -> Result<()>,
) -> Result<()> {
    let n = data.base.len() as f64;
    let (recall, qps_cpu) = measure(system, data, &data.truth, plan)?;
    told(&Round {
        number: 0,
        recall,
        recall_half: None,
        qps_cpu,
        qps_cpu_half: None,
        bytes_per_vector: built.bytes_per_vector,
        remove_cpu_s: 0.0,
        insert_cpu_s: built.cpu_s,
        violations: system.violations(),
    })?;
    for (number, step) in (1..).zip(steps) {
        let remove_cpu_s = system.remove(plan.core, &step.removed)?;
        let (recall_half, qps_cpu_half) = measure(system, data, &step.truth_half, plan)?;
        let insert_cpu_s = system.insert(data, plan.core, &step.inserted)?;
        let (recall, qps_cpu) = measure(system, data, &data.truth, plan)?;
        told(&Round {
            number,
            recall,
            recall_half: Some(recall_half),
            qps_cpu,
            qps_cpu_half: Some(qps_cpu_half),
            bytes_per_vector: system.bytes()? as f64 / n,
            remove_cpu_s,
            insert_cpu_s,
            violations: system.violations(),
        })?;
    }
    Ok(())
}

fn measure(
    system: &mut System,
    data: &Dataset,
    truth: &Table<u32>,
    plan: &ChurnPlan,
) -> Result<(f64, f64)> {
    let ask = Ask {
        k: plan.k,
        param: plan.param,
        queries: data.queries.len(),
        want_ids: true,
    };
    let pass = system.search(data, plan.core, ask)?;
    let Some(ids) = &pass.ids else {
        bail!("no answers");
    };
    let recall = judge(ids, truth, plan.k, data).recall;
    Ok((recall, pass.queries as f64 / pass.cpu_s.max(1e-9)))
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Choice;
    use super::super::clock::last_core;
    use super::super::generator::{Shape, generate};
    use super::super::truth::Metric;
    use super::super::venv::Venv;
    use super::*;

    fn faces(n: usize) -> Dataset {
        let made = generate(Shape::Faces, n, 24, 30, 11).unwrap();
        let truth = exact(&made.base, &made.queries, Metric::Cosine, 10, |_| true).unwrap();
        Dataset {
            name: "faces".to_owned(),
            metric: Metric::Cosine,
            base: made.base,
            queries: made.queries,
            truth,
            identities: made.identities,
            dir: std::path::PathBuf::new(),
        }
    }

    fn plan() -> ChurnPlan {
        ChurnPlan {
            core: last_core().unwrap(),
            k: 10,
            param: 100,
            rounds: 2,
            seed: 5,
        }
    }

    #[test]
    fn half_of_all_goes_and_clusters_go_whole() {
        let data = faces(600);
        for pattern in [Pattern::Random, Pattern::Clusters] {
            for step in steps(&data, pattern, &plan()).unwrap() {
                assert!((300..330).contains(&step.removed.len()));
                let (mut gone, mut back) = (step.removed.clone(), step.inserted);
                gone.sort_unstable();
                back.sort_unstable();
                assert_eq!(gone, back);
                let in_truth = |row: &u32| step.truth_half.values().contains(row);
                assert!(!gone.iter().any(in_truth));
                let identity = |row: &u32| data.identities[*row as usize];
                let people: Vec<u32> = gone.iter().map(identity).collect();
                let rows = 0..600u32;
                let split =
                    rows.filter(|row| people.contains(&identity(row)) && !gone.contains(row));
                assert_eq!(split.count() > 0, pattern == Pattern::Random);
            }
        }
    }

    #[test]
    fn ours_goes_through_the_rounds_and_keeps_its_promises() {
        let (data, plan) = (faces(600), plan());
        let steps = steps(&data, Pattern::Clusters, &plan).unwrap();
        let choice = Choice::parse("doppel").unwrap();
        let mut venv = Venv::new(std::path::PathBuf::new(), String::new());
        let (mut system, built) = System::build(&choice, &data, plan.core, &mut venv).unwrap();
        let mut rounds = Vec::new();
        run(&mut system, &built, &steps, &data, &plan, |round| {
            rounds.push(round.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(rounds.len(), 3);
        for round in rounds {
            assert!(round.recall > 0.95, "{round:?}");
            assert!(
                round.recall_half.is_none_or(|recall| recall > 0.95),
                "{round:?}"
            );
            assert_eq!(round.violations, Some(0));
        }
    }
}
