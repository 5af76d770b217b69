//! Every limit and constant of the index in one place.

/// Numbers in a vector.
pub const MAX_DIM: usize = 65_536;
/// Links of a point on an upper level.
pub const MAX_M: usize = 256;
/// Candidates considered at an insert.
pub const MAX_EF_CONSTRUCT: usize = 10_000;
/// Hits of one search.
pub const MAX_K: usize = 10_000;
/// Slots of an index.
pub const MAX_SLOTS: usize = 1 << 31;
/// Candidates a search expands at most.
pub const MAX_EF: usize = 1_000_000;
/// Candidates a search expands when it is not told, and more were not measured to be needed.
pub const DEFAULT_EF: usize = 64;
/// What part of the [`USUAL_K`] nearest points such a search is to find.
pub const USUAL_RECALL: f32 = 0.99;
/// As many as people ask for most.
pub const USUAL_K: usize = 10;
/// How many points a walk looks at for each candidate that it expands.
pub const WALK_STEP: usize = 20;
/// Candidates that a search expands at least.
pub const MIN_EF: usize = 4;
/// Candidates that a search keeps at least, so that none comes back empty-handed.
pub const MIN_WIDTH: usize = 20;
/// Highest level of the graph.
pub const MAX_LEVEL: u8 = 15;
/// A number's largest size: squares of such numbers, and sums of as many as a vector may have, are
/// still finite. There is no smallest: but squares of differences below some 1e-19 (Euclid) and such
/// products (dot) vanish, and points as near as that are as good as equal.
pub const MAX_NUMBER: f32 = 1e16;
/// Numbers of live points at which codes are given a new centre.
pub const CENTRE_LENS: [usize; 3] = [16, 128, 1_024];
/// Candidates a search keeps for a better look beyond those it is asked for: as many again, at most
/// so many.
pub const MAX_SPARE: usize = 32;
/// Points that a wanted recall is measured on.
pub const TUNE_SAMPLE: usize = 200;
/// An `ef` of this part (1/n) of all points makes a walk as much work as a scan, which reads them in
/// their order: more is not tried for a wanted recall, unless it is what searches do that are not told.
pub const TUNE_PART: usize = 40;
/// Nor is more than this.
pub const TUNE_TOP: usize = 100_000;
