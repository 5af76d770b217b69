//! Which curves are drawn of a comparison.

use super::curve::{front, speed_at};
use super::report::{GOALS, Grown};
use super::svg::{Axis, Plot, Series, draw};
use super::sweep::Outcome;

/// Below this an answer is of no use, and no point is drawn.
const LEAST_RECALL: f64 = 0.5;

/// Speed over recall, one plot for each `k`, of each system's front.
pub fn curves(name: &str, outcome: &Outcome, ks: &[usize]) -> String {
    let panels: Vec<(usize, String, Vec<Series>)> = ks
        .iter()
        .map(|k| {
            let series = outcome.systems.iter().map(|system| Series {
                name: system.label.clone(),
                points: front(&system.spots(*k))
                    .iter()
                    .filter(|spot| spot.recall >= LEAST_RECALL)
                    .map(|spot| (spot.recall, spot.qps))
                    .collect(),
            });
            (*k, format!("{name}, k = {k}"), series.collect())
        })
        .collect();
    let axes: Vec<String> = panels.iter().map(|(k, ..)| format!("recall@{k}")).collect();
    let plots: Vec<Plot<'_>> = panels
        .iter()
        .zip(&axes)
        .map(|((_, title, series), axis)| Plot {
            title,
            x: (axis, Axis::Recall),
            y: "queries per second of CPU, one core",
            series,
        })
        .collect();
    draw(&plots)
}

/// Speed over the number of vectors, one plot for each compared recall.
pub fn growth(sizes: &[Grown], k: usize) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for system in sizes.iter().flat_map(|size| &size.outcome.systems) {
        if !labels.contains(&system.label.as_str()) {
            labels.push(&system.label);
        }
    }
    let panels: Vec<(String, Vec<Series>)> = GOALS[1..]
        .iter()
        .map(|goal| {
            let series = labels.iter().map(|label| Series {
                name: (*label).to_owned(),
                points: sizes
                    .iter()
                    .filter_map(|size| {
                        let mut systems = size.outcome.systems.iter();
                        let system = systems.find(|system| system.label == *label)?;
                        let qps = speed_at(*goal, &system.spots(k)).qps()?;
                        Some((size.n as f64, qps))
                    })
                    .collect(),
            });
            (format!("at recall@{k} of {goal}"), series.collect())
        })
        .collect();
    let plots: Vec<Plot<'_>> = panels
        .iter()
        .map(|(title, series)| Plot {
            title,
            x: ("vectors", Axis::Log),
            y: "queries per second of CPU, one core",
            series,
        })
        .collect();
    draw(&plots)
}
