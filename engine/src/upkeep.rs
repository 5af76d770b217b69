//! What an operator has done now and then while everything is served: files are read and compared with
//! their checksums, tables and log are written anew, what lies in files is brought into memory.

use std::hint::black_box;
use std::time::Instant;

use storage::{Lsn, PointId};

use crate::collection::Collection;
use crate::engine::Engine;
use crate::error::Error;
use crate::options::Progress;
use crate::verify;

/// Points that are read between two looks whether to go on.
const PIECE: usize = 64;
/// Numbers of a vector in a page of memory.
const PAGE: usize = 4_096 / size_of::<f32>();

/// What a compaction has come to.
#[derive(Debug, Clone, Copy)]
pub struct Compacted {
    /// All up to here is safe without the log.
    pub lsn: Lsn,
    /// Bytes of the tables' files before, and after.
    pub tables_bytes: (u64, u64),
    /// Bytes of the log before, and after.
    pub log_bytes: (u64, u64),
    /// How long it took.
    pub seconds: f64,
}

/// What files were read, and what they are like.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Snapshots of the two checkpoints that were read.
    pub snapshots: usize,
    /// Backups in the data folder that were read.
    pub backups: u64,
    /// What is wrong, with the file and the byte.
    pub damaged: Vec<String>,
    /// Whether nothing is damaged any more: new snapshots stand in the place of those that were. A backup
    /// cannot be made anew.
    pub mended: bool,
    /// Whether all was read: it was not told to go no further.
    pub complete: bool,
}

/// What is in memory now.
#[derive(Debug, Clone, Copy)]
pub struct Warmed {
    /// Points whose payloads were read.
    pub points: usize,
    /// Vectors that were read.
    pub vectors: usize,
}

impl Engine {
    /// Writes the tables anew without what is left of rows that have gone, and releases the log. Writes
    /// wait while the tables are written, backups and restores for all of it. One that is to go no
    /// further ends between two steps, as a cut does there.
    ///
    /// # Errors
    /// The disk fails or is full, or other nodes write to the log too.
    pub fn compact(&self, progress: Progress<'_>) -> Result<Compacted, Error> {
        const STEPS: u64 = 4;
        let mut step = |done| match progress(done, STEPS) {
            true => Ok(()),
            false => Err(Error::Cancelled),
        };
        step(0)?;
        if self.shared().log_is_shared {
            return Err(Error::Shared("releasing the log"));
        }
        if let Some(quarantined) = self.shared().catalog.quarantined().first() {
            return Err(quarantined.refusal());
        }
        let started = Instant::now();
        let _moving = self.moving.write();
        let sizes = || (self.tables_bytes(), self.status().log_bytes);
        let before = sizes();
        self.write_anew(None, &mut step)?;
        let after = sizes();
        // Done; there is nothing left to be cancelled.
        let _ = progress(STEPS, STEPS);
        Ok(Compacted {
            lsn: self.status().checkpoint_lsn,
            tables_bytes: (before.0, after.0),
            log_bytes: (before.1, after.1),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Reads the two checkpoints, every snapshot of theirs and every backup in the data folder, and
    /// compares them with their checksums. Where a checkpoint is damaged, two new ones are taken, with new
    /// snapshots of the collections whose are. Checkpoints wait while theirs are read, purges while
    /// backups are. Where it is to go no further, it tells what it has found until then.
    ///
    /// # Errors
    /// A folder cannot be listed. What is damaged is no error.
    pub fn examine(&self, progress: Progress<'_>) -> Result<Examined, Error> {
        let checkpointer = self.checkpointer()?;
        let found = checkpointer.examine(progress)?;
        // One after the other, so that both checkpoints that are kept are new.
        let anew = || (0..2).all(|_| checkpointer.take_anew(&found.whose).is_ok());
        let mut examined = Examined {
            snapshots: found.snapshots,
            backups: 0,
            mended: found.damaged.is_empty() || (found.complete && anew()),
            complete: false,
            damaged: found.damaged,
        };
        let snapshots = found.snapshots as u64;
        let mut go_on = || progress(snapshots, snapshots);
        if found.complete && go_on() {
            let _moving = self.moving.read();
            let backups = verify::backups(&self.shared().backups, &mut go_on)?;
            examined.backups = backups.read;
            examined.mended &= backups.damaged.is_empty();
            examined.complete = backups.complete;
            examined.damaged.extend(backups.damaged);
        }
        Ok(examined)
    }

    /// Reads all vectors and payloads of a collection, so that the first searches after a start, or
    /// after the system has used the memory for something else, need not wait for the disk.
    ///
    /// # Errors
    /// There is no such collection, or the tables cannot be read.
    pub fn warm_up(&self, collection: &str, progress: Progress<'_>) -> Result<Warmed, Error> {
        let target = self.collection(collection)?;
        let ids = target.ids();
        let mut warmed = Warmed {
            points: 0,
            vectors: 0,
        };
        for piece in ids.chunks(PIECE) {
            if !progress(warmed.points as u64, ids.len() as u64) {
                return Err(Error::Cancelled);
            }
            warmed.vectors += target.touch(piece);
            for id in piece {
                drop(black_box(
                    self.reading(|tables| tables.payload(target.id, id))?,
                ));
            }
            warmed.points += piece.len();
        }
        let _ = progress(ids.len() as u64, ids.len() as u64);
        Ok(warmed)
    }
}

impl Collection {
    /// Reads something of each page in which these points' vectors lie; returns how many they are.
    fn touch(&self, ids: &[PointId]) -> usize {
        let state = self.state.read();
        let state = &*state;
        let numbers = ids.iter().filter_map(|id| state.numbers.number(id));
        let vectors = numbers.flat_map(|number| {
            let spaces = state.spaces.values();
            spaces.filter_map(move |space| space.index.vector(space.slot(number)?))
        });
        let read = vectors.map(|vector| black_box(vector.iter().step_by(PAGE).sum::<f32>()));
        read.count()
    }
}
