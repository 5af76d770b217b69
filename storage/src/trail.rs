//! A trail of lines, one JSON object each: the file that is written is closed at a size and gets the
//! time as a name, and of the closed ones the oldest go. Nothing is synced.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Lines in files of a folder, of which the last is written.
pub struct Trail {
    dir: PathBuf,
    /// What the files are called.
    name: &'static str,
    file: File,
    bytes: u64,
    /// Whether its last line has no end.
    torn: bool,
    /// A file that would have more is closed.
    most: u64,
    /// Closed files that are kept.
    kept: usize,
    /// Of this process, as long as it is open.
    _lock: File,
}

impl Trail {
    /// Opens a trail, or makes it. A file that would have more than `most` bytes is closed; so many
    /// closed ones are `kept`.
    ///
    /// # Errors
    /// The folder or the file cannot be made or opened, or another trail is open there: two would remove each
    /// other's files.
    pub fn open(dir: &Path, name: &'static str, most: u64, kept: usize) -> io::Result<Self> {
        make_dir(dir)?;
        let lock = lock(dir)?;
        let (file, bytes, torn) = current(&dir.join(format!("{name}.jsonl")))?;
        Ok(Self {
            dir: dir.to_owned(),
            name,
            file,
            bytes,
            torn,
            most,
            kept,
            _lock: lock,
        })
    }

    /// Adds a line, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written, or no new file be made.
    pub fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.append_by(line, |mut file, bytes| file.write_all(bytes))
    }

    fn append_by(
        &mut self,
        line: &[u8],
        write: impl FnOnce(&File, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.look()?;
        let bytes = self.bytes + u64::from(self.torn) + line.len() as u64 + 1;
        if self.bytes > 0 && bytes > self.most {
            self.close()?;
        }
        // What a process that was killed has left of a line is ended first.
        let start: &[u8] = if self.torn { b"\n" } else { b"" };
        let line = [start, line, b"\n"].concat();
        if let Err(error) = write(&self.file, &line) {
            self.take_back();
            return Err(error);
        }
        self.torn = false;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// A full disk has taken a part of a line: it goes again. Where not even that can be done, the next line
    /// begins on one of its own.
    fn take_back(&mut self) {
        let cut = || match self.file.metadata()?.len() > self.bytes {
            true => self.file.set_len(self.bytes),
            false => Ok(()),
        };
        let stays = cut().is_err();
        self.torn |= stays;
    }

    /// Whether the file still has its name: who else carries it off, empties it or removes it finds what
    /// comes from then on in a new one.
    fn look(&mut self) -> io::Result<()> {
        let path = self.written();
        let of = |there: &fs::Metadata| (there.dev(), there.ino());
        match fs::metadata(&path) {
            Ok(there) if of(&there) == of(&self.file.metadata()?) => {
                self.torn &= there.len() > 0;
                self.bytes = there.len();
            }
            Ok(_) => (self.file, self.bytes, self.torn) = current(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(&self.dir)?;
                (self.file, self.bytes, self.torn) = current(&path)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn written(&self) -> PathBuf {
        self.dir.join(format!("{}.jsonl", self.name))
    }

    /// Goes on in a new file.
    fn close(&mut self) -> io::Result<()> {
        let mut closed = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            closed.extend(self.time_of(&entry?.path()));
        }
        closed.sort_unstable();
        // Several may be closed within a millisecond, and clocks go back.
        let time = closed.last().map_or(0, |last| last + 1).max(now_ms());
        let written = self.written();
        match fs::rename(&written, self.closed(time)) {
            // It was renamed before, and no new one could be made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        (self.file, self.bytes, self.torn) = current(&written)?;
        let extra = (closed.len() + 1).saturating_sub(self.kept);
        let mut extra = closed.into_iter().take(extra);
        extra.try_for_each(|time| gone(fs::remove_file(self.closed(time))))
    }

    fn closed(&self, time_ms: u64) -> PathBuf {
        self.dir.join(format!("{}-{time_ms:015}.jsonl", self.name))
    }

    /// When a file was closed, by its name.
    fn time_of(&self, path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        let rest = name.strip_prefix(self.name)?.strip_prefix('-')?;
        rest.strip_suffix(".jsonl")?.parse().ok()
    }
}

/// The folder, for this trail alone.
fn lock(dir: &Path) -> io::Result<File> {
    let folder = File::open(dir)?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "{}: another process writes its trail into this folder; each takes one of its own",
                dir.display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Somebody else may have removed it first.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0])
}

/// The file that is written, its bytes, and whether its last line has no end. Only its owner may read it.
fn current(path: &Path) -> io::Result<(File, u64, bool)> {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    let torn = bytes > 0 && last_byte(path)? != b'\n';
    Ok((file, bytes, torn))
}

fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_closed_at_their_size_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Trail::open(dir.path(), "trail", 10, 2).unwrap();
        let mut trail = open();
        for n in 0..9 {
            trail.append(format!("line{n}").as_bytes()).unwrap();
        }
        let files = fs::read_dir(dir.path()).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
        let texts: Vec<_> = files.iter().map(read).collect();
        assert_eq!(texts, ["line6\n", "line7\n", "line8\n"], "{files:?}");
        // After a restart it goes on where it was, on a line of its own.
        drop(trail);
        assert_eq!(open().bytes, 6);
        let last = dir.path().join("trail.jsonl");
        fs::write(&last, "torn").unwrap();
        open().append(b"new").unwrap();
        assert_eq!(read(&last), "torn\nnew\n");
    }

    #[test]
    fn of_a_line_for_which_the_disk_has_no_room_nothing_stays_and_the_next_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut trail = Trail::open(dir.path(), "trail", 1 << 20, 2).unwrap();
        let last = dir.path().join("trail.jsonl");
        let read = || fs::read_to_string(&last).unwrap();
        let full = |room: usize| {
            move |mut file: &File, bytes: &[u8]| {
                file.write_all(&bytes[..room])?;
                Err(io::ErrorKind::StorageFull.into())
            }
        };
        trail.append(b"one").unwrap();
        for room in 0..4 {
            let refused = trail.append_by(b"two", full(room)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
            assert_eq!(read(), "one\n", "{room}");
        }
        trail.append(b"three").unwrap();
        assert_eq!(read(), "one\nthree\n");
        // What a process that was killed has left is ended with the first line that there is room for.
        drop(trail);
        fs::write(&last, "one\ntw").unwrap();
        let mut trail = Trail::open(dir.path(), "trail", 1 << 20, 2).unwrap();
        for room in 0..5 {
            trail.append_by(b"three", full(room)).unwrap_err();
            assert_eq!(read(), "one\ntw", "{room}");
        }
        trail.append(b"four").unwrap();
        assert_eq!(read(), "one\ntw\nfour\n");
    }

    #[test]
    fn two_trails_do_not_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Trail::open(dir.path(), "trail", 1 << 20, 2);
        let first = open().unwrap();
        let refused = open().err().unwrap().to_string();
        assert!(refused.contains("another process writes"), "{refused}");
        drop(first);
        open().unwrap();
    }

    #[test]
    fn a_file_that_others_move_empty_or_remove_is_gone_on_with_under_its_name() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("trail");
        let mut trail = Trail::open(&dir, "trail", 1 << 20, 2).unwrap();
        let mut append = |line: &str| trail.append(line.as_bytes()).unwrap();
        let last = dir.join("trail.jsonl");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        append("one");
        let moved = dir.join("trail.jsonl.1");
        fs::rename(&last, &moved).unwrap();
        append("two");
        assert_eq!((&*read(&moved), &*read(&last)), ("one\n", "two\n"));
        // Carried off, and another put in its place at once.
        fs::rename(&last, &moved).unwrap();
        fs::write(&last, "begun").unwrap();
        append("three");
        assert_eq!(read(&last), "begun\nthree\n");
        fs::remove_file(&last).unwrap();
        append("four");
        assert_eq!(read(&last), "four\n");
        fs::write(&last, "").unwrap();
        append("five");
        assert_eq!(read(&last), "five\n");
        fs::remove_dir_all(&dir).unwrap();
        append("six");
        assert_eq!(read(&last), "six\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&last)), (0o700, 0o600));
    }

    #[test]
    fn a_closed_file_that_is_gone_when_its_turn_comes_stops_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut trail = Trail::open(dir.path(), "trail", 10, 1).unwrap();
        // It is listed, and there is none under the name that it would have.
        fs::write(dir.path().join("trail-1.jsonl"), "").unwrap();
        for _ in 0..5 {
            trail.append(b"line0").unwrap();
        }
        assert_eq!(
            fs::read(dir.path().join("trail.jsonl")).unwrap(),
            b"line0\n"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_others_have_emptied_is_closed_by_what_is_in_it_now() {
        let dir = tempfile::tempdir().unwrap();
        let mut trail = Trail::open(dir.path(), "trail", 10, 2).unwrap();
        for _ in 0..5 {
            trail.append(b"line0").unwrap();
            fs::write(dir.path().join("trail.jsonl"), "").unwrap();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
