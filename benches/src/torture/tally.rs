//! What was tried and what came of it.

use std::fmt;

use crate::chance::Chance;

/// Counts of one run.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Writes, deletes, checkpoints and so on that were asked for.
    pub operations: u64,
    /// Answers that were compared with the model's.
    pub answers: u64,
    /// Operations of the simulated disk.
    pub disk_steps: u64,
    /// Power cuts of the simulated disk.
    pub crashes: u64,
    /// Kills of an engine on the simulated disk, whose page cache lives on.
    pub simulated_kills: u64,
    /// Kills (`SIGKILL`) of a server process.
    pub kills: u64,
    /// Kills of a server process that had not finished recovering.
    pub kills_in_recovery: u64,
    /// Power cuts of a server process: files are what was synced, and chance.
    pub power_cuts: u64,
    /// What those processes had done to files.
    pub power_cut_steps: u64,
    /// Starts of a server process that found its tables broken, and built them anew.
    pub tables_rebuilt: u64,
    /// Errors, short writes, lost syncs and bad reads injected.
    pub faults: u64,
    /// Bytes flipped or files cut.
    pub flips: u64,
    /// Of those, how many were refused by name; the rest was recovered exactly.
    pub refused: u64,
    /// Malformed inputs given to decoders and routes.
    pub bad_inputs: u64,
    /// What the simulated disks saw, in one number: the same for two runs that did the same.
    pub fingerprint: u64,
    /// Each thing that must never be, with the seed that brings it about again.
    pub lost: Vec<String>,
    /// Wrong answers.
    pub wrong: Vec<String>,
    /// Panics.
    pub panicked: Vec<String>,
}

impl Tally {
    /// Whether nothing was lost, wrong or panicked.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.wrong.is_empty() && self.panicked.is_empty()
    }

    /// Takes the trace of a simulated disk into the fingerprint, in whatever order disks come.
    pub(super) fn note(&mut self, (changes, reads): (u32, u64)) {
        self.fingerprint ^= Chance::new(reads << 32 | u64::from(changes)).next();
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: Tally) {
        self.operations += other.operations;
        self.answers += other.answers;
        self.disk_steps += other.disk_steps;
        self.crashes += other.crashes;
        self.simulated_kills += other.simulated_kills;
        self.kills += other.kills;
        self.kills_in_recovery += other.kills_in_recovery;
        self.power_cuts += other.power_cuts;
        self.power_cut_steps += other.power_cut_steps;
        self.tables_rebuilt += other.tables_rebuilt;
        self.faults += other.faults;
        self.flips += other.flips;
        self.refused += other.refused;
        self.bad_inputs += other.bad_inputs;
        self.fingerprint ^= other.fingerprint;
        self.lost.extend(other.lost);
        self.wrong.extend(other.wrong);
        self.panicked.extend(other.panicked);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("operations tried", self.operations),
            ("answers compared with the model", self.answers),
            ("steps of the simulated disk", self.disk_steps),
            ("power cuts simulated", self.crashes),
            ("kills simulated", self.simulated_kills),
            ("kills of a real process", self.kills),
            ("  of them during recovery", self.kills_in_recovery),
            ("power cuts of a real process", self.power_cuts),
            ("  writes and syncs before them", self.power_cut_steps),
            ("  starts with broken tables", self.tables_rebuilt),
            ("faults injected", self.faults),
            ("bytes flipped, files cut", self.flips),
            ("  refused by name", self.refused),
            (
                "  recovered exactly",
                self.flips.saturating_sub(self.refused),
            ),
            ("bad inputs tried", self.bad_inputs),
            ("lost", self.lost.len() as u64),
            ("wrong", self.wrong.len() as u64),
            ("panicked", self.panicked.len() as u64),
        ];
        for (what, count) in lines {
            writeln!(out, "{what:<34} {count:>12}")?;
        }
        let found = self.lost.iter().map(|what| ("lost", what));
        let found = found.chain(self.wrong.iter().map(|what| ("wrong", what)));
        for (kind, what) in found.chain(self.panicked.iter().map(|what| ("panicked", what))) {
            writeln!(out, "{kind}: {what}")?;
        }
        Ok(())
    }
}
