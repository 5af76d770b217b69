//! What an import has put in so far, so that one which goes on where another was stopped reports all of it, also
//! which photos were of a picture that was there. It is a line for each in a file of the user's, which goes when the
//! import is complete, and is for the report alone: the server is asked what is there. Where there is no place for
//! such a file, an import reports its own part.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::lines::lines;
use super::report::Twin;
use crate::client::Before;

/// What the same import, known by these words, has put in.
pub(super) struct SoFar {
    /// Nothing where there is no place.
    path: Option<PathBuf>,
    /// Once there was something to note.
    file: Option<File>,
    /// How much parts of it that were stopped have put in.
    before: usize,
}

impl SoFar {
    /// Of the import of a source into a collection of a server, or of a data folder.
    pub(super) fn of(server: &str, collection: &str, source: &Path) -> Self {
        Self::within(folder().as_deref(), [server, collection, &absolute(source)])
    }

    fn within(folder: Option<&Path>, words: [&str; 3]) -> Self {
        let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, words.join("\n").as_bytes());
        let mut so_far = Self {
            path: folder.map(|folder| folder.join(format!("{name}.jsonl"))),
            file: None,
            before: 0,
        };
        so_far.before = so_far.put().count();
        so_far
    }

    /// What parts of it that were stopped have put in.
    pub(super) fn before(&self) -> impl Iterator<Item = Option<Twin>> + use<> {
        self.put().take(self.before)
    }

    /// Forgets these where nothing of them is there any more: the collection is another by now, or was emptied.
    pub(super) fn begin_in(&mut self, collection: Before) {
        if collection == Before::Points {
            return;
        }
        (self.file, self.before) = (None, 0);
        if let Some(path) = &self.path {
            removed(path);
        }
    }

    /// What was put in until now, each with the picture that was there, if one was. A line that was not written to
    /// its end is passed over.
    fn put(&self) -> impl Iterator<Item = Option<Twin>> + use<> {
        let file = self.path.as_ref().and_then(|path| File::open(path).ok());
        let lines = file
            .into_iter()
            .flat_map(|file| lines(BufReader::new(file)));
        lines.filter_map(|(_, line)| serde_json::from_str(&line.ok()?).ok())
    }

    /// Notes what was put in just now.
    pub(super) fn add<'a>(&mut self, put: impl IntoIterator<Item = Option<&'a Twin>>) {
        let noted = put.into_iter().try_fold(String::new(), |text, twin| {
            Ok::<_, io::Error>(text + &serde_json::to_string(&twin)? + "\n")
        });
        if let Err(error) = noted.and_then(|text| self.write(&text))
            && let Some(path) = self.path.take()
        {
            let path = path.display();
            eprintln!(
                "{path}: {error}; if this import is stopped, the next one reports its own part alone"
            );
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let (Some(path), false) = (&self.path, text.is_empty()) else {
            return Ok(());
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                path.parent().map(fs::create_dir_all).transpose()?;
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                // A line that was not written to its end is one of its own.
                file.write_all(b"\n")?;
                none.insert(file)
            }
        };
        file.write_all(text.as_bytes())
    }

    /// Forgets all of it: the import is complete, and its report told.
    pub(super) fn complete(self) {
        if let Some(path) = self.path {
            removed(&path);
        }
    }
}

fn removed(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            eprintln!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

/// The name that a path has wherever it is named.
pub(super) fn absolute(path: &Path) -> String {
    let absolute = fs::canonicalize(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

/// Where programs of this user keep where they are (XDG Base Directory Specification 0.8).
fn folder() -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|it| it.is_absolute())
    };
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Some(state?.join("doppel/imports"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(so_far: &SoFar) -> Vec<Option<String>> {
        let put = so_far.put();
        put.map(|twin| twin.map(|it| it.file)).collect()
    }

    #[test]
    fn what_was_put_in_is_known_to_the_next_and_forgotten_once_all_is() {
        let folder = tempfile::tempdir().unwrap();
        let of = |collection| SoFar::within(Some(folder.path()), ["url", collection, "photos"]);
        let twin = Twin {
            file: "b.jpg".to_owned(),
            of: 1.into(),
            score: 0.99,
        };
        let mut first = of("stars");
        first.add([]);
        first.add([None, Some(&twin)]);
        first.add([None]);
        assert_eq!(told(&of("others")), []);
        let expected = [None, Some("b.jpg".to_owned()), None];
        assert_eq!(told(&of("stars")), expected);
        // Killed while it wrote a line.
        let path = first.path.clone().unwrap();
        let half = fs::read_to_string(&path).unwrap() + "{\"file\": \"c";
        fs::write(&path, half).unwrap();
        let mut second = of("stars");
        second.add([None]);
        assert_eq!(told(&of("stars")), [&expected[..], &[None]].concat());
        assert_eq!(
            second.before().count(),
            3,
            "and not what it has put in itself"
        );
        // The collection was dropped and made again, or was emptied.
        for before in [Before::Nothing, Before::NoPoints] {
            let mut anew = of("stars");
            anew.begin_in(Before::Points);
            assert!(anew.before().count() > 0, "it is gone on with");
            anew.begin_in(before);
            anew.add([None]);
            assert_eq!((anew.before().count(), told(&of("stars"))), (0, vec![None]));
        }
        let anew = of("stars");
        anew.complete();
        assert_eq!(told(&of("stars")), []);
        of("stars").complete();
    }

    #[test]
    fn where_there_is_no_place_for_it_an_import_goes_on_without() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for folder in [None, Some(file.path())] {
            let mut so_far = SoFar::within(folder, ["url", "stars", "photos"]);
            so_far.add([None]);
            so_far.add([None]);
            assert_eq!(told(&so_far), []);
            so_far.complete();
        }
    }
}
