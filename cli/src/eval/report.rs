//! What an evaluation found, for people and for programs. The JSON form is part of the interface.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

use embedder::{Crop, Manifest, Timings};
use serde::Serialize;

use super::embed::Embedded;
use super::figures::{Verification, count, ratio};
use super::fit::Fitted;
use super::lfw::Lfw;
use super::spread::{Histogram, Spread};

/// The false match rates that are told of, where there are pairs enough for them.
const RATES: [f64; 6] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
/// A rate is not told from fewer pairs than these.
const PAIRS_OF_A_RATE: f64 = 10.0;

/// The outcome of an evaluation.
#[derive(Serialize)]
pub(crate) struct Report {
    model: String,
    /// Of models that see the face's box; of several networks, the first's.
    margin: Option<f32>,
    networks: usize,
    enlarge: f32,
    mirror: bool,
    rounded: bool,
    photos: usize,
    people: usize,
    /// Pairs of which a photo is not there, and these photos.
    pairs_left_out: usize,
    photos_not_there: Vec<String>,
    #[serde(skip)]
    left_out: Option<String>,
    /// Photos in which no face was found.
    missed: Vec<String>,
    pub(crate) verification: Verification,
    /// Of the photos of people with two or more, how many are nearest to another of the same person.
    pub(crate) rank_1: f64,
    rank_1_photos: usize,
    /// Over all pairs of photos.
    roc: Vec<Point>,
    /// Median and 95th percentile of what each stage takes for a photo.
    milliseconds: Stages,
    /// Median of the quality scores, and the share of faces with a flaw.
    quality: QualityFigures,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<Fitted>,
    #[serde(skip)]
    pub(crate) curve: Vec<(f64, f64)>,
}

/// At a false match rate, what is matched rightly, and from which cosine on.
#[derive(Serialize)]
struct Point {
    false_match_rate: f64,
    true_match_rate: f64,
    threshold: f64,
}

#[derive(Serialize)]
struct Stages {
    decode: [f64; 2],
    detect: [f64; 2],
    embed: [f64; 2],
}

#[derive(Serialize)]
struct QualityFigures {
    median: f32,
    small: f64,
    blurred: f64,
    unsure: f64,
    turned: f64,
}

impl Report {
    pub(crate) fn new(
        lfw: &Lfw,
        manifest: &Manifest,
        embedded: &[Embedded],
        verification: Verification,
        spread: Spread,
        calibration: Option<Fitted>,
    ) -> Self {
        let photos = lfw.photos.iter().zip(embedded);
        let missed = photos.filter(|(_, photo)| photo.vector.is_none());
        let people: HashSet<_> = lfw.photos.iter().map(|photo| &photo.person).collect();
        let stage = |of: fn(&Timings) -> Duration| {
            let mut times: Vec<_> = embedded.iter().map(|photo| of(&photo.timings)).collect();
            times.sort_unstable();
            [50, 95].map(|percent| at(&times, percent).as_secs_f64() * 1_000.0)
        };
        Self {
            model: manifest.name.clone(),
            margin: match manifest.embedder.input.crop {
                Crop::Box { margin } => Some(margin),
                Crop::Points(_) => None,
            },
            networks: manifest.parts().len(),
            enlarge: manifest.detector.enlarge,
            mirror: manifest.embedder.mirror,
            rounded: manifest.embedder.use_rounded,
            photos: lfw.photos.len(),
            people: people.len(),
            pairs_left_out: lfw.missing.pairs,
            photos_not_there: lfw.missing.photos.iter().cloned().collect(),
            left_out: lfw.missing.told(),
            missed: missed
                .map(|(photo, _)| photo.path.display().to_string())
                .collect(),
            verification,
            rank_1: ratio(spread.right, spread.asked),
            rank_1_photos: spread.asked,
            roc: roc(&spread.same, &spread.different),
            milliseconds: Stages {
                decode: stage(|times| times.decode),
                detect: stage(|times| times.detect),
                embed: stage(|times| times.embed),
            },
            quality: QualityFigures::of(embedded),
            calibration,
            curve: curve(&spread.same, &spread.different),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text)
            .expect("writing to a string never fails");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let enlarge = self.enlarge;
        let crop = self.margin.map_or_else(
            || "five landmarks".to_owned(),
            |margin| format!("margin {margin}"),
        );
        let mirror = if self.mirror { ", mirrored too" } else { "" };
        let rounded = if self.rounded { ", 8 bits" } else { "" };
        let networks = match self.networks {
            1 => String::new(),
            networks => format!("{networks} networks, of the first: "),
        };
        writeln!(
            out,
            "model         {}, {networks}{crop}, enlarged up to {enlarge}{mirror}{rounded}",
            self.model
        )?;
        writeln!(
            out,
            "photos        {} of {} people",
            self.photos, self.people
        )?;
        if let Some(left_out) = &self.left_out {
            writeln!(out, "left out      {left_out}")?;
        }
        writeln!(out, "missed        {}", self.missed.len())?;
        for photo in &self.missed {
            writeln!(out, "              {photo}")?;
        }
        writeln!(out, "verification  {}", self.verification)?;
        writeln!(
            out,
            "rank-1        {:.4} ({} photos)",
            self.rank_1, self.rank_1_photos
        )?;
        for point in &self.roc {
            let Point {
                false_match_rate,
                true_match_rate,
                threshold,
            } = point;
            writeln!(
                out,
                "at FMR {false_match_rate:<7} {true_match_rate:.4} matched, from cosine {threshold:.3} on"
            )?;
        }
        let Stages {
            decode,
            detect,
            embed,
        } = &self.milliseconds;
        for (stage, [median, slow]) in [("decode", decode), ("detect", detect), ("embed", embed)] {
            writeln!(out, "{stage:<13} {median:.2} ms, 95 % within {slow:.2} ms")?;
        }
        let QualityFigures {
            median,
            small,
            blurred,
            unsure,
            turned,
        } = &self.quality;
        writeln!(
            out,
            "quality       median {median:.2}; small {small:.3}, blurred {blurred:.3}, unsure {unsure:.3}, turned {turned:.3}"
        )?;
        match &self.calibration {
            Some(fitted) => {
                let json = serde_json::to_string(fitted).map_err(|_| std::fmt::Error)?;
                writeln!(out, "\"calibration\": {json}")
            }
            None => Ok(()),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl QualityFigures {
    fn of(embedded: &[Embedded]) -> Self {
        let faces: Vec<_> = embedded.iter().filter_map(|photo| photo.quality).collect();
        let mut scores: Vec<f32> = faces.iter().map(|quality| quality.score).collect();
        scores.sort_by(f32::total_cmp);
        let share = |has: fn(&embedder::Flaws) -> bool| {
            ratio(
                faces.iter().filter(|quality| has(&quality.flaws)).count(),
                faces.len(),
            )
        };
        Self {
            median: at(&scores, 50),
            small: share(|flaws| flaws.small),
            blurred: share(|flaws| flaws.blurred),
            unsure: share(|flaws| flaws.unsure),
            turned: share(|flaws| flaws.turned),
        }
    }
}

fn at<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "counts of pairs")]
fn roc(same: &Histogram, different: &Histogram) -> Vec<Point> {
    let strangers = different.total() as f64;
    let told = RATES
        .into_iter()
        .filter(|rate| strangers * rate >= PAIRS_OF_A_RATE);
    let steps: Vec<_> = different
        .shares_from_above()
        .into_iter()
        .zip(same.shares_from_above())
        .collect();
    let point = |rate: f64| {
        let last = steps
            .iter()
            .take_while(|((_, false_share), _)| *false_share <= rate)
            .last();
        last.map(|((threshold, _), (_, true_share))| Point {
            false_match_rate: rate,
            true_match_rate: *true_share,
            threshold: *threshold,
        })
    };
    told.filter_map(point).collect()
}

/// False and true match rates, from the highest threshold down.
fn curve(same: &Histogram, different: &Histogram) -> Vec<(f64, f64)> {
    let steps = different
        .shares_from_above()
        .into_iter()
        .zip(same.shares_from_above());
    let mut curve: Vec<_> = steps
        .map(|((_, wrong), (_, right))| (wrong, right))
        .collect();
    curve.dedup();
    let step = count(curve.len() / 400).max(1.0);
    let kept = curve
        .iter()
        .enumerate()
        .filter(|(at, _)| count(*at) % step == 0.0);
    kept.map(|(_, point)| *point).collect()
}
