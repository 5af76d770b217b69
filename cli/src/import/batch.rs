//! One request of an import: a few photos, read, sent, and the answer turned into what became of
//! each. A request that is too large for the server, or for its memory, is sent in halves; a photo for
//! which the server had no room is sent again; a photo it refuses is only that photo's misfortune.

use std::fs::File;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use super::photo::Photo;
use super::report::{Refused, Twin};
use crate::client::{AddFaces, Added, Client, Error, ImageError, NewImage, base64_of};
use crate::limits;

/// Where photos go and what is kept of them.
pub(crate) struct Target<'a> {
    pub(crate) client: &'a Client,
    pub(crate) collection: &'a str,
    pub(crate) keep_crop: bool,
    pub(crate) keep_photo: bool,
}

/// What became of one photo.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Imported,
    /// Another import has put it meanwhile.
    Known,
    /// Imported, though a face of the same picture is there.
    Twin(Twin),
    Refused(Refused),
}

/// Neighbours, few enough and small enough for one request.
pub(crate) fn split(photos: Vec<Photo>) -> Vec<Vec<Photo>> {
    let mut batches: Vec<Vec<Photo>> = Vec::new();
    let mut bytes = 0;
    for photo in photos {
        bytes += photo.bytes;
        match batches.last_mut() {
            Some(batch) if batch.len() < limits::BATCH_PHOTOS && bytes <= limits::BATCH_BYTES => {
                batch.push(photo);
            }
            _ => {
                bytes = photo.bytes;
                batches.push(vec![photo]);
            }
        }
    }
    batches
}

/// Imports a batch. An error means that nothing more can be sent, by anyone.
pub(crate) fn import(target: &Target<'_>, photos: &[Photo]) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    let mut images = Vec::new();
    for photo in photos {
        match read(photo) {
            Ok(image) => images.push(image),
            Err(reason) => outcomes.push(refused((&photo.file, photo.row), None, reason)),
        }
    }
    let images: Vec<_> = images.iter().collect();
    outcomes.extend(send(target, images)?);
    Ok(outcomes)
}

fn read(photo: &Photo) -> Result<NewImage, String> {
    if photo.bytes > limits::PHOTO_BYTES {
        return Err("too large to be read".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(&photo.path)
        .and_then(|file| file.take(limits::PHOTO_BYTES).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(NewImage {
        image: base64_of(&bytes),
        id: photo.id,
        person: photo.person.clone(),
        payload: photo.about.payload(&photo.file),
        name: photo.file.clone(),
        row: photo.row,
    })
}

fn send(target: &Target<'_>, images: Vec<&NewImage>) -> Result<Vec<Outcome>, Error> {
    let start = Instant::now();
    let mut outcomes = Vec::new();
    let mut waiting = images;
    while !waiting.is_empty() {
        let added = send_once(target, &waiting)?;
        let why = added.errors.first().map(|it| it.error.clone());
        let (done, busy) = settle(&waiting, added);
        outcomes.extend(done);
        if busy.len() == waiting.len() && start.elapsed() > limits::BUSY_PATIENCE {
            return Err(Error::Busy {
                waited_s: start.elapsed().as_secs(),
                message: why.unwrap_or_default(),
            });
        }
        if !busy.is_empty() {
            thread::sleep(Duration::from_secs(1));
        }
        waiting = busy;
    }
    Ok(outcomes)
}

fn send_once(target: &Target<'_>, images: &[&NewImage]) -> Result<Added, Error> {
    let request = AddFaces {
        images: images.to_vec(),
        faces: "largest",
        keep_crop: target.keep_crop,
        keep_photo: target.keep_photo,
        existing: "keep",
    };
    match target.client.add_faces(target.collection, &request) {
        Err(error) if images.len() > 1 && error.is_of_size() => {
            let (first, second) = images.split_at(images.len() / 2);
            let added = send_once(target, first)?;
            Ok(joined(added, send_once(target, second)?, first.len()))
        }
        Err(Error::Refused { status, message }) if images.len() == 1 && is_the_photos(status) => {
            Ok(Added {
                errors: vec![ImageError {
                    image_index: 0,
                    status,
                    error: message,
                }],
                ..Added::default()
            })
        }
        other => other,
    }
}

/// Statuses that, for a request of one photo, say something about the photo, not about the
/// collection or the server; 500 is a photo that broke the models.
fn is_the_photos(status: u16) -> bool {
    matches!(status, 400 | 413 | 415 | 422 | 500)
}

/// Two answers as one; the second's places come after the first's.
fn joined(mut first: Added, second: Added, offset: usize) -> Added {
    first.faces.extend(second.faces.into_iter().map(|mut face| {
        face.image_index += offset;
        face
    }));
    first
        .errors
        .extend(second.errors.into_iter().map(|mut error| {
            error.image_index += offset;
            error
        }));
    first
        .known
        .extend(second.known.into_iter().map(|mut known| {
            known.image_index += offset;
            known
        }));
    first
}

/// What became of each image, and the images for which the server had no room.
fn settle<'a>(images: &[&'a NewImage], added: Added) -> (Vec<Outcome>, Vec<&'a NewImage>) {
    let mut outcomes = Vec::new();
    let mut busy = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let error = added.errors.iter().find(|error| error.image_index == index);
        let face = added.faces.iter().find(|face| face.image_index == index);
        let is_known = added.known.iter().any(|known| known.image_index == index);
        match error {
            None if is_known => outcomes.push(Outcome::Known),
            Some(error) if matches!(error.status, 429 | 503) => busy.push(*image),
            Some(error) => {
                let reason = error.error.clone();
                let refused = refused((&image.name, image.row), Some(error.status), reason);
                outcomes.push(refused);
            }
            None if let Some(face) = face => outcomes.push(match &face.duplicate_of {
                None => Outcome::Imported,
                Some(twin) => Outcome::Twin(Twin {
                    file: image.name.clone(),
                    of: twin.id.clone(),
                    score: twin.score,
                }),
            }),
            None => {
                let reason = "the server did not say what became of it".to_owned();
                outcomes.push(refused((&image.name, image.row), None, reason));
            }
        }
    }
    (outcomes, busy)
}

fn refused((file, row): (&str, Option<usize>), status: Option<u16>, reason: String) -> Outcome {
    let file = file.to_owned();
    Outcome::Refused(Refused {
        file,
        row,
        status,
        reason,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Map;

    use super::super::photo::{About, PhotoId};
    use super::*;

    fn photos(sizes: &[u64]) -> Vec<Photo> {
        let photo = |bytes: &u64| Photo {
            path: PathBuf::new(),
            file: "x".to_owned(),
            person: None,
            id: PhotoId::Number(0),
            about: About::Nothing,
            row: None,
            bytes: *bytes,
        };
        sizes.iter().map(photo).collect()
    }

    fn lengths(sizes: &[u64]) -> Vec<usize> {
        split(photos(sizes))
            .iter()
            .map(|batch| batch.len())
            .collect()
    }

    #[test]
    fn batches_hold_few_and_small_enough_photos_and_all_of_them() {
        let small = vec![1; limits::BATCH_PHOTOS * 2 + 1];
        assert_eq!(
            lengths(&small),
            [limits::BATCH_PHOTOS, limits::BATCH_PHOTOS, 1]
        );
        let half = limits::BATCH_BYTES / 2;
        assert_eq!(lengths(&[half, half, half]), [2, 1]);
        assert_eq!(lengths(&[1, limits::BATCH_BYTES * 9, 1]), [1, 1, 1]);
        assert_eq!(lengths(&[]), [0; 0]);
    }

    #[test]
    fn every_image_of_an_answer_is_accounted_for() {
        let image = |name: &str| NewImage {
            image: String::new(),
            id: PhotoId::Number(0),
            person: None,
            payload: Map::new(),
            name: name.to_owned(),
            row: Some(name.len()),
        };
        let images = ["fine", "faceless", "busy", "forgotten", "again", "known"].map(image);
        let images: Vec<_> = images.iter().collect();
        let added = serde_json::json!({
            "faces": [
                {"image_index": 0, "id": 1},
                {"image_index": 4, "id": 2, "duplicate_of": {"id": 1, "score": 0.99}},
            ],
            "errors": [
                {"image_index": 1, "status": 422, "error": "no face found"},
                {"image_index": 2, "status": 503, "error": "busy"},
            ],
            "known": [{"image_index": 5, "id": 3}],
        });
        let (outcomes, busy) = settle(&images, serde_json::from_value(added).unwrap());
        assert_eq!((outcomes.len(), &outcomes[4]), (5, &Outcome::Known));
        let twin = Twin {
            file: "again".to_owned(),
            of: 1.into(),
            score: 0.99,
        };
        assert_eq!(outcomes[3], Outcome::Twin(twin));
        assert_eq!(outcomes[0], Outcome::Imported);
        assert_eq!(
            outcomes[1],
            refused(("faceless", Some(8)), Some(422), "no face found".to_owned())
        );
        let lost = "the server did not say what became of it";
        assert_eq!(
            outcomes[2],
            refused(("forgotten", Some(9)), None, lost.to_owned())
        );
        assert_eq!(busy.len(), 1);
        assert_eq!(busy[0].name, "busy");
    }

    #[test]
    fn two_halves_of_an_answer_keep_their_places() {
        let half = |index: usize| {
            let json = serde_json::json!({
                "faces": [{"image_index": index}],
                "errors": [{"image_index": index, "status": 422, "error": ""}],
                "known": [{"image_index": index}],
            });
            serde_json::from_value::<Added>(json).unwrap()
        };
        let added = joined(half(1), half(0), 2);
        let places: Vec<_> = added.faces.iter().map(|face| face.image_index).collect();
        assert_eq!(places, [1, 2]);
        assert_eq!(
            (added.errors[1].image_index, added.known[1].image_index),
            (2, 2)
        );
    }
}
