//! Tables of cells with commas between them (RFC 4180): a cell in quotes may hold commas, line ends,
//! and quotes that are doubled.

use anyhow::{Result, bail};

/// The rows of a table, one after the other.
pub(super) fn rows(text: &str) -> impl Iterator<Item = Result<Vec<String>>> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut number = 0;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            number += 1;
            let row = row(&mut rest);
            match row {
                Ok(cells) if cells.len() == 1 && cells[0].is_empty() => {}
                Ok(cells) => return Some(Ok(cells)),
                Err(error) => {
                    rest = "";
                    return Some(Err(error.context(format!("row {number}"))));
                }
            }
        }
    })
}

fn row(rest: &mut &str) -> Result<Vec<String>> {
    let mut cells = Vec::new();
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                let (cell, after) = rest.split_at(end);
                (cell.strip_suffix('\r').unwrap_or(cell).to_owned(), after)
            }
        };
        cells.push(cell);
        let mut next = after.chars();
        match next.next() {
            Some(',') => *rest = next.as_str(),
            None | Some('\n') => {
                *rest = next.as_str();
                return Ok(cells);
            }
            Some('\r') if after.starts_with("\r\n") => {
                *rest = &after[2..];
                return Ok(cells);
            }
            Some(other) => bail!("`{other}` follows a quoted cell"),
        }
    }
}

/// What is within the quotes, and what comes after them.
fn unquoted(text: &str) -> Result<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once('"') else {
            bail!("a quote is not closed");
        };
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                rest = more;
            }
            None => return Ok((cell, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Vec<String>> {
        rows(text).collect::<Result<_>>().unwrap()
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
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_its_row() {
        for text in ["a\n\"b", "a\n\"b\"c"] {
            let error = rows(text).find_map(Result::err).unwrap();
            assert!(format!("{error:#}").contains("row 2"), "{error:#}");
        }
    }
}
