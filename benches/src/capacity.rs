//! What a collection of a size would need, on paper: arithmetic on figures that were measured, each
//! with the command that printed it. Beyond a million vectors everything here is extrapolated.

/// What was measured, for vectors of 512 numbers with the settings that doppel comes with.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// RAM of a vector, with its id and its rows in the tables: `--bin growth`, from 500,000 to 1,000,000.
    pub ram_bytes: f64,
    /// Disk of a vector, log and snapshots among it: the same.
    pub disk_bytes: f64,
    /// CPU time of a search in an index of a million vectors at recall@10 0.99: `--bin ann`.
    pub index_us: f64,
    /// The power of n that it grows with: the same, from 200,000 to 1,000,000.
    pub index_power: f64,
    /// CPU time that a request takes beside the index: `--bin load`, less the index's.
    pub request_us: f64,
    /// CPU time to put a vector into an index: `--bin ann`, a million vectors.
    pub insert_us: f64,
    /// Time to be ready, a vector, one core: `--bin growth`, 1,000,000.
    pub ready_us: f64,
    /// Time of a checkpoint, a vector: the same.
    pub checkpoint_us: f64,
    /// CPU time to find the face in a photo and make its vector: `--bin faces`, 8 bits.
    pub photo_ms: f64,
}

/// The figures of docs/BENCHMARKS.md and docs/scaling/capacity.md.
pub const MEASURED: Measured = Measured {
    ram_bytes: 1_531.0,
    disk_bytes: 5_914.0,
    index_us: 1e6 / 19_700.0,
    index_power: 0.355,
    request_us: 1e6 / 9_600.0 - 1e6 / 46_500.0,
    insert_us: 206.0,
    ready_us: 2.06,
    checkpoint_us: 6.16,
    photo_ms: 20.7,
};

/// A machine.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// RAM that vectors may fill.
    pub ram_bytes: f64,
    /// Cores.
    pub cores: f64,
}

/// What a collection would need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Its parts.
    pub shards: f64,
    /// RAM of one copy.
    pub ram_bytes: f64,
    /// Disk of one copy.
    pub disk_bytes: f64,
    /// Machines of one copy: whatever fills first, and each shard whole on one.
    pub machines: f64,
    /// CPU time of a search, over all shards.
    pub search_ms: f64,
    /// Searches a second of one copy, with half of the cores' time for them.
    pub searches: f64,
    /// Cores for one hour that one copy's index takes to build.
    pub build_core_hours: f64,
    /// Cores for one hour that its photos take to be looked at.
    pub photo_core_hours: f64,
    /// Until a shard is ready after a start, in seconds of one core.
    pub ready_s: f64,
    /// What a checkpoint of a shard takes, in seconds.
    pub checkpoint_s: f64,
}

/// The part of the cores' time that is for searches.
const BUSY: f64 = 0.5;

/// For so many vectors in shards of at most so many.
pub fn plan(measured: &Measured, machine: &Machine, vectors: f64, shard: f64) -> Plan {
    let shards = (vectors / shard).ceil();
    let each = vectors / shards;
    let index_us = measured.index_us * (each / 1e6).powf(measured.index_power);
    let search_ms = shards * (index_us + measured.request_us) / 1e3;
    let on_one = (machine.ram_bytes / (each * measured.ram_bytes)).floor();
    let machines = if on_one < 1.0 {
        f64::INFINITY
    } else {
        (shards / on_one).ceil()
    };
    Plan {
        shards,
        ram_bytes: vectors * measured.ram_bytes,
        disk_bytes: vectors * measured.disk_bytes,
        machines,
        search_ms,
        searches: machines * machine.cores * BUSY * 1e3 / search_ms,
        build_core_hours: vectors * measured.insert_us / 3.6e9,
        photo_core_hours: vectors * measured.photo_ms / 3.6e6,
        ready_s: each * measured.ready_us / 1e6,
        checkpoint_s: each * measured.checkpoint_us / 1e6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        ram_bytes: 180e9,
        cores: 32.0,
    };

    #[test]
    fn one_shard_of_a_million_needs_what_was_measured_of_one() {
        let plan = plan(&MEASURED, &MACHINE, 1e6, 1e7);
        assert_eq!((plan.shards, plan.machines), (1.0, 1.0));
        let us = MEASURED.index_us + MEASURED.request_us;
        assert!((plan.search_ms - us / 1e3).abs() < 1e-9);
        assert!((plan.searches - 16.0 * 1e6 / us).abs() < 1e-3);
        assert!((plan.ready_s - 2.06).abs() < 1e-9);
        assert!((plan.build_core_hours - 206.0 / 3_600.0).abs() < 1e-9);
    }

    #[test]
    fn shards_stay_whole_and_one_that_no_machine_holds_has_none() {
        // Eleven shards of ten million fit into a machine, so a hundred need ten.
        let billion = plan(&MEASURED, &MACHINE, 1e9, 1e7);
        assert_eq!((billion.shards, billion.machines), (100.0, 10.0));
        assert!(plan(&MEASURED, &MACHINE, 1e9, 1e9).machines.is_infinite());
    }

    #[test]
    fn larger_shards_are_cheaper_to_search_and_slower_to_start() {
        let small = plan(&MEASURED, &MACHINE, 1e9, 1e7);
        let large = plan(&MEASURED, &MACHINE, 1e9, 1e8);
        assert!(large.search_ms < small.search_ms / 4.0);
        assert!(large.ready_s > small.ready_s * 9.0);
    }
}
