//! Every limit and constant of the index in one place.

/// Numbers in a vector.
pub const MAX_DIM: usize = 65_536;
/// Links of a point on an upper level.
pub const MAX_M: usize = 256;
/// Candidates considered at an insert.
pub const MAX_EF_CONSTRUCT: usize = 10_000;
/// Hits of one search.
pub const MAX_K: usize = 10_000;
/// A collection of at most this many points is compared one by one: at this size that is as quick
/// as the graph, and exact.
pub const SCAN_LEN: usize = 2_000;
/// A search keeps at least this many candidates, so that none comes back empty-handed.
pub const MIN_EF: usize = 32;
/// Highest level of the graph.
pub const MAX_LEVEL: u8 = 15;
