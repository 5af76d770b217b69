//! The real models on real photos, where both are: a photo that lies on its side shows the same face
//! as upright, and a better picture has a better quality.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use embedder::{Analysis, Choice, FaceEmbedder, OnnxEmbedder, Want};
use image::imageops::{blur, rotate90, rotate270};
use image::{ImageFormat, RgbImage};

/// The models and a photo of one face, or the reason to do without.
fn models_and_photo() -> Result<(OnnxEmbedder, RgbImage), String> {
    let models = std::env::var_os("DOPPEL_MODELS_DIR").map(PathBuf::from);
    let models = models.ok_or("DOPPEL_MODELS_DIR is not set")?;
    let shared = std::env::var_os("DOPPEL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let people = shared.join("data/lfw-dev/images");
    let mut folders: Vec<_> = std::fs::read_dir(people)
        .map_err(|error| format!("no photos: {error}"))?
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut photos = std::fs::read_dir(folders.first().ok_or("no photos")?).unwrap();
    let photo = image::open(photos.next().unwrap().unwrap().path()).unwrap();
    let embedder = OnnxEmbedder::load(&models, 1).map_err(|error| error.to_string())?;
    Ok((embedder, photo.into_rgb8()))
}

fn seen(embedder: &mut OnnxEmbedder, photo: &RgbImage) -> Analysis {
    let mut file = Vec::new();
    photo
        .write_to(&mut Cursor::new(&mut file), ImageFormat::Png)
        .unwrap();
    let want = Want {
        faces: Choice::Largest,
        vectors: true,
        crop: true,
    };
    embedder.analyze(&file, want).unwrap()
}

#[test]
fn a_photo_on_its_side_shows_the_same_face_where_it_lies() {
    let (mut embedder, photo) = match models_and_photo() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let upright = seen(&mut embedder, &photo).faces.remove(0);
    let turned = [rotate90(&photo), rotate270(&photo)];
    for (photo, roll) in turned.iter().zip([90, -90]) {
        let analysis = seen(&mut embedder, photo);
        assert_eq!((analysis.width, analysis.height), photo.dimensions());
        let face = &analysis.faces[0];
        let cosine: f32 = face
            .vector
            .iter()
            .zip(&upright.vector)
            .map(|(a, b)| a * b)
            .sum();
        assert!(cosine > 0.9, "turned by {roll}: {cosine}");
        let [x, y, width, height] = face.bounding_box;
        for [left, top] in face.landmarks {
            let within = (x..x + width).contains(&left) && (y..y + height).contains(&top);
            assert!(within, "turned by {roll}: {:?}", face.landmarks);
        }
    }
}

#[test]
fn a_blurred_photo_has_a_worse_quality() {
    let (mut embedder, photo) = match models_and_photo() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let sharp = seen(&mut embedder, &photo).faces.remove(0).quality;
    let soft = seen(&mut embedder, &blur(&photo, 3.0))
        .faces
        .remove(0)
        .quality;
    assert!(soft.sharpness < sharp.sharpness / 3.0, "{sharp:?} {soft:?}");
    assert!(soft.score <= sharp.score && soft.flaws.blurred);
}
