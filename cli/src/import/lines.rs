//! Lines of a text file, one at a time, none of them longer than memory allows.

use std::io::{BufRead, Read};

use anyhow::{Result, ensure};

use crate::limits;

/// What some programs begin a file with, to say that it is UTF-8.
pub(super) const MARK: char = '\u{feff}';

/// Puts the next line behind `text`, with its end; says whether there was one.
pub(super) fn read_line(input: &mut impl BufRead, text: &mut String) -> Result<bool> {
    let before = text.len();
    let room = limits::LINE_BYTES.saturating_sub(before);
    let mut limited = input.take(u64::try_from(room)?);
    limited.read_line(text)?;
    let got = text.len() - before;
    ensure!(
        got < room || text.ends_with('\n'),
        "it is longer than {} bytes",
        limits::LINE_BYTES
    );
    Ok(got > 0)
}

/// The lines of a file without their ends; empty ones are left out, each of the others has its number.
pub(super) fn lines(mut input: impl BufRead) -> impl Iterator<Item = (usize, Result<String>)> {
    let (mut number, mut ended) = (0, false);
    std::iter::from_fn(move || {
        while !ended {
            let mut line = String::new();
            number += 1;
            let read = read_line(&mut input, &mut line);
            if number == 1 && line.starts_with(MARK) {
                line.remove(0);
            }
            match read {
                Ok(true) if line.trim().is_empty() => {}
                Ok(true) => {
                    line.truncate(line.trim_end_matches(['\r', '\n']).len());
                    return Some((number, Ok(line)));
                }
                Ok(false) => ended = true,
                Err(error) => {
                    ended = true;
                    return Some((number, Err(error)));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_numbers_that_an_editor_shows() {
        let found = lines("a\r\n\n  \nb".as_bytes()).map(|(at, line)| (at, line.unwrap()));
        let found: Vec<_> = found.collect();
        assert_eq!(found, [(1, "a".to_owned()), (4, "b".to_owned())]);
    }

    #[test]
    fn a_mark_of_the_encoding_is_no_part_of_the_first_line() {
        let found = lines("\u{feff}a\n\u{feff}b".as_bytes()).map(|(_, line)| line.unwrap());
        assert_eq!(found.collect::<Vec<_>>(), ["a", "\u{feff}b"]);
        assert_eq!(lines("\u{feff}\n".as_bytes()).count(), 0);
    }

    #[test]
    fn a_line_without_an_end_is_given_up_and_does_not_fill_the_memory() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let mut found = lines(endless);
        let error = found.next().unwrap().1.unwrap_err().to_string();
        assert!(error.contains("longer"), "{error}");
        assert!(found.next().is_none());
    }
}
