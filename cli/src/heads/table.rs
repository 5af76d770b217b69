//! The figures of `doppel eval head`, for people and as JSON.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};
use train::{FIGURES, Figure, Measured, Row, Samples, Set, nearest};

use super::source::Parts;

/// Times that a scan is timed; the best counts.
const ROUNDS: usize = 5;

/// Who was learned from and measured.
pub(crate) struct About {
    /// People and vectors: learned from, watched, held out.
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

/// How many times as many searches among all vectors are done a second as with the first set.
pub(crate) fn speeds(sets: &[Set]) -> Vec<f64> {
    let mut best = vec![f64::MAX; sets.len()];
    // One after the other and again, so that a busy moment does not meet one set alone.
    for _ in 0..ROUNDS {
        for (set, best) in sets.iter().zip(&mut best) {
            let started = Instant::now();
            black_box(nearest(black_box(&set.held_out)));
            *best = best.min(started.elapsed().as_secs_f64());
        }
    }
    let first = best.first().copied().unwrap_or(1.0);
    best.into_iter().map(|it| first / it).collect()
}

fn title(figure: Figure) -> &'static str {
    match figure {
        Figure::RankOne => "rank-1",
        Figure::Verification => "verification",
        Figure::MatchedAtThousandth => "TAR at FAR 1e-3",
        Figure::RecallAtTen => "recall@10",
    }
}

pub(crate) fn text(about: &About, rows: &[Row], speeds: &[f64]) -> Result<String> {
    let mut text = String::new();
    let words = ["learned from", "watched", "held out"];
    let counts = words.iter().zip(about.counts);
    let counts =
        counts.map(|(word, (people, photos))| format!("{people} people {word} ({photos} vectors)"));
    let counts: Vec<String> = counts.collect();
    writeln!(
        text,
        "{}; learned in {:.0} s",
        counts.join(", "),
        about.learned_s
    )?;
    let titles = FIGURES
        .map(|figure| format!("{:>28}", title(figure)))
        .concat();
    writeln!(
        text,
        "\n{:<22}{:>5}{titles}{:>8}",
        "of those held out", "size", "speed"
    )?;
    for (row, speed) in rows.iter().zip(speeds) {
        let figures = row
            .figures
            .map(|it| format!("{:>28}", told(it, false)))
            .concat();
        writeln!(text, "{:<22}{:>5}{figures}{speed:>8.2}", row.name, row.dim)?;
    }
    let Some((first, others)) = rows.split_first() else {
        return Ok(text);
    };
    writeln!(text, "\nless {}", first.name)?;
    for row in others {
        let figures = row
            .differences
            .map(|it| format!("{:>28}", told(it, true)))
            .concat();
        writeln!(text, "{:<22}{:>5}{figures}", row.name, row.dim)?;
    }
    text.push_str(
        "\nIn brackets: the middle 95 of 100 draws of people. Recall: of the first row's ten nearest. \
         Speed:\nsearches a second by looking at all vectors held out, over those of the first row.\n",
    );
    Ok(text)
}

fn told(it: Measured, signed: bool) -> String {
    match signed {
        true => format!("{:+.4} [{:+.4}, {:+.4}]", it.value, it.low, it.high),
        false => format!("{:.4} [{:.4}, {:.4}]", it.value, it.low, it.high),
    }
}

pub(crate) fn json(about: &About, rows: &[Row], speeds: &[f64]) -> Result<String> {
    let measured = |all: &[Measured; 4]| -> Value {
        let figures = FIGURES.iter().zip(all);
        let figures = figures.map(|(figure, it)| {
            (
                title(*figure).to_owned(),
                json!({"value": it.value, "low": it.low, "high": it.high}),
            )
        });
        Value::Object(figures.collect())
    };
    let rows = rows.iter().zip(speeds).map(|(row, speed)| {
        json!({
            "name": row.name, "size": row.dim, "speed": speed,
            "figures": measured(&row.figures), "differences": measured(&row.differences),
        })
    });
    let [learned, watched, held_out] = about
        .counts
        .map(|(people, vectors)| json!({"people": people, "vectors": vectors}));
    let all = json!({
        "learned_from": learned, "watched": watched, "held_out": held_out,
        "learned_s": about.learned_s, "rows": rows.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
