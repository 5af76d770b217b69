//! Figures of sets of vectors, for people and as JSON.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};
use train::{FIGURES, Figure, Measured, Row, Samples};

use super::people::Parts;

/// Who was learned from and measured.
pub(crate) struct About {
    /// People and samples: learned from, watched, held out.
    counts: [(usize, usize); 3],
    learned_s: f64,
}

impl About {
    pub(crate) fn new(parts: &Parts, held_out: &Samples, learned_s: f64) -> Self {
        let counts = [&parts.learned, &parts.watched, held_out];
        let counts = counts.map(|samples| (samples.by_person().len(), samples.len()));
        Self { counts, learned_s }
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
    text.push_str("\nIn brackets: the middle 95 of 100 draws of people.");
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
        "learned_s": about.learned_s, "rows": rows.collect::<Vec<_>>(),
    })
}
