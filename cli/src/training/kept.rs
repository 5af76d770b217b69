//! A network that was learned, put into the folder of models: its file, tried in ONNX Runtime, then its
//! manifest. Its name is taken before, for as long as it is learned.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use embedder::{Manifest, models};
use sha2::{Digest, Sha256};
use train::{Model, Samples};

/// How far the numbers of the file, as ONNX Runtime has them, may be from those that were learned.
const APART: f32 = 1e-4;
/// Samples that are compared.
const COMPARED: usize = 64;

/// A name in a folder of models, taken for the time of a training, so that no two write the same files.
pub(crate) struct Place {
    dir: PathBuf,
    name: String,
    lock: PathBuf,
    _locked: File,
}

impl Place {
    /// Takes the place of a model that is to be; the folder is there then.
    pub(crate) fn take(dir: &Path, manifest: &Manifest) -> Result<Self> {
        fs::create_dir_all(dir)
            .with_context(|| format!("{} is no folder, and none can be made", dir.display()))?;
        let name = &manifest.name;
        let lock = dir.join(format!("{name}.training.lock"));
        let locked = locked(&lock).with_context(|| lock.display().to_string())?;
        let Some(locked) = locked else {
            bail!(
                "a model {name} is being trained in {} already: wait until that has ended, or choose \
                 another name",
                dir.display()
            );
        };
        let place = Self {
            dir: dir.to_owned(),
            name: name.clone(),
            lock,
            _locked: locked,
        };
        place.still_free(manifest)?;
        Ok(place)
    }

    /// Where the training stands.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.dir.join(format!("{}.training", self.name))
    }

    /// Neither the name nor the file is another's.
    fn still_free(&self, manifest: &Manifest) -> Result<()> {
        expect_free(&self.dir, &self.name)?;
        let own = file_of(manifest);
        let known = models::list(&self.dir)?;
        let other = known.iter().find(|it| {
            let head = it.head.as_ref().map(|head| head.file.as_str());
            it.files().into_iter().chain(head).any(|file| file == own)
        });
        match other {
            Some(other) => bail!(
                "the file {own} is of the model {} already: choose another name",
                other.name
            ),
            None => Ok(()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that stays is in nobody's way.
        let _ = fs::remove_file(&self.lock);
    }
}

/// A file that this process alone has locked; nothing if another has.
fn locked(path: &Path) -> std::io::Result<Option<File>> {
    loop {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had it before has removed it at the end: perhaps after it was opened here.
        let own = file.metadata()?.ino();
        if fs::metadata(path).is_ok_and(|there| there.ino() == own) {
            return Ok(Some(file));
        }
    }
}

/// The file that a training makes.
fn file_of(manifest: &Manifest) -> &str {
    let head = manifest.head.as_ref();
    head.map_or(&manifest.embedder.file, |head| &head.file)
}

/// No model has the name.
pub(crate) fn expect_free(dir: &Path, name: &str) -> Result<()> {
    let known = models::list(dir)?;
    ensure!(
        !known.iter().any(|known| known.name == *name),
        "there is a model {name} already: choose another name, or remove its manifest first"
    );
    Ok(())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest that makes sense.
pub(crate) fn checked(manifest: &Manifest) -> Result<Manifest> {
    let checked = Manifest::parse(&serde_json::to_string(manifest)?);
    checked.map_err(|reason| anyhow!("{reason}"))
}

/// Writes the file, has it answer for some of the samples by `run`, and keeps the manifest; says what came
/// of it in some lines.
pub(crate) fn keep(
    place: &Place,
    (manifest, bytes): (&Manifest, &[u8]),
    (model, samples): (&Model, &Samples),
    run: impl FnOnce(&[Vec<f32>]) -> Result<Vec<Vec<f32>>, embedder::Error>,
) -> Result<String> {
    // It was learned for long: somebody may have put a model there by hand.
    place.still_free(manifest)?;
    let path = place.dir.join(file_of(manifest));
    train::write_whole(&path, bytes)?;
    let tried = compared(model, samples, run)?;
    let kept = models::keep(&place.dir, manifest)?;
    let checkpoint = place.checkpoint();
    fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    Ok(format!("{tried}\n{}\n{}\n", path.display(), kept.display()))
}

/// What ONNX Runtime makes of the file is what was learned.
fn compared(
    model: &Model,
    samples: &Samples,
    run: impl FnOnce(&[Vec<f32>]) -> Result<Vec<Vec<f32>>, embedder::Error>,
) -> Result<String> {
    let some: Vec<Vec<f32>> = samples.rows().take(COMPARED).map(<[f32]>::to_vec).collect();
    let made = match run(&some) {
        Err(embedder::Error::NotInstalled(why)) => {
            return Ok(format!("the file could not be tried: {why}"));
        }
        made => made?,
    };
    let due = model.vectors(samples)?;
    let numbers = made.iter().flatten().zip(due.iter().flatten());
    let apart = numbers.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    ensure!(
        apart <= APART,
        "ONNX Runtime's numbers are {apart} from those that were learned"
    );
    Ok(format!(
        "ONNX Runtime's numbers are within {apart:.0e} of those that were learned"
    ))
}

#[cfg(test)]
mod tests {
    use train::{HeadShape, Shape};

    use super::*;

    fn head(name: &str) -> Manifest {
        let base = Manifest::builtin();
        Manifest {
            name: name.to_owned(),
            dim: 2,
            calibration: None,
            head: Some(embedder::Head {
                base: base.name.clone(),
                input: base.dim,
                file: format!("{name}.head.onnx"),
                sha256: sha256(b"learned"),
            }),
            ..base
        }
    }

    fn kept(place: &Place, manifest: &Manifest) -> Result<String> {
        let shape = Shape::Head(HeadShape {
            input: 2,
            hidden: None,
            output: 2,
        });
        let model = Model::of(shape, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        let samples = Samples::new(&[2], vec![1.0, 0.0], vec![1]).unwrap();
        keep(place, (manifest, b"learned"), (&model, &samples), |it| {
            Ok(it.to_vec())
        })
    }

    #[test]
    fn a_name_is_taken_for_the_time_of_a_training_and_free_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(folder.path(), &head("mine")).unwrap();
        let again = Place::take(folder.path(), &head("mine")).err().unwrap();
        assert!(again.to_string().contains("is being trained"), "{again}");
        drop(Place::take(folder.path(), &head("other")).unwrap());
        drop(place);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // One that was killed leaves its file.
        fs::write(folder.path().join("mine.training.lock"), "").unwrap();
        drop(Place::take(folder.path(), &head("mine")).unwrap());
    }

    #[test]
    fn a_model_that_came_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(folder.path(), &head("mine")).unwrap();
        fs::write(place.checkpoint(), "").unwrap();
        models::keep(folder.path(), &head("mine")).unwrap();
        let refused = kept(&place, &head("mine")).unwrap_err().to_string();
        assert!(
            refused.contains("there is a model mine already"),
            "{refused}"
        );
        assert!(!folder.path().join("mine.head.onnx").exists());
        fs::remove_file(folder.path().join("mine.manifest.json")).unwrap();
        let mut theirs = head("theirs");
        theirs.head.as_mut().unwrap().file = "mine.head.onnx".to_owned();
        models::keep(folder.path(), &theirs).unwrap();
        let refused = kept(&place, &head("mine")).unwrap_err().to_string();
        assert!(refused.contains("is of the model theirs"), "{refused}");
        fs::remove_file(folder.path().join("theirs.manifest.json")).unwrap();
        kept(&place, &head("mine")).unwrap();
        assert!(folder.path().join("mine.head.onnx").exists() && !place.checkpoint().exists());
    }
}
