//! A trail of lines, one JSON object each: the file that is written is closed at a size and gets the
//! time as a name, and of the closed ones the oldest go. Nothing is synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
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
}

impl Trail {
    /// Opens a trail, or makes it. A file that would have more than `most` bytes is closed; so many
    /// closed ones are `kept`.
    ///
    /// # Errors
    /// The folder or the file cannot be made or opened.
    pub fn open(dir: &Path, name: &'static str, most: u64, kept: usize) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(format!("{name}.jsonl"));
        let (file, bytes) = current(&path)?;
        let torn = bytes > 0 && last_byte(&path)? != b'\n';
        Ok(Self {
            dir: dir.to_owned(),
            name,
            file,
            bytes,
            torn,
            most,
            kept,
        })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// It cannot be written, or no new file be made.
    pub fn append(&mut self, line: &[u8]) -> io::Result<()> {
        // What a failed write has left of a line is ended first, so that it spoils no other.
        let start: &[u8] = if self.torn { b"\n" } else { b"" };
        let line = [start, line, b"\n"].concat();
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.most {
            self.close()?;
        }
        self.torn = true;
        self.file.write_all(&line)?;
        self.torn = false;
        self.bytes += line.len() as u64;
        Ok(())
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
        let written = self.dir.join(format!("{}.jsonl", self.name));
        match fs::rename(&written, self.closed(time)) {
            // It was renamed before, and no new one could be made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        (self.file, self.bytes) = current(&written)?;
        let extra = (closed.len() + 1).saturating_sub(self.kept);
        let mut extra = closed.into_iter().take(extra);
        extra.try_for_each(|time| fs::remove_file(self.closed(time)))
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

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0])
}

/// Only its owner may read it.
fn current(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(open().bytes, 6);
        let last = dir.path().join("trail.jsonl");
        fs::write(&last, "torn").unwrap();
        open().append(b"new").unwrap();
        assert_eq!(read(&last), "torn\nnew\n");
        // A file that is gone is made anew.
        let mut trail = open();
        fs::remove_file(&last).unwrap();
        trail.append(b"line9").unwrap();
        assert_eq!(read(&last), "line9\n");
    }
}
