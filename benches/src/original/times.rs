//! Query time over the number of vectors, as the original plotted it: one plot of uniform vectors of
//! 128 numbers, one of face-like ones of 512.

use std::io::Write;

use anyhow::Result;

use crate::ann::catalogue::Choice;
use crate::ann::clock::median;
use crate::ann::dataset::{DataArguments, Dataset};
use crate::ann::svg::{Axis, Plot, Series, draw};
use crate::ann::system::{Ask, System};
use crate::ann::venv::Venv;

/// What is drawn.
pub const SYSTEMS: [(&str, &str); 5] = [
    ("KDTree", "kdtree"),
    ("BallTree", "balltree"),
    ("nmslib", "nmslib"),
    ("hnswlib", "hnswlib"),
    ("doppel", "doppel"),
];
const K: usize = 10;

/// Median CPU time of a query in microseconds by the number of vectors, one line a system.
///
/// # Errors
/// The data cannot be made. A system that fails is named, and its line ends there.
pub fn series(
    data: &DataArguments,
    sizes: &[usize],
    (core, rounds): (usize, usize),
    venv: &mut Venv,
) -> Result<Vec<Series>> {
    let mut all: Vec<Series> = SYSTEMS
        .iter()
        .map(|(name, _)| Series {
            name: (*name).to_owned(),
            points: Vec::new(),
        })
        .collect();
    for n in sizes {
        let data = DataArguments {
            n: Some(*n),
            ..data.clone()
        };
        let data = Dataset::prepare(&data, K)?;
        for (line, (name, system)) in all.iter_mut().zip(SYSTEMS) {
            eprintln!("{}: {name}", data.name);
            match time_us(system, &data, (core, rounds), venv) {
                Ok(us) => line.points.push((*n as f64, us)),
                Err(why) => eprintln!("{name} left out: {why:#}"),
            }
        }
    }
    Ok(all)
}

fn time_us(
    system: &str,
    data: &Dataset,
    (core, rounds): (usize, usize),
    venv: &mut Venv,
) -> Result<f64> {
    let choice = Choice::parse(system)?;
    let (mut system, _) = System::build(&choice, data, core, venv)?;
    let ask = Ask {
        k: K,
        param: 0,
        queries: data.queries.len(),
        want_ids: false,
    };
    let mut times = Vec::new();
    for _ in 0..rounds.max(1) {
        let pass = system.search(data, core, ask)?;
        times.push(pass.cpu_s / pass.queries as f64 * 1e6);
    }
    Ok(median(times))
}

/// The table of one plot.
///
/// # Errors
/// The output is gone.
pub fn table(out: &mut impl Write, title: &str, sizes: &[usize], lines: &[Series]) -> Result<()> {
    writeln!(out, "{title}, us a query at k = {K}\n")?;
    let names = lines.iter().map(|line| format!(" {} |", line.name));
    writeln!(out, "| vectors |{}", names.collect::<String>())?;
    writeln!(out, "| --: |{}", " --: |".repeat(lines.len()))?;
    for n in sizes {
        let cell = |line: &Series| {
            let mut points = line.points.iter();
            let point = points.find(|point| (point.0 - *n as f64).abs() < 0.5);
            point.map_or(" - |".to_owned(), |(_, us)| format!(" {us:.1} |"))
        };
        writeln!(out, "| {n} |{}", lines.iter().map(cell).collect::<String>())?;
    }
    writeln!(out)?;
    Ok(())
}

/// The plots below each other.
pub fn picture(panels: &[(String, Vec<Series>)]) -> String {
    let plots: Vec<Plot<'_>> = panels
        .iter()
        .map(|(title, series)| Plot {
            title,
            x: ("vectors", Axis::Log),
            y: "us a query, one core",
            series,
        })
        .collect();
    draw(&plots)
}
