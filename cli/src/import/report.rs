//! What became of every file of an import, for people and for programs. The JSON form is part of
//! the interface.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mistakes::Mistakes;
use super::seen::Seen;
use super::spool::Spool;
use crate::limits;

/// A file that was not sent.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) file: String,
    /// Where a list names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<usize>,
    pub(crate) reason: String,
}

/// The reason why a photo that was named before is left out.
pub(super) const NAMED_BEFORE: &str = "duplicates: a row before names the same photo or id";

/// What is said of those that an import had put in before it was stopped.
const BEFORE: &str = "of these before it was stopped";

/// A photo that could not be read, or that the server refused.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) file: String,
    /// Where a list names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<usize>,
    /// The server's status; absent when the file could not be read here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
}

/// A photo whose face is of the same picture as one that is there.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(crate) struct Twin {
    pub(crate) file: String,
    /// The id of the face that was there.
    pub(crate) of: Value,
    /// The cosine of both.
    pub(crate) score: f32,
}

/// The outcome of an import.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) folder: String,
    pub(crate) collection: String,
    /// Nothing was sent: it only says what would be.
    pub(crate) dry_run: bool,
    /// Every photo was tried; `false` where something is wrong with what names them, or the import stopped early.
    pub(crate) complete: bool,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Photos found in the folder.
    pub(crate) photos: usize,
    pub(crate) people: usize,
    /// There are more people than were counted.
    pub(crate) more_people: bool,
    pub(crate) imported: usize,
    /// How many of them by a part of this import that was stopped.
    pub(crate) imported_before: usize,
    pub(crate) already_there: usize,
    /// Imported photos of which a face of the same picture was there.
    pub(crate) duplicates: usize,
    pub(crate) refused: usize,
    /// How many photos were refused for each reason.
    pub(crate) reasons: BTreeMap<String, usize>,
    /// Files that are no photos by their name, hidden or named twice.
    pub(crate) skipped: usize,
    /// Photos of CelebA that its list of identities does not name.
    pub(crate) unlisted: usize,
    /// Photos that CelebA's lists name and that are not there.
    pub(crate) absent: Absent,
    /// What is wrong with CelebA's lists and was passed over.
    pub(crate) list_mistakes: Mistakes,
    pub(crate) seconds: f64,
    pub(crate) photos_per_second: f64,
    pub(super) refused_photos: Spool<Refused>,
    pub(super) skipped_files: Spool<Skipped>,
    pub(super) duplicate_photos: Spool<Twin>,
    /// How many files were skipped for each reason.
    #[serde(skip)]
    pub(super) skips: BTreeMap<String, usize>,
    /// The first rows that name a photo which was named before.
    #[serde(skip)]
    pub(super) repeated: FirstRows,
}

/// Photos that are named and not there.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Absent {
    pub(super) count: usize,
    /// Some of them.
    pub(super) first: Vec<String>,
}

/// The first of some rows, to be told to people.
#[derive(Debug, Default, Serialize)]
pub(super) struct FirstRows {
    count: usize,
    first: Vec<usize>,
}

impl FirstRows {
    pub(super) fn add(&mut self, row: usize) {
        self.count += 1;
        if self.first.len() < limits::ROWS_TOLD {
            self.first.push(row);
        }
    }

    /// As it stands behind what is wrong with them.
    fn told(&self) -> String {
        let first: Vec<_> = self.first.iter().map(usize::to_string).collect();
        match self.count - first.len() {
            _ if first.is_empty() => String::new(),
            0 => format!(" (row {})", first.join(", ")),
            more => format!(" (row {} and {more} more)", first.join(", ")),
        }
    }
}

/// Counts a reason; from some number of them on, others are one.
fn count(reasons: &mut BTreeMap<String, usize>, reason: &str) {
    let is_told = reasons.len() < limits::REASONS || reasons.contains_key(reason);
    let reason = if is_told { reason } else { "other reasons" };
    *reasons.entry(reason.to_owned()).or_default() += 1;
}

/// A reason without what is said of one photo alone: what the face has that does not reach a limit.
fn without_figures(reason: &str) -> &str {
    let parts = reason.split_once(": it has ");
    parts.map_or(reason, |(common, _)| common)
}

impl Report {
    /// Has it keep what it is told of each file, for whoever reads it line by line.
    pub(crate) fn keep_lines(&mut self) -> Result<()> {
        self.refused_photos = Spool::kept()?;
        self.skipped_files = Spool::kept()?;
        self.duplicate_photos = Spool::kept()?;
        Ok(())
    }

    pub(crate) fn skip(&mut self, file: &Skipped) -> Result<()> {
        self.skipped += 1;
        count(&mut self.skips, &file.reason);
        if let Some(row) = file.row {
            self.repeated.add(row);
        }
        self.skipped_files.push(file)
    }

    /// One that was taken for a photo by its name.
    pub(crate) fn skip_photo(&mut self, file: &Skipped) -> Result<()> {
        self.photos = self.photos.saturating_sub(1);
        self.skip(file)
    }

    pub(crate) fn refuse(&mut self, refused: &Refused) -> Result<()> {
        self.refused += 1;
        count(&mut self.reasons, without_figures(&refused.reason));
        self.refused_photos.push(refused)
    }

    /// One that was imported nevertheless.
    pub(crate) fn duplicate(&mut self, twin: &Twin) -> Result<()> {
        self.imported += 1;
        self.duplicates += 1;
        self.duplicate_photos.push(twin)
    }

    /// What a part of this import had put in that was stopped: it is there, and this import's own. Where nothing is
    /// there, the collection is another by now. A photo that was put in more than once, because it had been taken out
    /// in between, is one.
    pub(crate) fn take_over(&mut self, put: impl Iterator<Item = Option<Twin>>) -> Result<()> {
        if self.already_there == 0 {
            return Ok(());
        }
        let (mut count, mut seen) = (0, Seen::new());
        for twin in put {
            count += 1;
            if let Some(twin) = twin.filter(|twin| seen.is_new(&twin.file)) {
                self.duplicates += 1;
                self.duplicate_photos.push(&twin)?;
            }
        }
        self.imported_before = count.min(self.already_there);
        self.imported += self.imported_before;
        self.already_there -= self.imported_before;
        Ok(())
    }

    pub(crate) fn finish(&mut self, seconds: f64) {
        let tried = u32::try_from(self.imported + self.refused).unwrap_or(u32::MAX);
        self.seconds = seconds;
        self.photos_per_second = if seconds > 0.0 {
            f64::from(tried) / seconds
        } else {
            0.0
        };
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |count: usize, what: &str| {
            writeln!(text, "{count:>9}  {what}").expect("writing to a string never fails");
        };
        if self.dry_run {
            let new = self
                .photos
                .saturating_sub(self.already_there + self.refused);
            line(
                new,
                &format!("photos would be imported into {}", self.collection),
            );
        } else {
            line(self.imported, &format!("imported into {}", self.collection));
        }
        if self.imported_before > 0 {
            line(self.imported_before, BEFORE);
        }
        if self.duplicates > 0 {
            line(self.duplicates, "of these are of a picture that was there");
        }
        if self.already_there > 0 {
            line(self.already_there, "already there");
        }
        for (reason, count) in &self.reasons {
            line(*count, &format!("refused: {reason}"));
        }
        for (reason, count) in &self.skips {
            let rows = match reason.as_str() {
                NAMED_BEFORE => self.repeated.told(),
                _ => String::new(),
            };
            line(*count, &format!("files skipped: {reason}{rows}"));
        }
        if self.unlisted > 0 {
            let what = "photos that the list of identities does not name";
            line(self.unlisted, what);
        }
        if self.absent.count > 0 {
            let some = self.absent.first.join(", ");
            let more = match self.absent.count - self.absent.first.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let what = format!("photos that lists name are not there ({some}{more})");
            line(self.absent.count, &what);
        }
        if self.list_mistakes.count > 0 {
            line(
                self.list_mistakes.count,
                "mistakes in lists were passed over",
            );
        }
        let least = if self.more_people { "more than " } else { "" };
        line(
            self.photos,
            &format!("photos of {least}{} people in {}", self.people, self.folder),
        );
        if !self.dry_run {
            let (seconds, rate) = (self.seconds, self.photos_per_second);
            writeln!(
                text,
                "{seconds:>9.1}  seconds, {rate:.1} photos looked at a second"
            )
            .expect("writing to a string never fails");
        }
        for told in self.list_mistakes.told() {
            writeln!(text, "{told}").expect("writing to a string never fails");
        }
        text
    }

    /// For programs, as it is read back from where its lines are kept.
    pub(crate) fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")
    }
}

/// The outcome of an import of vectors.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rows {
    pub(crate) source: String,
    pub(crate) collection: String,
    /// Nothing was sent: it only says what would be.
    pub(crate) dry_run: bool,
    /// Every row was tried; `false` where something is wrong with the file, or the import stopped early.
    pub(crate) complete: bool,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Vectors in the file, up to what is wrong with it.
    pub(crate) rows: usize,
    pub(crate) imported: usize,
    /// How many of them by a part of this import that was stopped.
    pub(crate) imported_before: usize,
    pub(crate) already_there: usize,
    /// Rows that have the id of a row before them, and were left out.
    pub(crate) duplicates: usize,
    /// The first of these.
    pub(crate) duplicate_rows: Vec<usize>,
    /// Rows that have no vector: points by their payload alone.
    pub(super) without_vector: FirstRows,
    /// People of whom it was said what the file knows of them.
    pub(crate) people: usize,
    pub(crate) seconds: f64,
}

impl Rows {
    /// One whose id a row before it has.
    pub(super) fn repeat(&mut self, row: usize) {
        self.duplicates += 1;
        if self.duplicate_rows.len() < limits::REASONS {
            self.duplicate_rows.push(row);
        }
    }

    /// How many a part of this import had put in that was stopped: they are there, and this import's own.
    pub(super) fn take_over(&mut self, put: usize) {
        self.imported_before = put.min(self.already_there);
        self.imported += self.imported_before;
        self.already_there -= self.imported_before;
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |count: usize, what: &str| {
            writeln!(text, "{count:>9}  {what}").expect("writing to a string never fails");
        };
        let collection = &self.collection;
        let new = self
            .rows
            .saturating_sub(self.already_there + self.duplicates);
        match self.dry_run {
            true => line(new, &format!("vectors would be imported into {collection}")),
            false => line(self.imported, &format!("imported into {collection}")),
        }
        if self.imported_before > 0 {
            line(self.imported_before, BEFORE);
        }
        line(self.already_there, "already there");
        if self.duplicates > 0 {
            let mut rows = FirstRows::default();
            self.duplicate_rows.iter().for_each(|row| rows.add(*row));
            rows.count = self.duplicates;
            let what = "left out: a row before has the same id";
            line(self.duplicates, &format!("{what}{}", rows.told()));
        }
        if self.without_vector.count > 0 {
            let rows = self.without_vector.told();
            line(self.without_vector.count, &format!("have no vector{rows}"));
        }
        if self.people > 0 {
            line(self.people, "people, with what is known of them");
        }
        line(self.rows, &format!("vectors in {}", self.source));
        text
    }

    /// For programs.
    pub(crate) fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report {
            folder: "faces".to_owned(),
            collection: "stars".to_owned(),
            complete: true,
            photos: 10,
            people: 3,
            imported: 5,
            already_there: 3,
            ..Report::default()
        };
        report.keep_lines().unwrap();
        let skipped = Skipped {
            file: "notes.txt".to_owned(),
            row: None,
            reason: "not a photo".to_owned(),
        };
        report.skip(&skipped).unwrap();
        for file in ["Ada/1.jpg", "Ada/2.jpg"] {
            let refused = Refused {
                file: file.to_owned(),
                row: None,
                status: Some(422),
                reason: "no face found".to_owned(),
            };
            report.refuse(&refused).unwrap();
        }
        report.finish(2.0);
        report
    }

    #[test]
    fn people_read_how_many_and_why() {
        let expected = "        5  imported into stars
        3  already there
        2  refused: no face found
        1  files skipped: not a photo
       10  photos of 3 people in faces
      2.0  seconds, 3.5 photos looked at a second\n";
        assert_eq!(report().text(), expected);
    }

    #[test]
    fn programs_read_every_refused_file() {
        let mut json = Vec::new();
        report().write_json(&mut json).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["imported"], 5);
        assert_eq!(json["already_there"], 3);
        assert_eq!(json["reasons"]["no face found"], 2);
        assert_eq!(json["refused_photos"][1]["file"], "Ada/2.jpg");
        assert_eq!(json["refused_photos"][1]["status"], 422);
        assert_eq!(json["complete"], true);
    }

    #[test]
    fn faces_that_do_not_reach_a_limit_are_counted_by_it() {
        let mut report = report();
        let limit = "the best face in the photo does not reach `min_quality` 0.5";
        for quality in ["0.03 (blurred)", "0.41 (small)"] {
            let refused = Refused {
                file: "Bob/1.jpg".to_owned(),
                row: None,
                status: Some(422),
                reason: format!("{limit}: it has quality {quality}"),
            };
            report.refuse(&refused).unwrap();
        }
        assert_eq!(report.reasons[limit], 2);
    }

    #[test]
    fn what_a_stopped_part_has_put_in_again_is_told_once() {
        let twin = Twin {
            file: "a.jpg".to_owned(),
            of: 1.into(),
            score: 0.99,
        };
        let put = [Some(twin.clone()), None, Some(twin)];
        let mut report = Report {
            already_there: 2,
            ..Report::default()
        };
        report.take_over(put.into_iter()).unwrap();
        let told = (report.imported, report.imported_before, report.duplicates);
        assert_eq!((told, report.already_there), ((2, 2, 1), 0));
    }

    #[test]
    fn reasons_without_end_are_told_together() {
        let mut report = Report::default();
        for number in 0..limits::REASONS + 5 {
            let refused = Refused {
                file: String::new(),
                row: None,
                status: None,
                reason: format!("reason {number}"),
            };
            report.refuse(&refused).unwrap();
        }
        assert_eq!(report.reasons["other reasons"], 5);
        assert_eq!(report.refused, limits::REASONS + 5);
    }
}
