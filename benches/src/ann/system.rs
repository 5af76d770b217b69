//! What is measured: ours in this process, a peer in a process of its own, asked in the same words.

use anyhow::Result;

use super::catalogue::Choice;
use super::clock::{cpu_s, pinned};
use super::dataset::Dataset;
use super::doppel::Doppel;
use super::peer::Peer;
use super::table::Table;
use super::venv::Venv;

/// How a build went.
#[derive(Debug, Clone)]
pub struct Built {
    /// Seconds of CPU, on one core.
    pub cpu_s: f64,
    /// Seconds by the clock.
    pub wall_s: f64,
    /// Size of the index over the number of vectors.
    pub bytes_per_vector: f64,
    /// What that size is: `saved` (its file), `own` (its own count), `arrays` (of NumPy).
    pub bytes_are: String,
    /// Growth of the process's private memory over the number of vectors.
    pub rss_per_vector: Option<f64>,
}

/// All queries asked once, one after another on one core.
#[derive(Debug, Clone)]
pub struct Pass {
    /// How many were asked.
    pub queries: usize,
    /// Seconds of CPU.
    pub cpu_s: f64,
    /// Seconds by the clock.
    pub wall_s: f64,
    /// Mean time of one query.
    pub mean_us: f64,
    /// 99 of 100 queries took at most this long.
    pub p99_us: f64,
    /// Vectors compared for one query, where the system tells.
    pub distances: Option<f64>,
    /// The numbers of the vectors found, if they were asked for.
    pub ids: Option<Table<u32>>,
}

/// A question that a system is to answer.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// How many neighbours.
    pub k: usize,
    /// The system's search parameter.
    pub param: usize,
    /// The first so many queries.
    pub queries: usize,
    /// Whether the answers are wanted, not only the times.
    pub want_ids: bool,
}

/// A system that was built.
pub enum System {
    /// Ours.
    Doppel(Box<Doppel>),
    /// Another one.
    Peer(Peer),
}

impl System {
    /// Builds it over the base on one core.
    ///
    /// # Errors
    /// It cannot be installed, started or built.
    pub fn build(
        choice: &Choice,
        data: &Dataset,
        core: usize,
        venv: &mut Venv,
    ) -> Result<(Self, Built)> {
        if choice.kind.is_ours() {
            let (doppel, built) = Doppel::build(&choice.options, data, core)?;
            return Ok((Self::Doppel(Box::new(doppel)), built));
        }
        let python = venv.python_with(choice.kind.packages)?;
        let mut peer = Peer::start(&python, choice, data, core)?;
        let built = peer.build()?;
        Ok((Self::Peer(peer), built))
    }

    /// Asks all queries once.
    ///
    /// # Errors
    /// It refuses, or its process is gone.
    pub fn search(&mut self, data: &Dataset, core: usize, ask: Ask) -> Result<Pass> {
        match self {
            Self::Doppel(doppel) => doppel.pass(data, core, ask),
            Self::Peer(peer) => peer.search(ask),
        }
    }

    /// Removes vectors of the base on one core; gives the CPU seconds.
    ///
    /// # Errors
    /// It cannot remove.
    pub fn remove(&mut self, core: usize, rows: &[u32]) -> Result<f64> {
        match self {
            Self::Doppel(doppel) => timed(core, || {
                rows.iter().try_for_each(|row| doppel.remove(*row as usize))
            }),
            Self::Peer(peer) => peer.change("remove", rows),
        }
    }

    /// Inserts vectors of the base in this order on one core; gives the CPU seconds.
    ///
    /// # Errors
    /// It cannot insert.
    pub fn insert(&mut self, data: &Dataset, core: usize, rows: &[u32]) -> Result<f64> {
        match self {
            Self::Doppel(doppel) => timed(core, || {
                let rows = rows
                    .iter()
                    .map(|row| (*row as usize, data.base.row(*row as usize)));
                let rows: Vec<_> = rows.collect();
                rows.chunks(doppel.batch_len())
                    .try_for_each(|batch| doppel.insert(batch))
            }),
            Self::Peer(peer) => peer.change("insert", rows),
        }
    }

    /// Size of the index in bytes, found as at its build.
    ///
    /// # Errors
    /// Its process is gone.
    pub fn bytes(&mut self) -> Result<u64> {
        match self {
            Self::Doppel(doppel) => Ok(doppel.bytes() as u64),
            Self::Peer(peer) => peer.bytes(),
        }
    }

    /// What it finds broken in itself, if it can tell.
    pub fn violations(&self) -> Option<usize> {
        match self {
            Self::Doppel(doppel) => Some(doppel.violations()),
            Self::Peer(_) => None,
        }
    }
}

fn timed(core: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    pinned(core, || {
        let before = cpu_s();
        work()?;
        Ok(cpu_s() - before)
    })
}
