//! Every limit of the files in one place.

/// Bytes of one record.
pub const MAX_RECORD_BYTES: usize = 256 << 20;
/// Bytes of the records in one frame; a record that is larger alone still gets a frame.
pub const MAX_FRAME_BYTES: usize = 1 << 30;
/// Records in one frame.
pub const MAX_FRAME_RECORDS: usize = 1 << 16;
/// Bytes after which the blobs go on in a new file.
pub const BLOB_FILE_BYTES: u64 = 256 << 20;
/// Bytes of one crop or photo.
pub const MAX_BLOB_BYTES: usize = 64 << 20;
/// Bytes of one file of a node's copy of the log: what comes then is not kept until the next checkpoint.
pub const COPY_FILE_BYTES: u64 = 1 << 30;
/// Bytes of a manifest.
pub const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// Bytes of changes that share one transaction of the tables.
pub const TRANSACTION_BYTES: usize = 8 << 20;
/// Bytes that each row counts as in these beside its own: for every one sled makes its node anew, and
/// lets no former state of it go before the transaction ends.
pub const ROW_BYTES: usize = 8 << 10;
/// Seconds that opening the tables may take before they count as broken.
pub const TABLES_OPEN_LIMIT_S: u64 = 120;
/// Sections of a snapshot or a backup.
pub const MAX_SECTIONS: usize = 1 << 20;
/// Bytes of the table of sections.
pub const MAX_SECTION_TABLE_BYTES: usize = 64 << 20;
/// Bytes of what a backup says that it holds.
pub const MAX_CONTENTS_BYTES: u64 = 256 << 20;
/// Bytes of a small file that is replaced as a whole.
pub const MAX_WHOLE_BYTES: u64 = 16 << 20;
/// Characters of a backup's name.
pub const MAX_BACKUP_NAME_LEN: usize = 200;
/// Bytes of one row in a snapshot's list of points. A payload is checked when it is changed, but
/// changes that wait for each other may make it larger than any of them may.
pub const MAX_ROW_BYTES: usize = 1 << 30;
