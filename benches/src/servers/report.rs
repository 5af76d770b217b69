//! What was measured of servers, as tables and plots.

use std::io::Write;

use anyhow::Result;

use super::measure::{BATCHES, CONNECTIONS, Measured, RECALLS, SPARE, Searched};
use crate::ann::svg::{Axis, Plot, Series, draw};

/// All tables.
///
/// # Errors
/// The output is gone.
pub fn print(out: &mut impl Write, all: &[Measured]) -> Result<()> {
    searches(out, all)?;
    inserts(out, all)?;
    state(out, all)
}

/// A system's loads at the least recall that is wanted or more, and whether it has any.
fn at(one: &Measured, place: usize) -> &[Searched] {
    let start = place * CONNECTIONS.len();
    one.searches
        .get(start..start + CONNECTIONS.len())
        .unwrap_or_default()
}

fn searches(out: &mut impl Write, all: &[Measured]) -> Result<()> {
    for (place, wanted) in RECALLS.iter().enumerate() {
        writeln!(
            out,
            "Searches a second at recall@10 of {wanted} or more, by connections (in process: threads); \
             p50 / p99 in ms\n"
        )?;
        let heads = CONNECTIONS.map(|n| format!(" {n} | p50 / p99 |"));
        writeln!(out, "| | recall | `ef` |{}", heads.concat())?;
        writeln!(
            out,
            "| --- | --: | --: |{}",
            " --: | --: |".repeat(CONNECTIONS.len())
        )?;
        for one in all {
            let loads = at(one, place);
            let Some(first) = loads.first() else {
                writeln!(
                    out,
                    "| {} | not reached | |{}",
                    one.name,
                    " | |".repeat(CONNECTIONS.len())
                )?;
                continue;
            };
            let cell = |load: &Searched| {
                let (rate, p50, p99) = (load.per_second, load.p50_ms, load.p99_ms);
                format!(" {rate:.0} | {p50:.2} / {p99:.2} |")
            };
            let cells: String = loads.iter().map(cell).collect();
            writeln!(
                out,
                "| {} | {:.4} | {} |{cells}",
                one.name, first.recall, first.ef
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn inserts(out: &mut impl Write, all: &[Measured]) -> Result<()> {
    writeln!(
        out,
        "Points inserted a second, by points a request and connections; p99 in ms\n"
    )?;
    let heads = BATCHES.map(|(batch, connections)| match connections {
        1 => format!(" {batch} |"),
        _ => format!(" {batch}, {connections} connections |"),
    });
    writeln!(out, "| |{} when answered |", heads.concat())?;
    writeln!(out, "| --- |{} --- |", " --: |".repeat(BATCHES.len()))?;
    for one in all {
        let cells = BATCHES.map(|wanted| {
            let mut loads = one.inserts.iter();
            let load = loads.find(|load| (load.batch, load.connections) == wanted);
            load.map_or(" - |".to_owned(), |load| {
                format!(" {:.0} ({:.1}) |", load.per_second, load.p99_ms)
            })
        });
        writeln!(out, "| {} |{} {} |", one.name, cells.concat(), one.promise)?;
    }
    writeln!(out)?;
    Ok(())
}

fn state(out: &mut impl Write, all: &[Measured]) -> Result<()> {
    writeln!(
        out,
        "| | all taken, s | all in the index, s | memory MB | disk MB | ready after a stop, s | after a kill, s | after a kill behind {}, s | first answer from nothing, s |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: |",
        format_args!("{} inserts", SPARE * BATCHES.len())
    )?;
    for one in all {
        let cell = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |it| format!("{it:.2}"));
        let killed = cell(one.ready_after_kill_s);
        let written = cell(one.ready_after_writes_s);
        writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.0} | {:.0} | {:.2} | {killed} | {written} | {:.2} |",
            one.name,
            one.taken_s,
            one.fill_s,
            one.memory_mb,
            one.disk_mb,
            one.ready_after_stop_s,
            one.first_answer_s
        )?;
    }
    writeln!(out)?;
    Ok(())
}

/// Searches a second over connections, one plot for each recall.
pub fn picture(all: &[Measured]) -> String {
    let panels = RECALLS.iter().enumerate().map(|(place, wanted)| {
        let series = all.iter().filter(|one| !at(one, place).is_empty());
        let series = series.map(|one| Series {
            name: one.name.clone(),
            points: at(one, place)
                .iter()
                .map(|load| (load.connections as f64, load.per_second))
                .collect(),
        });
        let title = format!("recall@10 of {wanted} or more");
        (title, series.collect::<Vec<_>>())
    });
    let panels: Vec<_> = panels.collect();
    let plots: Vec<Plot<'_>> = panels
        .iter()
        .map(|(title, series)| Plot {
            title,
            x: ("connections", Axis::Log),
            y: "searches a second",
            series,
        })
        .collect();
    draw(&plots)
}
