//! Opening the tables without trusting them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{STORE, Tables, Trees, fail, rewrite};
use parking_lot::RwLock;

use crate::disk::{Disk, OsDisk};
use crate::error::Error;
use crate::ids::Lsn;
use crate::limits::TABLES_OPEN_LIMIT_S;

/// How often, and how long between, tables are opened that have just been closed.
const OPENINGS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// What the tables must agree with to be used.
#[derive(Debug, Clone, Copy)]
pub struct Expectation {
    /// The data folder's number.
    pub store: u128,
    /// The checkpoint that the tables must have reached.
    pub at_least: Lsn,
    /// The end of the log, which the tables must not be ahead of.
    pub at_most: Lsn,
}

/// Tables that can be used.
pub struct OpenedTables {
    /// The tables.
    pub tables: Tables,
    /// Why they are empty and must be filled from snapshots, if they are.
    pub rebuild: Option<String>,
}

impl Tables {
    /// Opens the tables at `path`; tables that do not open in time or do not fit are moved aside
    /// and empty ones made. Tables that know more than the log are not: the log is damaged then.
    pub fn open(path: &Path, expected: &Expectation) -> Result<OpenedTables, Error> {
        rewrite::tidy(path)?;
        let fresh = expected.at_least == Lsn(0) && !path.exists();
        match open_guarded(path).and_then(|tables| tables.fits(expected).map(|()| tables)) {
            Ok(tables) => Ok(OpenedTables {
                tables,
                rebuild: None,
            }),
            Err(error) if fresh => Err(error),
            Err(error @ Error::Corrupt { .. }) => Err(error),
            Err(error) => Self::start_over(path, expected, error.to_string()),
        }
    }

    /// Moves the tables at `path` aside and opens empty ones. Nothing else may hold them open.
    pub fn start_over(
        path: &Path,
        expected: &Expectation,
        reason: String,
    ) -> Result<OpenedTables, Error> {
        move_aside(path)?;
        let tables = open_guarded(path)?;
        tables.mark(expected.store)?;
        Ok(OpenedTables {
            tables,
            rebuild: Some(reason),
        })
    }

    /// Moves the tables at `path` aside, so that the next opening rebuilds them.
    pub fn set_aside(path: &Path) -> Result<(), Error> {
        move_aside(path)
    }

    /// Removes the tables at `path`, and what was moved aside before: something else takes the place of all
    /// that they hold.
    pub fn remove(path: &Path) -> Result<(), Error> {
        for gone in [path.to_owned(), path.with_extension("broken")] {
            match fs::remove_dir_all(&gone) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&gone, "remove")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn mark(&self, store: u128) -> Result<(), Error> {
        self.trees()?.meta.insert(STORE, &store.to_be_bytes())?;
        self.flush_and_sync()
    }

    /// Fits tables that were never marked only to a folder without a checkpoint.
    fn fits(&self, expected: &Expectation) -> Result<(), Error> {
        let (store, empty) = {
            let open = self.trees()?;
            (open.meta.get(STORE)?, open.payloads.is_empty())
        };
        match store {
            None if expected.at_least == Lsn(0) && empty => {
                return self.mark(expected.store);
            }
            None => return Err(fail("they are empty, but a checkpoint says otherwise")),
            Some(store) if store != expected.store.to_be_bytes() => {
                return Err(fail("they belong to another data folder"));
            }
            Some(_) => {}
        }
        let applied = self.applied_lsn()?;
        if applied < expected.at_least {
            return Err(fail(format!(
                "they end at LSN {applied}, before the checkpoint at {}",
                expected.at_least
            )));
        }
        if applied > expected.at_most {
            // Tables follow what is synced. That they are ahead says that the log has lost something.
            let what = format!(
                "the tables are at LSN {applied}, but the log ends at {}: records that were \
                 acknowledged are missing from the log",
                expected.at_most
            );
            return Err(Error::corrupt(&self.path, 0, what));
        }
        Ok(())
    }
}

/// sled may panic or hang on damaged files.
pub(super) fn open_guarded(path: &Path) -> Result<Tables, Error> {
    let (sender, receiver) = mpsc::channel();
    let dir = path.to_owned();
    std::thread::Builder::new()
        .name("open-tables".into())
        .spawn(move || {
            let opened = catch_unwind(AssertUnwindSafe(|| open_plain(dir)));
            // Nobody waits any more when the time limit has passed.
            let _ =
                sender.send(opened.unwrap_or_else(|_| Err(fail("sled panicked while opening"))));
        })
        .map_err(Error::io(path, "start a thread to open"))?;
    receiver
        .recv_timeout(Duration::from_secs(TABLES_OPEN_LIMIT_S))
        .unwrap_or_else(|_| {
            Err(fail(format!(
                "they did not open within {TABLES_OPEN_LIMIT_S} seconds"
            )))
        })
}

fn open_plain(path: PathBuf) -> Result<Tables, Error> {
    // sled's files are readable by all, were it not for the folder that they lie in.
    let made = OsDisk.create_dir_all(&path);
    made.map_err(Error::io(&path, "make the folder"))?;
    let config = sled::Config::new()
        .path(&path)
        .flush_every_ms(None)
        .cache_capacity(128 << 20);
    let db = open_let_go(&config)?;
    let tree = |name: &str| db.open_tree(name).map_err(fail);
    let trees = Trees {
        meta: tree("meta")?,
        points: tree("points")?,
        payloads: tree("payloads")?,
        faces: tree("faces")?,
        db,
    };
    Ok(Tables {
        path,
        open: Arc::new(RwLock::new(Some(trees))),
        spare: Arc::default(),
    })
}

/// Where sled has just closed a folder its threads let go of the file a moment later. Tables that
/// this happens to are not broken. No other process is here, because the data folder is locked.
fn open_let_go(config: &sled::Config) -> Result<sled::Db, Error> {
    for _ in 0..OPENINGS {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(PAUSE);
            }
            opened => return Ok(opened?),
        }
    }
    Ok(config.open()?)
}

/// Keeps the broken tables beside, for whoever wants to look; only the latest are kept.
fn move_aside(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    let aside = path.with_extension("broken");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io(&aside, "remove"))?;
    }
    fs::rename(path, &aside).map_err(Error::io(path, "move aside"))
}
