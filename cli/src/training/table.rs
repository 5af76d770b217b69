//! Figures of sets of vectors, for people and as JSON.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};
use train::{FIGURES, Figure, Measured, Row, Samples};

use super::people::Parts;

/// Who was learned from and measured, and how.
pub(crate) struct About {
    /// People and samples: learned from, watched, held out.
    pub(crate) counts: [(usize, usize); 3],
    pub(crate) learned_s: f64,
    /// Times that people were drawn.
    pub(crate) draws: usize,
    /// Rows of networks that are as they began.
    pub(crate) at_start: Vec<String>,
}

impl About {
    pub(crate) fn of(parts: &Parts, held_out: &Samples) -> Self {
        let counts = [&parts.learned, &parts.watched, held_out];
        let counts = counts.map(|samples| (samples.by_person().len(), samples.len()));
        Self {
            counts,
            learned_s: 0.0,
            draws: 0,
            at_start: Vec::new(),
        }
    }
}

fn title(figure: Figure) -> &'static str {
    match figure {
        Figure::RankOne => "rank-1",
        Figure::Verification => "verification",
        Figure::MatchedAtThousandth => "TAR at FAR 1e-3",
        Figure::RecallAtTen => "recall@10",
    }
}

/// Of all that is measured of a row, those that are told.
fn of(all: &[Measured; 4], figures: &[Figure]) -> Vec<Measured> {
    let measured = FIGURES.iter().zip(all);
    let told = measured.filter(|(figure, _)| figures.contains(figure));
    told.map(|(_, it)| *it).collect()
}

pub(crate) fn text(about: &About, rows: &[Row], figures: &[Figure]) -> Result<String> {
    let mut text = String::new();
    let words = ["learned from", "watched", "held out"];
    let counts = words.iter().zip(about.counts);
    let counts =
        counts.map(|(word, (people, photos))| format!("{people} people {word} ({photos} faces)"));
    let counts: Vec<String> = counts.collect();
    writeln!(
        text,
        "{}; learned in {:.0} s",
        counts.join(", "),
        about.learned_s
    )?;
    let titles = figures.iter().map(|it| format!("{:>28}", title(*it)));
    let titles: String = titles.collect();
    writeln!(text, "\n{:<22}{:>6}{titles}", "of those held out", "size")?;
    let line = |row: &Row, all: &[Measured; 4], signed: bool| {
        let cells = of(all, figures).into_iter();
        let cells: String = cells
            .map(|it| format!("{:>28}", told(it, signed)))
            .collect();
        format!("{:<22}{:>6}{cells}", row.name, row.dim)
    };
    for row in rows {
        writeln!(text, "{}", line(row, &row.figures, false))?;
    }
    let Some((first, others)) = rows.split_first() else {
        return Ok(text);
    };
    writeln!(text, "\nless {}", first.name)?;
    for row in others {
        writeln!(text, "{}", line(row, &row.differences, true))?;
    }
    if !about.at_start.is_empty() {
        writeln!(
            text,
            "\nNo epoch was better than the start, so what was measured has learned nothing: {}.",
            about.at_start.join("; ")
        )?;
    }
    write!(
        text,
        "\nIn brackets: the middle 95 % of {} draws of people.",
        about.draws
    )?;
    if figures.contains(&Figure::RecallAtTen) {
        text.push_str(
            " Recall: of the first row's ten nearest,\nby looking at all vectors held out.",
        );
    }
    text.push('\n');
    Ok(text)
}

pub(crate) fn told(it: Measured, signed: bool) -> String {
    match signed {
        true => format!("{:+.4} [{:+.4}, {:+.4}]", it.value, it.low, it.high),
        false => format!("{:.4} [{:.4}, {:.4}]", it.value, it.low, it.high),
    }
}

pub(crate) fn measured(it: Measured) -> Value {
    json!({"value": it.value, "low": it.low, "high": it.high})
}

pub(crate) fn json(about: &About, rows: &[Row], figures: &[Figure]) -> Value {
    let all = |all: &[Measured; 4]| -> Value {
        let told = figures.iter().zip(of(all, figures));
        let told = told.map(|(figure, it)| (title(*figure).to_owned(), measured(it)));
        Value::Object(told.collect())
    };
    let rows = rows.iter().map(|row| {
        json!({
            "name": row.name, "size": row.dim,
            "figures": all(&row.figures), "differences": all(&row.differences),
        })
    });
    let [learned, watched, held_out] = about
        .counts
        .map(|(people, faces)| json!({"people": people, "faces": faces}));
    json!({
        "learned_from": learned, "watched": watched, "held_out": held_out,
        "learned_s": about.learned_s, "draws": about.draws, "at_start": about.at_start,
        "rows": rows.collect::<Vec<_>>(),
    })
}
