//! Which faces of a photo are good enough to be kept or looked for, and what those lack that are not.

use std::cmp::Ordering;

use embedder::{Choice, Face, Flaws, Quality};

use crate::http::Fields;
use crate::refusal::Refusal;

/// The least that a face must come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sieve {
    size: f32,
    confidence: f32,
    quality: Option<f32>,
    /// The least quality is what the server is set to.
    is_set: bool,
}

impl Sieve {
    /// `min_face_size`, pixels of the shorter side of a face's box, `min_confidence` and
    /// `min_quality`, both 0 to 1.
    pub(crate) fn new(
        size: Option<f32>,
        confidence: Option<f32>,
        quality: Option<f32>,
    ) -> Result<Self, Refusal> {
        let (size, confidence) = (size.unwrap_or(0.0), confidence.unwrap_or(0.0));
        if !(0.0..=f32::MAX).contains(&size) {
            return Err(Refusal::wrong("`min_face_size` must be 0 pixels or more"));
        }
        if !(0.0..=1.0).contains(&confidence) {
            return Err(Refusal::wrong("`min_confidence` must be 0 to 1"));
        }
        if quality.is_some_and(|quality| !(0.0..=1.0).contains(&quality)) {
            return Err(Refusal::wrong("`min_quality` must be 0 to 1"));
        }
        Ok(Self {
            size,
            confidence,
            quality,
            is_set: false,
        })
    }

    /// The same fields of a form.
    pub(crate) fn of_form(fields: &mut Fields) -> Result<Self, Refusal> {
        let size = fields.parsed("min_face_size", "a number of pixels")?;
        let confidence = fields.parsed("min_confidence", "a number from 0 to 1")?;
        let quality = fields.parsed("min_quality", "a number from 0 to 1")?;
        Self::new(size, confidence, quality)
    }

    /// The same, where the request says nothing of quality with the least that the server is set
    /// to.
    pub(crate) fn or_quality(mut self, percent: u8) -> Self {
        if self.quality.is_none() {
            self.quality = Some(f32::from(percent) / 100.0);
            self.is_set = true;
        }
        self
    }

    /// Pixels of the smallest faces that come through, so that smaller ones are not looked for.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is 0 or more, and no photo has as many pixels as the type has numbers"
    )]
    pub(crate) fn smallest(&self) -> u32 {
        self.size as u32
    }

    /// Whether a face is good enough.
    pub(crate) fn keeps(&self, face: &Face) -> bool {
        self.lacks(face).is_empty()
    }

    /// Refuses a photo without a face that is good enough, by the limits that the best one does not reach and
    /// what it has instead. `faces` are those that were chosen so.
    pub(crate) fn expect_one(&self, faces: &[Face], chosen: Choice) -> Result<(), Refusal> {
        let lacks = faces.iter().map(|face| (self.lacks(face), face.quality));
        match lacks.min_by(better) {
            Some((lacks, _)) if lacks.is_empty() => Ok(()),
            Some((lacks, _)) => {
                let which = match chosen {
                    Choice::Largest => "largest",
                    Choice::All => "best",
                };
                let limits: Vec<_> = lacks.iter().map(|lack| lack.limit.as_str()).collect();
                let found: Vec<_> = lacks.iter().map(|lack| lack.found.as_str()).collect();
                let (limits, found) = (limits.join(" and "), found.join(" and "));
                Err(Refusal::photo(format!(
                    "the {which} face in the photo does not reach {limits}: it has {found}"
                )))
            }
            None if self.size > 0.0 => Err(Refusal::photo(format!(
                "no face found in the photo; those below `min_face_size` {} are not looked for",
                self.size
            ))),
            None => Err(Refusal::photo("no face found in the photo")),
        }
    }

    /// The limits that a face does not reach.
    fn lacks(&self, face: &Face) -> Vec<Lack> {
        let [_, _, width, height] = face.bounding_box;
        let (side, quality) = (width.min(height), &face.quality);
        let least = self.quality.unwrap_or(0.0);
        let mut lacks = Vec::new();
        let mut expect = |found: f32, least: f32, told: &dyn Fn() -> Lack| {
            if found.partial_cmp(&least).is_none_or(Ordering::is_lt) {
                lacks.push(told());
            }
        };
        expect(side, self.size, &|| Lack {
            limit: format!("`min_face_size` {}", self.size),
            found: format!("{} pixels on its shorter side", side.floor()),
        });
        expect(face.confidence, self.confidence, &|| Lack {
            limit: format!("`min_confidence` {}", self.confidence),
            found: format!("confidence {}", below(face.confidence)),
        });
        expect(quality.score, least, &|| Lack {
            limit: match self.is_set {
                false => format!("`min_quality` {least}"),
                true => format!("`min_quality` {least} (embedding.min_quality_percent)"),
            },
            found: format!("quality {}{}", below(quality.score), flaws(quality)),
        });
        lacks
    }
}

/// A limit that a face does not reach, and what it has.
struct Lack {
    limit: String,
    found: String,
}

/// Of two faces the one that lacks less comes first, then the one of more quality.
fn better(one: &(Vec<Lack>, Quality), other: &(Vec<Lack>, Quality)) -> Ordering {
    let lacks = one.0.len().cmp(&other.0.len());
    lacks.then(other.1.score.total_cmp(&one.1.score))
}

/// A number rounded down, so that it is not told as the limit that it does not reach.
fn below(number: f32) -> String {
    format!("{:.2}", (number * 100.0).floor() / 100.0)
}

/// Why the quality is poor, where that is known.
fn flaws(quality: &Quality) -> String {
    let Flaws {
        small,
        blurred,
        unsure,
        turned,
    } = quality.flaws;
    let all = [
        (small, "small"),
        (blurred, "blurred"),
        (unsure, "unsure"),
        (turned, "turned"),
    ];
    let named = all
        .into_iter()
        .filter_map(|(has, flaw)| has.then_some(flaw));
    let named: Vec<_> = named.collect();
    match named.is_empty() {
        true => String::new(),
        false => format!(" ({})", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(side: f32, confidence: f32, score: f32) -> Face {
        Face {
            bounding_box: [0.0, 0.0, side, side * 1.5],
            landmarks: [[0.0; 2]; 5],
            confidence,
            quality: Quality {
                score,
                flaws: Flaws {
                    blurred: score < 0.5,
                    ..Flaws::default()
                },
                ..Quality::default()
            },
            vector: Vec::new(),
            crop_jpeg: Vec::new(),
        }
    }

    fn sieve(size: Option<f32>, confidence: Option<f32>, quality: Option<f32>) -> Sieve {
        Sieve::new(size, confidence, quality).unwrap()
    }

    #[test]
    fn who_is_refused_is_told_the_limits_that_the_best_face_lacks_and_what_it_has() {
        let (poor, small) = (face(80.7, 0.9, 0.039), face(20.5, 0.799, 0.9));
        let refused = |sieve: Sieve, faces: &[Face], chosen| {
            let refused = sieve.expect_one(faces, chosen).unwrap_err();
            refused.message().to_owned()
        };
        let only = |sieve| refused(sieve, std::slice::from_ref(&poor), Choice::Largest);
        assert_eq!(
            only(sieve(None, None, Some(0.5))),
            "the largest face in the photo does not reach `min_quality` 0.5: it has quality 0.03 (blurred)"
        );
        assert_eq!(
            only(Sieve::default().or_quality(25)),
            "the largest face in the photo does not reach `min_quality` 0.25 (embedding.min_quality_percent): it \
             has quality 0.03 (blurred)"
        );
        assert_eq!(
            only(sieve(Some(81.0), Some(0.95), None)),
            "the largest face in the photo does not reach `min_face_size` 81 and `min_confidence` 0.95: it has 80 \
             pixels on its shorter side and confidence 0.90"
        );
        let both = [poor, small];
        let all = |sieve| refused(sieve, &both, Choice::All);
        assert_eq!(
            all(sieve(Some(40.0), Some(0.8), Some(0.5))),
            "the best face in the photo does not reach `min_quality` 0.5: it has quality 0.03 (blurred)"
        );
        assert_eq!(
            all(sieve(None, None, Some(0.95))),
            "the best face in the photo does not reach `min_quality` 0.95: it has quality 0.90"
        );
        assert!(
            sieve(Some(40.0), None, None)
                .expect_one(&both, Choice::All)
                .is_ok()
        );
        let none = |size| refused(sieve(size, None, None), &[], Choice::All);
        assert_eq!(none(None), "no face found in the photo");
        assert!(none(Some(50.0)).contains("below `min_face_size` 50"));
    }

    #[test]
    fn a_face_must_be_as_large_and_as_sure_as_asked() {
        let face = face(40.0, 0.8, 0.6);
        let keeps = |size, confidence| sieve(size, confidence, None).keeps(&face);
        assert!(keeps(None, None) && keeps(Some(40.0), Some(0.8)));
        assert!(!keeps(Some(41.0), None) && !keeps(None, Some(0.81)));
        assert!(sieve(None, None, Some(0.6)).keeps(&face));
        assert!(!sieve(None, None, Some(0.61)).keeps(&face));
        assert!(!sieve(None, None, None).or_quality(61).keeps(&face));
        assert!(sieve(None, None, Some(0.1)).or_quality(61).keeps(&face));
        for (size, confidence) in [
            (Some(-1.0), None),
            (Some(f32::NAN), None),
            (None, Some(1.1)),
        ] {
            assert!(Sieve::new(size, confidence, None).is_err());
            assert!(Sieve::new(None, None, Some(-0.1)).is_err());
        }
    }
}
