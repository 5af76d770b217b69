//! Tables of cells with commas between them (RFC 4180): a cell in quotes may hold commas, line ends,
//! and quotes that are doubled.

use std::io::BufRead;

use anyhow::{Context, Result, bail};

use super::lines::{MARK, read_line};

/// The rows of a table, one after the other, each with its number; empty ones are counted and left out. Nothing comes
/// after a mistake.
pub(super) fn rows(input: impl BufRead) -> impl Iterator<Item = Result<(usize, Vec<String>)>> {
    let mut rows = Rows { input, number: 0 };
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let row = rows.next().with_context(|| format!("row {}", rows.number));
        ended = !matches!(row, Ok(Some(_)));
        let row = row.map(|row| row.map(|cells| (rows.number, cells)));
        row.transpose()
    })
}

struct Rows<R> {
    input: R,
    /// Of the last row that was read.
    number: usize,
}

impl<R: BufRead> Rows<R> {
    fn next(&mut self) -> Result<Option<Vec<String>>> {
        loop {
            self.number += 1;
            match self.one()? {
                Some(cells) if cells.len() == 1 && cells[0].is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    /// A row takes as many lines as its quotes hold ends of lines.
    fn one(&mut self) -> Result<Option<Vec<String>>> {
        let mut text = String::new();
        loop {
            let more = read_line(&mut self.input, &mut text)?;
            if self.number == 1 && text.starts_with(MARK) {
                text.remove(0);
            }
            if text.is_empty() && !more {
                return Ok(None);
            }
            match row(&text)? {
                Some(cells) => return Ok(Some(cells)),
                None if more => {}
                None => bail!("a quote is not closed"),
            }
        }
    }
}

/// The cells of a row; none where a quote is still open at the end of the text.
fn row(mut rest: &str) -> Result<Option<Vec<String>>> {
    let mut cells = Vec::new();
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => match unquoted(quoted) {
                Some(both) => both,
                None => return Ok(None),
            },
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                let (cell, after) = rest.split_at(end);
                (cell.strip_suffix('\r').unwrap_or(cell).to_owned(), after)
            }
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() || after == "\n" || after == "\r\n" => {
                return Ok(Some(cells));
            }
            None => {
                let other = after.chars().next().unwrap_or_default();
                bail!("`{other}` follows a quoted cell");
            }
        }
    }
}

/// What is within the quotes, and what comes after them.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                rest = more;
            }
            None => return Some((cell, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Vec<String>> {
        let rows = rows(text.as_bytes()).map(|row| row.map(|(_, cells)| cells));
        rows.collect::<Result<_>>().unwrap()
    }

    #[test]
    fn rows_have_the_numbers_that_an_editor_of_tables_shows() {
        let rows = rows("a\n\nb\n\"c\nd\"\ne\n".as_bytes());
        let numbers: Vec<_> = rows.map(|row| row.unwrap().0).collect();
        assert_eq!(numbers, [1, 3, 4, 5]);
    }

    #[test]
    fn cells_may_hold_what_would_end_them() {
        let text = "\u{feff}a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\n\nlast,\n,é";
        let expected = [
            vec!["a", "b"],
            vec!["x, \"y\"", "two\nlines"],
            vec!["last", ""],
            vec!["", "é"],
        ];
        assert_eq!(all(text), expected);
        assert_eq!(all(""), Vec::<Vec<String>>::new());
        assert_eq!(all("\"a\r\n\n\"\"b\"\r\n"), [["a\r\n\n\"b"]]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_its_row() {
        for text in ["a\n\"b", "a\n\"b\"c"] {
            let error = rows(text.as_bytes()).find_map(Result::err).unwrap();
            assert!(format!("{error:#}").contains("row 2"), "{error:#}");
        }
    }
}
