//! Where the faces of a photo are: a look at the whole photo, at the photo on its sides and head where none
//! is surely upright, and at its parts, closer, where small faces may have been passed over.
//!
//! The closer look takes a time for each part, so it is for those who ask for all faces of what is no portrait, and for
//! photos whose first look has found none surely. Only where the parts show nothing sure either are they tried on their
//! sides and head too.

use std::time::{Duration, Instant};

use image::RgbImage;

use crate::crop::fitted;
use crate::detect::{Detection, INPUT_SIDE};
use crate::error::Error;
use crate::limits::{MAX_FACES, MAX_FACES_OF_PART, MAX_PARTS, MAX_TURNED_PARTS};
use crate::parts::{LARGE, Part, SEEN, is_closer, merged, parts};
use crate::photo::Photo;
use crate::pixels::{float, floor};
use crate::turn::Turn;
use crate::types::{Choice, Waiting, Want};

/// Least confidence of a face that lies as it should: on its side or head one is found too, but less
/// surely (0.89 at most in 234 photos of lfw-dev that were turned, 0.90 in 99 of 100 upright ones), and
/// its vector is like nobody's.
const UPRIGHT: f32 = 0.9;

/// By how much surer than what is seen of a photo as it came a face must be that shows it to lie, where it is not sure:
/// most photos are upright.
const SURER: f32 = 0.2;
/// How sure it must be at least: in any way something is found now and then that is no face. (Of ten faces of 40
/// pixels seven had 0.79 to 0.88, one 0.69, and two were not found.)
const SURE_TO_LIE: f32 = 0.75;

/// Pixels of a face's longer side, in what the detector sees of the whole photo, at which the one that is asked for is
/// taken however sure it is.
const CLOSE: f32 = 128.0;
/// The same of a sure face that makes a photo a portrait: a quarter of its longer side, where it is large.
const PORTRAIT: f32 = 160.0;

/// How a photo is to be turned, if at all, and how sure the surest face is then.
type Way = (Option<Turn>, f32);

/// Looks for faces.
pub(crate) struct Finder<'a> {
    /// Finds the faces of a picture that is no larger than [`INPUT_SIDE`].
    pub(crate) look: &'a mut dyn FnMut(&RgbImage) -> Result<Vec<Detection>, Error>,
    /// How many times its size a small photo is enlarged at most.
    pub(crate) enlarge: f32,
    /// Pixels of the smallest faces that are looked for.
    pub(crate) smallest: u32,
    pub(crate) patience: Patience<'a>,
}

/// How long those who want a photo looked at wait for it: says who does.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a>(pub(crate) &'a dyn Fn() -> Waiting);

impl Patience<'_> {
    /// Whatever it takes.
    pub(crate) const ENDLESS: Self = Self(&|| Waiting::Alone);

    pub(crate) fn check(&self) -> Result<(), Error> {
        match (self.0)() {
            Waiting::Over => Err(Error::NotAwaited),
            Waiting::WithOthers | Waiting::Alone => Ok(()),
        }
    }

    /// Whether it is enough for a closer look, for which others may not have to wait.
    fn check_long(&self) -> Result<(), Error> {
        match (self.0)() {
            Waiting::WithOthers => Err(Error::TakesLong),
            Waiting::Over => Err(Error::NotAwaited),
            Waiting::Alone => Ok(()),
        }
    }
}

/// What is found.
pub(crate) struct Found {
    /// The photo, so that its faces are upright.
    pub(crate) photo: Photo,
    /// In its pixels, the most prominent first.
    pub(crate) faces: Vec<Detection>,
    /// How many more there were, of the size that is wanted.
    pub(crate) left_out: usize,
    /// Whether parts of the photo were looked at.
    is_of_parts: bool,
    /// How long the photo was decoded.
    pub(crate) decoding: Duration,
}

impl Finder<'_> {
    /// The faces of an image file.
    pub(crate) fn find(&mut self, image: &[u8], want: Want) -> Result<Found, Error> {
        let started = Instant::now();
        let mut found = Found {
            photo: Photo::open(image)?,
            faces: Vec::new(),
            left_out: 0,
            is_of_parts: false,
            decoding: Duration::ZERO,
        };
        found.decoding = started.elapsed();
        self.look_at(&mut found, image, want)?;
        found.sort();
        found.limit(want);
        Ok(found)
    }

    fn look_at(&mut self, found: &mut Found, image: &[u8], want: Want) -> Result<(), Error> {
        let may_be_closer = self.least_side(found.photo.size) > 0;
        // Who says how small a face may be has them looked for beside any other.
        let is_always_closer = want.faces == Choice::All && want.smallest > 0;
        if may_be_closer && is_always_closer {
            self.patience.check_long()?;
        }
        let upright = self.whole(&found.photo.pixels)?;
        let (turn, faces) = self.surest_way(&found.photo.pixels, upright.clone())?;
        let scale = self.whole_scale(found.photo.size) * found.photo.reduction();
        let is_enough = |face: &Detection| match want.faces {
            Choice::Largest => face.confidence >= UPRIGHT || face.longer() * scale >= CLOSE,
            Choice::All if is_always_closer => false,
            Choice::All => face.confidence >= UPRIGHT && face.longer() * scale >= PORTRAIT,
        };
        if faces.iter().any(is_enough) || !may_be_closer {
            found.turn(turn);
            found.faces = faces;
            return Ok(());
        }
        self.patience.check_long()?;
        if surest(&faces) >= UPRIGHT {
            found.turn(turn);
            found.faces = faces;
            return self.look_closer(found, image);
        }
        // Faces that lie as they should may be too small to have been found surely, or at all.
        found.faces = upright;
        self.look_closer(found, image)?;
        let hint = match surest(&faces) > surest(&found.faces) {
            true => (turn, surest(&faces)),
            false => self.way_of_the_surest(found)?,
        };
        if let (Some(way), _) = self.way_of_the_parts(found, hint)? {
            let upright = std::mem::take(&mut found.faces);
            found.turn(Some(way));
            found.faces = self.whole(&found.photo.pixels)?;
            self.look_closer(found, image)?;
            // One that lies, or a pattern, says less of the photo than many faces that are less sure.
            if weight(&found.faces) <= weight(&upright) {
                found.photo.turn_back();
                found.faces = upright;
            }
        }
        Ok(())
    }

    /// How the photo must be turned for its faces to be upright, if it must, and the faces in pixels of it as it is
    /// then: as it is or, where none of them is surely upright, the way in which the surest is found. Only what the
    /// detector sees is turned for that, not the photo, which may be huge.
    fn surest_way(
        &mut self,
        photo: &RgbImage,
        upright: Vec<Detection>,
    ) -> Result<(Option<Turn>, Vec<Detection>), Error> {
        let (mut best, mut faces) = (None, upright);
        if surest(&faces) >= UPRIGHT {
            return Ok((best, faces));
        }
        let (resized, scale) = fitted(photo, INPUT_SIDE, self.enlarge)?;
        let picture = resized.as_ref().unwrap_or(photo);
        for turn in Turn::ALL {
            let found = (self.look)(&turn.of(picture))?;
            if surest(&found) > surest(&faces) {
                let found = found.into_iter().map(|face| face.scaled(1.0 / scale));
                (best, faces) = (Some(turn), found.collect());
            }
            if surest(&faces) >= UPRIGHT {
                break;
            }
        }
        Ok((best, faces))
    }

    /// The turn in which the surest face is found more surely than it is, if there is one, and how surely it is found
    /// then. A large one was seen in all ways before.
    fn way_of_the_surest(&mut self, found: &Found) -> Result<Way, Error> {
        let scale = self.whole_scale(found.photo.size) * found.photo.reduction();
        let (mut best, mut confidence) = (None, surest(&found.faces));
        let faces = found.faces.iter();
        let face = faces.max_by(|a, b| a.confidence.total_cmp(&b.confidence));
        let Some(face) = face.filter(|face| face.longer() * scale < LARGE) else {
            return Ok((best, confidence));
        };
        let pixels = &found.photo.pixels;
        let part = Part::around(face, pixels.dimensions(), self.scale_of(&found.photo));
        let picture = part.picture(pixels)?;
        for turn in Turn::ALL {
            if confidence >= UPRIGHT {
                break;
            }
            let turned = surest(&(self.look)(&turn.of(&picture))?);
            if turned > confidence {
                (best, confidence) = (Some(turn), turned);
            }
        }
        Ok((best, confidence))
    }

    /// The turn in which parts show a face more surely than has been seen, where that is not sure already: the first in
    /// which one is sure, else the surest, which is much surer than what is seen without a turn. What is asked is only
    /// which way the photo may lie, so there are fewer parts, and where that makes them coarser its smallest faces say
    /// nothing.
    fn way_of_the_parts(&mut self, found: &Found, seen: Way) -> Result<Way, Error> {
        let (mut best, mut confidence) = seen;
        if confidence >= UPRIGHT {
            return Ok(seen);
        }
        let least = match best {
            None => (confidence + SURER).clamp(SURE_TO_LIE, UPRIGHT),
            Some(_) => confidence,
        };
        let photo = &found.photo;
        let scale = self.whole_scale(photo.size) * photo.reduction();
        let size = photo.pixels.dimensions();
        for part in parts(size, (self.scale_of(photo), scale), MAX_TURNED_PARTS) {
            let picture = part.picture(&photo.pixels)?;
            for turn in Turn::ALL {
                self.patience.check()?;
                let faces = (self.look)(&turn.of(&picture))?.into_iter();
                let faces = faces.map(|face| turn.undone(&face, picture.dimensions()));
                let whole: Vec<_> = part.whole(faces.collect()).collect();
                let turned = surest(&whole);
                if turned > confidence && turned >= least {
                    (best, confidence) = (Some(turn), turned);
                }
                if confidence >= UPRIGHT {
                    return Ok((best, confidence));
                }
            }
        }
        Ok((best, confidence))
    }

    /// Adds what is found in parts of the photo, decoded as far as that takes.
    fn look_closer(&mut self, found: &mut Found, image: &[u8]) -> Result<(), Error> {
        self.patience.check()?;
        found.finer(image, self.least_side(found.photo.size))?;
        let photo = &found.photo;
        let scale = self.whole_scale(photo.size) * photo.reduction();
        let mut in_parts = Vec::new();
        let size = photo.pixels.dimensions();
        for part in parts(size, (self.scale_of(photo), scale), MAX_PARTS) {
            self.patience.check()?;
            let faces = (self.look)(&part.picture(&photo.pixels)?)?;
            in_parts.extend(part.whole(faces).take(MAX_FACES_OF_PART));
        }
        found.is_of_parts = true;
        found.faces = merged(std::mem::take(&mut found.faces), scale, in_parts);
        Ok(())
    }

    /// The faces of a photo as far as they are seen where all of it fits.
    fn whole(&mut self, photo: &RgbImage) -> Result<Vec<Detection>, Error> {
        let (resized, scale) = fitted(photo, INPUT_SIDE, self.enlarge)?;
        let faces = (self.look)(resized.as_ref().unwrap_or(photo))?;
        let faces = faces.into_iter().map(|face| face.scaled(1.0 / scale));
        Ok(faces.collect())
    }

    /// Pixels that become one of a photo of this size (of all its pixels) where it is seen whole.
    fn whole_scale(&self, (width, height): (u32, u32)) -> f32 {
        let side = width.max(height).max(1);
        (float(INPUT_SIDE) / float(side)).min(self.enlarge.max(1.0))
    }

    /// The scale at which the smallest faces are seen large enough, of the photo with all its pixels.
    fn closest(&self) -> f32 {
        (float(SEEN) / float(self.smallest.max(1))).min(1.0)
    }

    /// The same of the pixels that are there.
    fn scale_of(&self, photo: &Photo) -> f32 {
        (self.closest() * photo.reduction()).min(1.0)
    }

    /// The longer side that a photo of this size must be decoded to for the closer look; 0 where that would show
    /// no more than the look at all of it.
    fn least_side(&self, size: (u32, u32)) -> u32 {
        match is_closer(self.closest(), self.whole_scale(size)) {
            true => floor(self.closest() * float(size.0.max(size.1))),
            false => 0,
        }
    }
}

impl Found {
    /// The most prominent first; those that are less than half as large as the largest come after the others, wherever
    /// they are, for in parts of a photo much is found that nobody took it for.
    fn sort(&mut self) {
        let size = self.photo.pixels.dimensions();
        let faces = self.faces.iter();
        let largest = match self.is_of_parts {
            true => faces.map(Detection::longer).fold(0.0, f32::max),
            false => 0.0,
        };
        let is_small = |face: &Detection| face.longer() < largest / 2.0;
        let order = |a: &Detection, b: &Detection| {
            let by_size = is_small(a).cmp(&is_small(b));
            by_size.then(b.prominence(size).total_cmp(&a.prominence(size)))
        };
        self.faces.sort_by(order);
    }

    /// No more than are told, and how many are not.
    fn limit(&mut self, want: Want) {
        let least = float(want.smallest) / self.photo.reduction();
        let is_wanted = |face: &Detection| face.shorter() >= least;
        if want.faces == Choice::All {
            // The others take no place of theirs.
            self.faces.sort_by_key(|face| !is_wanted(face));
        }
        let left_out = self.faces.split_off(self.faces.len().min(MAX_FACES));
        if want.faces == Choice::All {
            self.left_out = left_out.iter().filter(|face| is_wanted(face)).count();
        }
    }

    fn turn(&mut self, turn: Option<Turn>) {
        if let Some(turn) = turn {
            self.photo.turn(turn);
        }
    }

    /// The photo decoded again, where it has fewer pixels than that on its longer side and there are more.
    pub(crate) fn finer(&mut self, image: &[u8], least_side: u32) -> Result<(), Error> {
        let started = Instant::now();
        let grown = self.photo.refine(image, least_side)?;
        for face in &mut self.faces {
            *face = face.scaled(grown);
        }
        self.decoding += started.elapsed();
        Ok(())
    }
}

fn surest(faces: &[Detection]) -> f32 {
    faces.iter().map(|it| it.confidence).fold(0.0, f32::max)
}

/// How much faces say for the way in which they were seen: each by how much surer it is than a half, squared, so that one
/// that is sure outweighs a few that hardly are.
fn weight(faces: &[Detection]) -> f32 {
    let weights = faces
        .iter()
        .map(|it| (it.confidence - 0.5).max(0.0).powi(2));
    weights.sum()
}

#[cfg(test)]
mod tests;
