//! A TOML file flattened into `section.key` settings that remember their line. What the keys mean
//! is not known here.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Origin};
use crate::limits::FILE_BYTES;
use crate::reader::{Kind, Setting};

/// Reads a file and flattens it.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, Setting)>, Error> {
    let refuse = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text))
        .map_err(refuse)?;
    parse(path, &text)
}

/// Flattens the text of a file; `path` serves the messages.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<(String, Setting)>, Error> {
    let origin = |offset: usize| Origin::File {
        path: path.to_path_buf(),
        line: 1 + text.bytes().take(offset).filter(|&b| b == b'\n').count(),
    };
    let table = DeTable::parse(text).map_err(|error| Error::Syntax {
        origin: origin(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut settings = Vec::new();
    flatten("", table.get_ref(), &origin, &mut settings);
    Ok(settings)
}

/// An empty table stays as a setting of its own, so that a misspelt section is noticed.
fn flatten(
    section: &str,
    table: &DeTable<'_>,
    origin: &dyn Fn(usize) -> Origin,
    settings: &mut Vec<(String, Setting)>,
) {
    for (key, value) in table {
        let name = match section {
            "" => key.get_ref().to_string(),
            _ => format!("{section}.{}", key.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => flatten(&name, inner, origin, settings),
            value => settings.push((name, setting(value, origin(key.span().start)))),
        }
    }
}

fn setting(value: &DeValue<'_>, origin: Origin) -> Setting {
    let (kind, text) = match value {
        DeValue::String(text) => (Kind::Text, text.to_string()),
        DeValue::Boolean(value) => (Kind::Boolean, value.to_string()),
        DeValue::Integer(digits) => {
            let decimal = i64::from_str_radix(digits.as_str(), digits.radix());
            let text = decimal.map_or_else(|_| digits.as_str().to_owned(), |n| n.to_string());
            (Kind::Integer, text)
        }
        DeValue::Float(digits) => (Kind::Other("a fraction"), digits.as_str().to_owned()),
        DeValue::Datetime(when) => (Kind::Other("a date"), when.to_string()),
        DeValue::Array(_) => (Kind::Other("an array"), String::new()),
        DeValue::Table(_) => (Kind::Section, String::new()),
    };
    Setting { text, kind, origin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> Vec<(String, String, usize)> {
        let settings = parse(Path::new("f.toml"), text).unwrap();
        let line = |origin: &Origin| match origin {
            Origin::File { line, .. } => *line,
            other => panic!("{other}"),
        };
        let all = settings.into_iter();
        all.map(|(key, s)| (key, s.text, line(&s.origin))).collect()
    }

    #[test]
    fn sections_become_dotted_keys_with_their_lines() {
        let text = "listen = 'a:1'\n\n[checkpoint]\n# why\ninterval_s = 0x10\nlog.mib = 1_000\n";
        let expected = [
            ("checkpoint.interval_s", "16", 5),
            ("checkpoint.log.mib", "1000", 6),
            ("listen", "a:1", 1),
        ];
        let expected = expected.map(|(k, v, line)| (k.to_owned(), v.to_owned(), line));
        let mut found = flat(text);
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_empty_section_is_kept() {
        assert_eq!(
            flat("\n[nothing]\n"),
            [("nothing".to_owned(), String::new(), 2)]
        );
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        let error = parse(Path::new("f.toml"), "a = 1\nb = = 2\n").unwrap_err();
        assert!(error.to_string().starts_with("f.toml:2: not valid TOML"));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let error = parse(Path::new("f.toml"), "a = 1\na = 2\n").unwrap_err();
        assert!(error.to_string().contains("f.toml:2"), "{error}");
    }
}
