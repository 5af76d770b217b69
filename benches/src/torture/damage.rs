//! Files of a real data folder, flipped and cut at one byte after another: the engine must answer
//! exactly what it did before, or refuse in a way that names the file.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::Result;
use engine::{Engine, Options};

use super::model::Model;
use super::ops::Op;
use super::shelf::Shelf;
use super::simulated::Until;
use super::tally::Tally;
use super::world::{observe, perform};
use crate::chance::Chance;

/// Files by their path in the data folder.
type Image = BTreeMap<PathBuf, Vec<u8>>;

#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(usize, u8),
    Cut(usize),
}

/// Harms every `every`-th byte of every file in turn, from a place that the seed says. sled's file is mostly empty and large, so it is harmed at random places.
pub fn damage_every_byte(seed: u64, every: usize, until: Until, scratch: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    for killed in [true, false] {
        let (image, model) = folder(seed, killed, scratch)?;
        let mut chance = Chance::new(seed);
        for (path, harm) in harms(&image, every, &mut chance) {
            if until.is_over(tally.flips, &tally, 1) || !tally.is_clean() {
                return Ok(tally);
            }
            let what = format!(
                "seed {seed}, killed {killed}: {harm:?} of {}",
                path.display()
            );
            let tried = catch_unwind(AssertUnwindSafe(|| {
                try_harm(&image, &model, &path, harm, scratch)
            }));
            tally.flips += 1;
            match tried {
                Ok(Ok(Outcome::Exact)) => tally.answers += 1,
                Ok(Ok(Outcome::Refused)) => tally.refused += 1,
                Ok(Ok(Outcome::Wrong(why))) => tally.wrong.push(format!("{what}: {why}")),
                Ok(Err(error)) => return Err(error),
                Err(_) => tally.panicked.push(what),
            }
        }
    }
    Ok(tally)
}

enum Outcome {
    Exact,
    Refused,
    Wrong(String),
}

/// A small data folder with everything in it: two checkpoints, a log that goes on after them,
/// pictures. `killed`: as a process that was killed leaves it.
fn folder(seed: u64, killed: bool, scratch: &Path) -> Result<(Image, Model)> {
    let dir = scratch.join("whole");
    clear(&dir)?;
    let engine = open(&dir)?;
    let (mut model, mut shelf) = (Model::default(), Shelf::default());
    let mut chance = Chance::new(seed);
    for step in 0..48 {
        let op = match step {
            12 | 24 => Op::Checkpoint,
            _ => model.choose(&shelf, &mut chance),
        };
        if matches!(
            op,
            Op::Drop(_) | Op::DropBackup(_) | Op::Purge(..) | Op::Compact | Op::Reopen
        ) {
            continue;
        }
        let made = perform(&engine, &model, &op)?;
        model.apply(&op);
        if let (Op::Backup(of), Some(name)) = (&op, made) {
            shelf.put(*of, name, &model);
        }
    }
    let mut image = Image::new();
    if killed {
        read_into(&dir, &dir, &mut image)?;
        drop(engine);
    } else {
        drop(engine);
        read_into(&dir, &dir, &mut image)?;
    }
    image.remove(Path::new("LOCK"));
    Ok((image, model))
}

fn open(dir: &Path) -> Result<Engine, engine::Error> {
    Engine::open(Options {
        segment_bytes: 4_000,
        ..Options::new(dir)
    })
}

fn read_into(root: &Path, dir: &Path, image: &mut Image) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            read_into(root, &path, image)?;
        } else {
            image.insert(path.strip_prefix(root)?.to_owned(), fs::read(&path)?);
        }
    }
    Ok(())
}

fn harms(image: &Image, every: usize, chance: &mut Chance) -> Vec<(PathBuf, Harm)> {
    let mut harms = Vec::new();
    for (path, bytes) in image {
        let mask = |chance: &mut Chance| 1 << chance.below(8);
        if path.starts_with("tables") {
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
            for _ in 0..(2_000 / every).max(4) {
                let flip = Harm::Flip(chance.index(used), mask(chance));
                harms.push((path.clone(), flip));
                harms.push((path.clone(), Harm::Cut(chance.index(used))));
            }
            continue;
        }
        for at in (chance.index(every)..bytes.len()).step_by(every) {
            harms.push((path.clone(), Harm::Flip(at, mask(chance))));
            harms.push((path.clone(), Harm::Cut(at)));
        }
    }
    harms
}

fn try_harm(
    image: &Image,
    model: &Model,
    path: &Path,
    harm: Harm,
    scratch: &Path,
) -> Result<Outcome> {
    let dir = scratch.join("harmed");
    clear(&dir)?;
    for (name, bytes) in image {
        let target = dir.join(name);
        fs::create_dir_all(target.parent().unwrap_or(&dir))?;
        let mut bytes = bytes.clone();
        if name == path {
            match harm {
                Harm::Flip(at, mask) => bytes[at] ^= mask,
                Harm::Cut(at) => bytes.truncate(at),
            }
        }
        fs::write(target, bytes)?;
    }
    let found = match open(&dir) {
        Ok(engine) => observe(&engine),
        Err(error) => Err(error.to_string()),
    };
    Ok(match found {
        Ok(found) if found == *model => Outcome::Exact,
        Ok(found) => Outcome::Wrong(format!("found {found:?}, not {model:?}")),
        Err(why) if names(&why, path) => Outcome::Refused,
        Err(why) => Outcome::Wrong(format!("a refusal that names no file: {why}")),
    })
}

/// Whether a refusal says which file is at fault.
fn names(why: &str, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| why.contains(name))
}

fn clear(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}
