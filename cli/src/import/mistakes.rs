//! What is wrong with a list beside the photos and keeps nobody from importing them: told with the file
//! and the line.

use std::path::Path;

use serde::Serialize;

use crate::limits;

/// Lines that were passed over, or count for something else than they may have been meant to.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Mistakes {
    pub(crate) count: usize,
    /// Not all of them, if they are many.
    pub(crate) first: Vec<Mistake>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Mistake {
    file: String,
    line: usize,
    what: String,
}

impl Mistakes {
    pub(super) fn add(&mut self, file: &Path, line: usize, what: String) {
        self.count += 1;
        if self.first.len() < limits::REASONS {
            let file = file.display().to_string();
            self.first.push(Mistake { file, line, what });
        }
    }

    /// The first few, a line each.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        let first = self.first.iter().take(limits::ROWS_TOLD);
        first.map(|it| format!("{}, line {}: {}", it.file, it.line, it.what))
    }
}
