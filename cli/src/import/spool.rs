//! The lines of a report: kept in a file without a name, so that a report of any length takes no
//! memory, and read back once, when it is written out.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::marker::PhantomData;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};

/// Lines of a kind. Without a file they are forgotten, for a report that nobody reads line by line.
#[derive(Debug)]
pub(super) struct Spool<T> {
    file: Option<RefCell<BufWriter<File>>>,
    kind: PhantomData<T>,
}

impl<T> Default for Spool<T> {
    fn default() -> Self {
        Self {
            file: None,
            kind: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// One that keeps its lines.
    pub(super) fn kept() -> Result<Self> {
        let file = tempfile::tempfile().context("cannot make a temporary file for the report")?;
        Ok(Self {
            file: Some(RefCell::new(BufWriter::new(file))),
            kind: PhantomData,
        })
    }

    /// Adds a line.
    pub(super) fn push(&mut self, line: &T) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let file = file.get_mut();
        serde_json::to_writer(&mut *file, line)?;
        file.write_all(b"\n")
            .context("cannot write a temporary file for the report")
    }

    /// Hands every line on.
    fn each<E>(
        &self,
        read: impl Fn(io::Error) -> E,
        mut hand_on: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut file = file.borrow_mut();
        file.flush().map_err(&read)?;
        let mut file = file.get_ref();
        file.rewind().map_err(&read)?;
        for line in BufReader::new(file).lines() {
            let line = serde_json::from_str(&line.map_err(&read)?);
            hand_on(line.map_err(|error| read(error.into()))?)?;
        }
        file.seek(io::SeekFrom::End(0)).map_err(&read)?;
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> Serialize for Spool<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(None)?;
        self.each(S::Error::custom, |line| all.serialize_element(&line))?;
        all.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_in_their_order_as_often_as_they_are_asked_for() {
        let mut spool = Spool::kept().unwrap();
        for line in ["a", "two\nlines"] {
            spool.push(&line.to_owned()).unwrap();
        }
        let json = |spool: &Spool<String>| serde_json::to_string(spool).unwrap();
        assert_eq!(json(&spool), r#"["a","two\nlines"]"#);
        spool.push(&"c".to_owned()).unwrap();
        assert_eq!(json(&spool), r#"["a","two\nlines","c"]"#);
        let mut forgotten = Spool::default();
        forgotten.push(&1).unwrap();
        assert_eq!(serde_json::to_string(&forgotten).unwrap(), "[]");
    }
}
