//! What became of every file of an import, for people and for programs. The JSON form is part of
//! the interface.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// A file that was not sent.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) file: String,
    pub(crate) reason: String,
}

/// A photo that could not be read, or that the server refused.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) file: String,
    /// The server's status; absent when the file could not be read here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
}

/// A photo whose face is of the same picture as one that is there.
#[derive(Debug, Clone, Serialize, PartialEq)]
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
    /// Every photo was tried; `false` when the import stopped early.
    pub(crate) complete: bool,
    /// Photos found in the folder.
    pub(crate) photos: usize,
    pub(crate) people: usize,
    pub(crate) imported: usize,
    pub(crate) already_there: usize,
    /// Imported photos of which a face of the same picture was there.
    pub(crate) duplicates: usize,
    pub(crate) refused: usize,
    /// How many photos were refused for each reason.
    pub(crate) reasons: BTreeMap<String, usize>,
    /// Files that are no photos by their name.
    pub(crate) skipped: usize,
    pub(crate) seconds: f64,
    pub(crate) photos_per_second: f64,
    pub(crate) refused_photos: Vec<Refused>,
    pub(crate) skipped_files: Vec<Skipped>,
    pub(crate) duplicate_photos: Vec<Twin>,
}

impl Report {
    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.refused += 1;
        let reasons = self.reasons.entry(refused.reason.clone()).or_default();
        *reasons += 1;
        self.refused_photos.push(refused);
    }

    /// One that was imported nevertheless.
    pub(crate) fn duplicate(&mut self, twin: Twin) {
        self.imported += 1;
        self.duplicates += 1;
        self.duplicate_photos.push(twin);
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
            let new = self.photos - self.already_there;
            line(
                new,
                &format!("photos would be imported into {}", self.collection),
            );
        } else {
            line(self.imported, &format!("imported into {}", self.collection));
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
        let mut skipped = BTreeMap::<&str, usize>::new();
        for file in &self.skipped_files {
            *skipped.entry(&file.reason).or_default() += 1;
        }
        for (reason, count) in skipped {
            line(count, &format!("files skipped: {reason}"));
        }
        line(
            self.photos,
            &format!("photos of {} people in {}", self.people, self.folder),
        );
        if !self.dry_run {
            let (seconds, rate) = (self.seconds, self.photos_per_second);
            writeln!(text, "{seconds:>9.1}  seconds, {rate:.1} photos a second")
                .expect("writing to a string never fails");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The outcome of an import of vectors.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rows {
    pub(crate) source: String,
    pub(crate) collection: String,
    /// Nothing was sent: it only says what would be.
    pub(crate) dry_run: bool,
    /// Vectors in the file.
    pub(crate) rows: usize,
    pub(crate) imported: usize,
    pub(crate) already_there: usize,
    pub(crate) seconds: f64,
}

impl Rows {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let Self {
            rows,
            imported,
            already_there,
            collection,
            source,
            ..
        } = self;
        let done = match self.dry_run {
            true => format!(
                "{:>9}  vectors would be imported into {collection}\n",
                rows - already_there
            ),
            false => format!("{imported:>9}  imported into {collection}\n"),
        };
        format!("{done}{already_there:>9}  already there\n{rows:>9}  vectors in {source}\n")
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
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
            skipped: 1,
            skipped_files: vec![Skipped {
                file: "notes.txt".to_owned(),
                reason: "not a photo".to_owned(),
            }],
            ..Report::default()
        };
        for file in ["Ada/1.jpg", "Ada/2.jpg"] {
            report.refuse(Refused {
                file: file.to_owned(),
                status: Some(422),
                reason: "no face found".to_owned(),
            });
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
      2.0  seconds, 3.5 photos a second\n";
        assert_eq!(report().text(), expected);
    }

    #[test]
    fn programs_read_every_refused_file() {
        let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(json["imported"], 5);
        assert_eq!(json["already_there"], 3);
        assert_eq!(json["reasons"]["no face found"], 2);
        assert_eq!(json["refused_photos"][1]["file"], "Ada/2.jpg");
        assert_eq!(json["refused_photos"][1]["status"], 422);
        assert_eq!(json["complete"], true);
    }
}
