//! The real models on real photos, where both are: a photo that lies on its side shows the same face
//! as upright, and a better picture has a better quality.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use embedder::{Analysis, Choice, FaceEmbedder, Manifest, OnnxEmbedder, Waiting, Want};
use image::imageops::{FilterType, blur, resize, rotate90, rotate180, rotate270};
use image::{ImageFormat, RgbImage};

fn models_dir() -> Result<PathBuf, String> {
    let models = std::env::var_os("DOPPEL_MODELS_DIR").map(PathBuf::from);
    models.ok_or_else(|| "DOPPEL_MODELS_DIR is not set".into())
}

/// The folders of the photos' people, in the order of their names.
fn people() -> Result<Vec<PathBuf>, String> {
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
    Ok(folders)
}

fn photos_of(person: &Path) -> Vec<RgbImage> {
    let files = std::fs::read_dir(person).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let photos = files.iter().map(|file| image::open(file).unwrap());
    photos.map(|photo| photo.into_rgb8()).collect()
}

/// The default models and a photo of one face, or the reason to do without.
fn models_and_photo() -> Result<(OnnxEmbedder, RgbImage), String> {
    let (models, people) = (models_dir()?, people()?);
    let photo = photos_of(people.first().ok_or("no photos")?).remove(0);
    let embedder = OnnxEmbedder::load(&models, 1).map_err(|error| error.to_string())?;
    Ok((embedder, photo))
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A photo turned by 15 degrees around its middle.
fn tilted(photo: &RgbImage) -> RgbImage {
    let (sin, cos) = 15_f32.to_radians().sin_cos();
    let float = |n: u32| f32::from(u16::try_from(n).unwrap());
    let (x0, y0) = (float(photo.width()) / 2.0, float(photo.height()) / 2.0);
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| {
        let (x, y) = (float(x) - x0, float(y) - y0);
        let (x, y) = (cos * x - sin * y + x0, sin * x + cos * y + y0);
        let within = x >= 0.0 && y >= 0.0 && x < 2.0 * x0 - 1.0 && y < 2.0 * y0 - 1.0;
        match within {
            true => image::imageops::interpolate_bilinear(photo, x, y).unwrap(),
            false => image::Rgb([0; 3]),
        }
    })
}

fn seen(embedder: &mut OnnxEmbedder, photo: &RgbImage) -> Analysis {
    let want = Want {
        faces: Choice::Largest,
        vectors: true,
        crop: true,
        smallest: 0,
    };
    seen_as(embedder, photo, want)
}

fn seen_as(embedder: &mut OnnxEmbedder, photo: &RgbImage, want: Want) -> Analysis {
    let mut file = Vec::new();
    photo
        .write_to(&mut Cursor::new(&mut file), ImageFormat::Bmp)
        .unwrap();
    embedder.analyze(&file, want).unwrap()
}

#[test]
fn a_photo_on_its_side_shows_the_same_face_where_it_lies() {
    let (mut embedder, photo) = match models_and_photo() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let upright = seen(&mut embedder, &photo).faces.remove(0);
    // The large ones are larger than what the detector sees.
    let large = resize(&photo, 1_300, 1_250, FilterType::Triangle);
    let turned = [
        rotate90(&photo),
        rotate270(&photo),
        rotate90(&large),
        rotate270(&large),
    ];
    for (photo, roll) in turned.iter().zip([90, -90, 90, -90]) {
        let analysis = seen(&mut embedder, photo);
        assert_eq!((analysis.width, analysis.height), photo.dimensions());
        let face = &analysis.faces[0];
        let cosine = cosine(&face.vector, &upright.vector);
        assert!(cosine > 0.9, "turned by {roll}: {cosine}");
        let told = face.quality.roll - upright.quality.roll;
        assert!(
            (told - f32::from(i8::try_from(roll).unwrap())).abs() < 10.0,
            "turned by {roll}: {told}"
        );
        let [x, y, width, height] = face.bounding_box;
        for [left, top] in face.landmarks {
            let within = (x..x + width).contains(&left) && (y..y + height).contains(&top);
            assert!(within, "turned by {roll}: {:?}", face.landmarks);
        }
    }
}

#[test]
fn a_photo_that_nobody_waits_for_is_left_undone_and_the_others_of_its_batch_are_not() {
    let (mut embedder, photo) = match models_and_photo() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let alone = seen(&mut embedder, &photo).faces.remove(0);
    let mut file = Vec::new();
    photo
        .write_to(&mut Cursor::new(&mut file), ImageFormat::Png)
        .unwrap();
    let want = Want {
        faces: Choice::Largest,
        vectors: true,
        crop: false,
        smallest: 0,
    };
    // The first never, the second until it is decoded, the third all the time.
    let asked = Cell::new(0);
    let waiting = |at: usize| {
        asked.set(asked.get() + usize::from(at == 1));
        match at == 2 || at == 1 && asked.get() == 1 {
            true => Waiting::WithOthers,
            false => Waiting::Over,
        }
    };
    let photos = [
        (&b"no photo"[..], want),
        (file.as_slice(), want),
        (file.as_slice(), want),
    ];
    let mut outcomes = BTreeMap::new();
    embedder.analyze_awaited(&photos, &waiting, &mut |at, outcome| {
        assert!(outcomes.insert(at, outcome).is_none(), "{at} is told twice");
    });
    let left = [0, 1].map(|at| matches!(outcomes[&at], Err(embedder::Error::NotAwaited)));
    assert_eq!(left, [true, true], "{outcomes:?}");
    let face = &outcomes[&2].as_ref().unwrap().faces[0];
    assert!(cosine(&face.vector, &alone.vector) > 0.999);
}

#[test]
fn of_photos_that_come_together_portraits_are_told_first_and_what_takes_longer_is_left() {
    let (mut embedder, photo) = match models_and_photo() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let jpeg = |photo: &RgbImage| {
        let mut file = Vec::new();
        photo
            .write_to(&mut Cursor::new(&mut file), ImageFormat::Jpeg)
            .unwrap();
        file
    };
    let alone = seen(&mut embedder, &photo).faces.remove(0);
    let (mut several, mut large) = (RgbImage::new(600, 600), RgbImage::new(3_000, 2_000));
    for (x, y) in [(0, 0), (300, 0), (0, 300), (300, 300)] {
        image::imageops::replace(&mut several, &photo, x, y);
    }
    image::imageops::replace(&mut large, &photo, 900, 700);
    let files = [&large, &several, &photo].map(jpeg);
    let want = Want {
        faces: Choice::All,
        vectors: true,
        crop: false,
        smallest: 0,
    };
    let photos: Vec<_> = files.iter().map(|file| (file.as_slice(), want)).collect();
    let mut told = Vec::new();
    embedder.analyze_awaited(&photos, &|_| Waiting::WithOthers, &mut |at, outcome| {
        told.push((at, outcome))
    });
    assert_eq!(
        told.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [0, 2, 1]
    );
    assert!(
        matches!(told[0].1, Err(embedder::Error::TakesLong)),
        "{told:?}"
    );
    let faces = |at: usize| &told[at].1.as_ref().unwrap().faces;
    assert!(cosine(&faces(1)[0].vector, &alone.vector) > 0.98);
    assert_eq!(faces(2).len(), 4);
    // Alone it is looked at to the end.
    let mut last = None;
    embedder.analyze_awaited(&photos[..1], &|_| Waiting::Alone, &mut |_, outcome| {
        last = Some(outcome)
    });
    let faces = last.unwrap().unwrap().faces;
    assert!(cosine(&faces[0].vector, &alone.vector) > 0.9);
    let all = embedder.analyze_all(&photos);
    let counts = all.iter().map(|it| it.as_ref().unwrap().faces.len());
    assert_eq!(counts.collect::<Vec<_>>(), [1, 4, 1]);
}

#[test]
fn vectors_of_8_bits_are_those_of_32_but_for_little() {
    let (models, people) = match (models_dir(), people()) {
        (Ok(models), Ok(people)) => (models, people),
        (Err(why), _) | (_, Err(why)) => return eprintln!("skipped: {why}"),
    };
    let mut both = [true, false].map(|rounded| {
        let mut manifest = Manifest::builtin();
        (manifest.embedders_mut()).for_each(|it| it.use_rounded = rounded);
        OnnxEmbedder::load_as(&models, 1, manifest).unwrap()
    });
    let some = people.iter().step_by(people.len().div_ceil(10));
    let cosines = some.map(|person| {
        let photo = photos_of(person).remove(0);
        let [a, b] = both
            .each_mut()
            .map(|it| seen(it, &photo).faces.remove(0).vector);
        cosine(&a, &b)
    });
    let cosines: Vec<_> = cosines.collect();
    let mean = cosines.iter().sum::<f32>() / 10.0;
    assert!(mean > 0.9993 && mean < 1.001, "{cosines:?}");
}

/// Runs with what is there without ONNX Runtime: `cargo test -p embedder --features tract`.
#[cfg(feature = "tract")]
#[test]
fn without_the_library_faces_are_the_same_but_for_rounding() {
    let (models, people) = match (models_dir(), people()) {
        (Ok(models), Ok(people)) => (models, people),
        (Err(why), _) | (_, Err(why)) => return eprintln!("skipped: {why}"),
    };
    let name = "facenet-mobilefacenet-320";
    let mut manifest = embedder::models::find(&models, name).unwrap();
    (manifest.embedders_mut()).for_each(|it| it.use_rounded = false);
    let Ok(mut with) = OnnxEmbedder::load_as(&models, 1, manifest.clone()) else {
        return eprintln!("skipped: {name} is not installed");
    };
    let bare = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(&models).unwrap() {
        let file = file.unwrap();
        if !file
            .file_name()
            .to_string_lossy()
            .starts_with("libonnxruntime")
        {
            std::os::unix::fs::symlink(file.path(), bare.path().join(file.file_name())).unwrap();
        }
    }
    embedder::models::verify(bare.path(), &manifest).unwrap();
    let mut without = OnnxEmbedder::load_as(bare.path(), 1, manifest).unwrap();
    for person in people.iter().step_by(people.len().div_ceil(2)) {
        let photo = photos_of(person).remove(0);
        let [a, b] = [&mut with, &mut without].map(|it| seen(it, &photo).faces);
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(&b) {
            let apart = |a: &[f32], b: &[f32]| {
                let pairs = a.iter().zip(b);
                pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            let (boxes, points) = (
                apart(&a.bounding_box, &b.bounding_box),
                apart(a.landmarks.as_flattened(), b.landmarks.as_flattened()),
            );
            // Of a pixel.
            assert!(boxes < 0.01 && points < 0.01, "{boxes} {points}");
            let (cosine, numbers) = (cosine(&a.vector, &b.vector), apart(&a.vector, &b.vector));
            // A crop goes by its box, in all of its pixels.
            assert!(cosine > 0.999_99 && numbers < 1e-3, "{cosine} {numbers}");
        }
    }
}

#[test]
fn a_face_that_is_found_as_it_lies_is_still_looked_at_upright() {
    let (mut embedder, people) = match (models_and_photo(), people()) {
        (Ok((embedder, _)), Ok(people)) => (embedder, people),
        (Err(why), _) | (_, Err(why)) => return eprintln!("skipped: {why}"),
    };
    for person in people.iter().step_by(people.len().div_ceil(4)) {
        let photo = photos_of(person).remove(0);
        let upright = seen(&mut embedder, &photo).faces.remove(0);
        let turned = [rotate90(&photo), rotate180(&photo), rotate270(&photo)];
        for (photo, degrees) in turned.iter().zip([90, 180, 270]) {
            let face = seen(&mut embedder, photo).faces.remove(0);
            let cosine = cosine(&face.vector, &upright.vector);
            assert!(
                cosine > 0.9,
                "{} turned by {degrees}: {cosine}",
                person.display()
            );
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

#[test]
fn every_model_that_is_installed_tells_people_apart_upright_and_tilted() {
    let (models, people) = match (models_dir(), people()) {
        (Ok(models), Ok(people)) => (models, people),
        (Err(why), _) | (_, Err(why)) => return eprintln!("skipped: {why}"),
    };
    let several = people.iter().map(|person| photos_of(person));
    let several: Vec<_> = several.filter(|photos| photos.len() > 1).take(8).collect();
    for manifest in Manifest::builtins() {
        let name = manifest.name.clone();
        let threshold = manifest.calibration.as_ref().unwrap().threshold;
        let mut embedder = match OnnxEmbedder::load_as(&models, 1, manifest) {
            Ok(embedder) => embedder,
            Err(why) => {
                eprintln!("skipped: {why}");
                continue;
            }
        };
        let mut vector = |photo: &RgbImage| seen(&mut embedder, photo).faces.remove(0).vector;
        let vectors: Vec<_> = several
            .iter()
            .map(|photos| [vector(&photos[0]), vector(&photos[1])])
            .collect();
        let same = vectors.iter().map(|[a, b]| cosine(a, b));
        let matched = same.filter(|it| *it >= threshold).count();
        assert!(matched >= vectors.len() - 1, "{name}: {matched}");
        let strangers = vectors.iter().zip(vectors.iter().skip(1));
        let strangers = strangers.map(|([a, _], [b, _])| cosine(a, b));
        let confused = strangers.filter(|it| *it >= threshold).count();
        assert!(confused <= 1, "{name}: {confused}");
        let tilted = vector(&tilted(&several[0][0]));
        let alike = cosine(&tilted, &vectors[0][0]);
        assert!(alike > threshold, "{name}, tilted: {alike}");
    }
}

#[test]
fn a_model_of_two_networks_gives_the_vectors_of_both() {
    let (models, people) = match (models_dir(), people()) {
        (Ok(models), Ok(people)) => (models, people),
        (Err(why), _) | (_, Err(why)) => return eprintln!("skipped: {why}"),
    };
    let photo = photos_of(&people[0]).remove(0);
    let all = Manifest::builtins();
    let both = all.iter().find(|it| !it.beside.is_empty()).unwrap();
    let vector = |manifest: &Manifest| {
        let mut embedder = OnnxEmbedder::load_as(&models, 1, manifest.clone())
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(seen(&mut embedder, &photo).faces.remove(0).vector)
    };
    let vectors = [&all[0], &all[1], both].map(vector);
    let [first, second, joined] = match vectors {
        [Ok(first), Ok(second), Ok(joined)] => [first, second, joined],
        [first, second, joined] => {
            let why = [first, second, joined].into_iter().find_map(Result::err);
            return eprintln!("skipped: {}", why.unwrap());
        }
    };
    assert_eq!(joined.len(), both.dim);
    let parts = both.parts();
    let weighted = |vector: &[f32], weight: f32| -> Vec<f32> {
        vector.iter().map(|x| x * weight.sqrt()).collect()
    };
    let due = [
        weighted(&first, parts[0].weight),
        weighted(&second, parts[1].weight),
    ];
    let apart = joined.iter().zip(due.concat()).map(|(a, b)| (a - b).abs());
    let apart = apart.fold(0.0, f32::max);
    assert!(apart < 1e-5, "{apart}");
}

#[test]
fn faces_of_60_pixels_in_ten_megapixels_are_found_and_known_and_only_looked_for_if_wanted() {
    let (mut embedder, people) = match (models_and_photo(), people()) {
        (Ok((embedder, _)), Ok(people)) => (embedder, people),
        (Err(why), _) | (_, Err(why)) => return eprintln!("skipped: {why}"),
    };
    let mut photo = RgbImage::from_pixel(3_600, 2_800, image::Rgb([90, 110, 130]));
    let some = people.iter().step_by(people.len().div_ceil(12));
    let mut vectors = Vec::new();
    for (at, person) in (0_u32..).zip(some) {
        let portrait = photos_of(person).remove(0);
        let face = seen(&mut embedder, &portrait).faces.remove(0);
        let [_, _, width, height] = face.bounding_box;
        let side = f64::from(portrait.width()) * 60.0 / f64::from(width.max(height));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number"
        )]
        let side = side.round() as u32;
        let small = resize(&portrait, side, side, FilterType::CatmullRom);
        // Wherever the ends of parts are.
        let (x, y) = (at % 4 * 860 + at * 37, at / 4 * 900 + at * 53);
        image::imageops::replace(&mut photo, &small, x.into(), y.into());
        vectors.push(face.vector);
    }
    let mut all = |smallest: u32| {
        let want = Want {
            faces: Choice::All,
            vectors: true,
            crop: false,
            smallest,
        };
        seen_as(&mut embedder, &photo, want).faces
    };
    let faces = all(0);
    // There may be bystanders in the photos.
    let found = vectors.len()..=vectors.len() + 3;
    assert!(found.contains(&faces.len()), "{}", faces.len());
    let threshold = Manifest::builtin().calibration.unwrap().threshold;
    let is_known = |vector: &&Vec<f32>| {
        let mut faces = faces.iter();
        faces.any(|face| cosine(&face.vector, vector) >= threshold)
    };
    let known = vectors.iter().filter(is_known).count();
    assert!(known + 1 >= vectors.len(), "{known} of {}", vectors.len());
    assert!(all(400).len() < vectors.len());
}
