//! Which faces of a photo are good enough to be kept or looked for.

use crate::http::Fields;
use crate::refusal::Refusal;

/// The least that a face must come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sieve {
    size: f32,
    confidence: f32,
    quality: Option<f32>,
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
        self.quality.get_or_insert(f32::from(percent) / 100.0);
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
    pub(crate) fn keeps(&self, face: &embedder::Face) -> bool {
        let [_, _, width, height] = face.bounding_box;
        width.min(height) >= self.size
            && face.confidence >= self.confidence
            && face.quality.score >= self.quality.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_must_be_as_large_and_as_sure_as_asked() {
        let face = embedder::Face {
            bounding_box: [0.0, 0.0, 40.0, 60.0],
            landmarks: [[0.0; 2]; 5],
            confidence: 0.8,
            quality: embedder::Quality {
                score: 0.6,
                ..Default::default()
            },
            vector: Vec::new(),
            crop_jpeg: Vec::new(),
        };
        let sieve = |size, confidence, quality| Sieve::new(size, confidence, quality).unwrap();
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
