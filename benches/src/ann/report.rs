//! What was measured, for people as tables and for programs as JSON lines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::curve::{Speed, Spot, speed_at};
use super::dataset::Dataset;
use super::sweep::{Measured, Outcome, Point};

/// Recalls at which speeds are compared.
pub const GOALS: [f64; 4] = [0.90, 0.95, 0.99, 0.999];
/// What others are measured against.
const REFERENCE: &str = "hnswlib";

impl Measured {
    /// The curve for a `k`.
    pub fn spots(&self, k: usize) -> Vec<Spot> {
        let points = self.points.iter().filter(|point| point.k == k);
        let spot = points.map(|point| Spot {
            recall: point.recall,
            qps: point.qps_cpu,
        });
        spot.collect()
    }
}

/// A point as one line, in this order.
#[derive(Serialize)]
struct Line<'a> {
    system: &'a str,
    k: usize,
    param: usize,
    recall: f64,
    qps_cpu: f64,
    qps_wall: f64,
    p99_us: f64,
    build_cpu_s: f64,
    bytes_per_vector: f64,
    bytes_are: &'a str,
    rss_per_vector: Option<f64>,
    build_wall_s: f64,
    mean_us: f64,
    distances: Option<f64>,
    empty_handed: usize,
    queries: usize,
    data: &'a str,
    metric: &'static str,
    n: usize,
    dim: usize,
}

impl<'a> Line<'a> {
    fn new(data: &'a Dataset, system: &'a Measured, point: &Point) -> Self {
        Self {
            system: &system.label,
            k: point.k,
            param: point.param,
            recall: point.recall,
            qps_cpu: point.qps_cpu,
            qps_wall: point.qps_wall,
            p99_us: point.p99_us,
            build_cpu_s: system.built.cpu_s,
            bytes_per_vector: system.built.bytes_per_vector,
            bytes_are: &system.built.bytes_are,
            rss_per_vector: system.built.rss_per_vector,
            build_wall_s: system.built.wall_s,
            mean_us: point.mean_us,
            distances: point.distances,
            empty_handed: point.empty_handed,
            queries: point.queries,
            data: &data.name,
            metric: data.metric.name(),
            n: data.base.len(),
            dim: data.base.width(),
        }
    }
}

/// One JSON object a point, one a system that was skipped.
///
/// # Errors
/// `out` cannot be written.
pub fn json_lines(out: &mut impl Write, data: &Dataset, outcome: &Outcome) -> io::Result<()> {
    for system in &outcome.systems {
        for point in &system.points {
            let line = Line::new(data, system, point);
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
    }
    for (system, why) in &outcome.skipped {
        writeln!(
            out,
            "{}",
            json!({"system": system, "skipped": why, "data": data.name})
        )?;
    }
    Ok(())
}

/// Every point, and for each `k` the speeds at the compared recalls.
///
/// # Errors
/// `out` cannot be written.
pub fn tables(
    out: &mut impl Write,
    data: &Dataset,
    outcome: &Outcome,
    ks: &[usize],
) -> io::Result<()> {
    writeln!(
        out,
        "\n{}: {} vectors of {}, {} queries; one core, queries per second of CPU",
        data.name,
        data.base.len(),
        data.base.width(),
        data.queries.len()
    )?;
    for system in &outcome.systems {
        writeln!(
            out,
            "\n{:<24} {:>4} {:>7} {:>8} {:>6} {:>10} {:>10} {:>9} {:>9} {:>9}",
            system.label,
            "k",
            "param",
            "recall",
            "empty",
            "qps cpu",
            "qps wall",
            "mean us",
            "p99 us",
            "distances"
        )?;
        for point in &system.points {
            writeln!(
                out,
                "{:<24} {:>4} {:>7} {:>8.4} {:>6} {:>10.0} {:>10.0} {:>9.1} {:>9.1} {:>9}",
                "",
                point.k,
                point.param,
                point.recall,
                point.empty_handed,
                point.qps_cpu,
                point.qps_wall,
                point.mean_us,
                point.p99_us,
                point
                    .distances
                    .map_or("-".to_owned(), |d| format!("{d:.0}")),
            )?;
        }
    }
    for k in ks {
        summary(out, outcome, *k)?;
    }
    for (system, why) in &outcome.skipped {
        writeln!(out, "skipped: {system}: {why}")?;
    }
    Ok(())
}

/// Speeds at the compared recalls and, below each other, their ratios to the reference.
fn summary(out: &mut impl Write, outcome: &Outcome, k: usize) -> io::Result<()> {
    write!(out, "\n{:<24}", format!("recall@{k}"))?;
    for goal in GOALS {
        write!(out, " {goal:>18}")?;
    }
    writeln!(out, " {:>9} {:>9} {:>9}", "build s", "B/vector", "size is")?;
    let reference = outcome.systems.iter().find(|one| one.label == REFERENCE);
    let reference = reference.map(|one| one.spots(k));
    for system in &outcome.systems {
        let spots = system.spots(k);
        write!(out, "{:<24}", system.label)?;
        for goal in GOALS {
            let than = reference.as_ref().map(|spots| speed_at(goal, spots));
            write!(out, " {:>18}", cell(speed_at(goal, &spots), than))?;
        }
        let built = &system.built;
        writeln!(
            out,
            " {:>9.1} {:>9.0} {:>9}",
            built.cpu_s, built.bytes_per_vector, built.bytes_are
        )?;
    }
    Ok(())
}

/// A speed, and how many times the reference's it is. The ratio needs both.
fn cell(speed: Speed, reference: Option<Speed>) -> String {
    let text = match speed {
        Speed::At(qps) => format!("{qps:.0}"),
        Speed::AtLeast(qps) => format!(">={qps:.0}"),
        Speed::Unreached => return "-".to_owned(),
    };
    match (speed.qps(), reference.and_then(Speed::qps)) {
        (Some(qps), Some(than)) => format!("{text} ({:.2}x)", qps / than),
        _ => text,
    }
}

/// One size of the base in a growth run.
pub struct Grown {
    /// Vectors.
    pub n: usize,
    /// What was measured there.
    pub outcome: Outcome,
}

/// Speeds and builds by the number of vectors, one line a system and size.
///
/// # Errors
/// `out` cannot be written.
pub fn growth_table(out: &mut impl Write, sizes: &[Grown], k: usize) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<24} {:>9} {:>14} {:>14} {:>14} {:>12} {:>9}",
        format!("recall@{k}"),
        "n",
        GOALS[1],
        GOALS[2],
        GOALS[3],
        "build CPU s",
        "B/vector"
    )?;
    for size in sizes {
        for system in &size.outcome.systems {
            let spots = system.spots(k);
            write!(out, "{:<24} {:>9}", system.label, size.n)?;
            for goal in &GOALS[1..] {
                write!(out, " {:>14}", cell(speed_at(*goal, &spots), None))?;
            }
            let built = &system.built;
            writeln!(
                out,
                " {:>12.1} {:>9.0}",
                built.cpu_s, built.bytes_per_vector
            )?;
        }
    }
    Ok(())
}

/// The growth table for programs.
///
/// # Errors
/// `out` cannot be written.
pub fn growth_lines(out: &mut impl Write, sizes: &[Grown], k: usize) -> io::Result<()> {
    for size in sizes {
        for system in &size.outcome.systems {
            let spots = system.spots(k);
            let at = |goal: f64| -> Value { speed_at(goal, &spots).qps().into() };
            let line = json!({
                "growth": system.label,
                "k": k,
                "n": size.n,
                "qps_cpu_at": {"0.95": at(0.95), "0.99": at(0.99), "0.999": at(0.999)},
                "build_cpu_s": system.built.cpu_s,
                "bytes_per_vector": system.built.bytes_per_vector,
            });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_is_known_and_the_ratio_only_of_two_speeds() {
        assert_eq!(cell(Speed::At(100.0), Some(Speed::At(50.0))), "100 (2.00x)");
        assert_eq!(cell(Speed::AtLeast(9.6), None), ">=10");
        assert_eq!(cell(Speed::At(5.0), Some(Speed::Unreached)), "5");
        assert_eq!(cell(Speed::Unreached, Some(Speed::At(1.0))), "-");
    }
}
