//! All layers merged into one map from key to setting, and the typed questions that the tree asks
//! it. A key counts as known when the tree has asked for it; what is left at the end is refused.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::{Error, Origin};

/// What a layer says about how a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From a variable or a flag, where everything is text.
    Untyped,
    Text,
    Boolean,
    Integer,
    Section,
    Other(&'static str),
}

/// One value and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    pub(crate) origin: Origin,
}

impl Setting {
    fn shown(&self) -> String {
        match self.kind {
            Kind::Section => "a section".to_owned(),
            Kind::Other(what) if self.text.is_empty() => what.to_owned(),
            Kind::Integer | Kind::Boolean | Kind::Other(_) => self.text.clone(),
            Kind::Untyped | Kind::Text => format!("{:?}", without_user(&self.text)),
        }
    }
}

/// What stands before an address in a URL may be a password.
fn without_user(text: &str) -> String {
    let Some((user, rest)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    let scheme = user
        .split_once("://")
        .map(|(scheme, _)| format!("{scheme}://"));
    format!("{}(not shown)@{rest}", scheme.unwrap_or_default())
}

/// The merged layers and the keys asked for so far, each with its default.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    settings: BTreeMap<String, Setting>,
    known: BTreeMap<&'static str, String>,
}

impl Reader {
    /// Later settings replace earlier ones.
    pub(crate) fn new(layers: impl IntoIterator<Item = (String, Setting)>) -> Self {
        Self {
            settings: layers.into_iter().collect(),
            known: BTreeMap::new(),
        }
    }

    pub(crate) fn origin(&self, key: &str) -> Origin {
        let setting = self.settings.get(key);
        setting.map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// Of two settings that belong together only one is set.
    pub(crate) fn half(&self, set: &'static str, missing: &'static str) -> Error {
        Error::Half {
            set,
            missing,
            origin: self.origin(set),
        }
    }

    /// A whole number within a range.
    pub(crate) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<T, Error> {
        let (low, high) = (range.start(), range.end());
        let expected = format!("a whole number from {low} to {high}");
        self.take(key, default.to_string(), Kind::Integer, &expected, |text| {
            let number = u64::from_str(text).ok().filter(|n| range.contains(n))?;
            T::try_from(number).ok()
        })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, key: &'static str, default: bool) -> Result<bool, Error> {
        let default = default.to_string();
        self.take(key, default, Kind::Boolean, "true or false", |text| {
            bool::from_str(text).ok()
        })
    }

    /// Text that `parse` understands.
    pub(crate) fn text<T>(
        &mut self,
        key: &'static str,
        default: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        self.take(key, format!("{default:?}"), Kind::Text, expected, parse)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: &str,
        words: &[(&str, T)],
    ) -> Result<T, Error> {
        let expected = format!("one of {}", listed(words.iter().map(|(word, _)| *word)));
        self.text(key, default, &expected, |text| {
            words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, t)| *t)
        })
    }

    /// A secret: it may be absent, and no message shows it.
    pub(crate) fn secret(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
    ) -> Result<Option<String>, Error> {
        self.known.insert(key, "\"\"".to_owned());
        let Some(setting) = self.settings.get(key) else {
            return Ok(None);
        };
        let visible = setting.text.bytes().all(|b| b.is_ascii_graphic());
        let typed = matches!(setting.kind, Kind::Untyped | Kind::Text);
        if typed && visible && length.contains(&setting.text.len()) {
            return Ok(Some(setting.text.clone()));
        }
        Err(Error::BadValue {
            key: key.to_owned(),
            origin: setting.origin.clone(),
            got: "(not shown)".to_owned(),
            expected: format!(
                "{} to {} printable ASCII characters without spaces",
                length.start(),
                length.end()
            ),
        })
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        default: String,
        kind: Kind,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let fallback = Setting {
            text: default.trim_matches('"').to_owned(),
            kind,
            origin: Origin::Default,
        };
        self.known.insert(key, default);
        let setting = self.settings.get(key).unwrap_or(&fallback);
        let fits = setting.kind == kind || setting.kind == Kind::Untyped;
        let value = if fits { parse(&setting.text) } else { None };
        value.ok_or_else(|| Error::BadValue {
            key: key.to_owned(),
            origin: setting.origin.clone(),
            got: setting.shown(),
            expected: expected.to_owned(),
        })
    }

    /// Refuses every setting that was not asked for. The known keys with their defaults, as TOML
    /// writes them, are what is left.
    pub(crate) fn finish(self) -> Result<BTreeMap<&'static str, String>, Error> {
        for (key, setting) in &self.settings {
            let section = format!("{key}.");
            let empty_section =
                setting.kind == Kind::Section && self.known.keys().any(|k| k.starts_with(&section));
            if !empty_section && !self.known.contains_key(key.as_str()) {
                return Err(Error::UnknownKey {
                    key: key.clone(),
                    origin: setting.origin.clone(),
                    hint: self.hint(key),
                });
            }
        }
        Ok(self.known)
    }

    fn hint(&self, key: &str) -> String {
        let section = format!("{key}.");
        let inside: Vec<_> = self
            .known
            .keys()
            .filter(|k| k.starts_with(&section))
            .collect();
        if !inside.is_empty() {
            return format!("`{key}` is a section, with {}", listed(inside));
        }
        let near = self
            .known
            .keys()
            .map(|known| (distance(key, known), known))
            .min();
        match near {
            Some((steps, known)) if steps <= 3 => format!("did you mean `{known}`?"),
            _ => "doppel.example.toml lists every key".to_owned(),
        }
    }
}

fn listed(words: impl IntoIterator<Item = impl Display>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// How many letters must be added, dropped or changed to turn one word into the other
/// (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_password_in_an_address() {
        let setting = |text: &str| Setting {
            text: text.to_owned(),
            kind: Kind::Untyped,
            origin: Origin::Default,
        };
        let shown = setting("nats://me:se,c@ret@a:4222,nats://me:secret@b:4222").shown();
        assert_eq!(shown, "\"nats://(not shown)@b:4222\"");
        assert_eq!(setting("me:secret@a").shown(), "\"(not shown)@a\"");
        assert_eq!(setting("ftp://a").shown(), "\"ftp://a\"");
    }

    #[test]
    fn the_distance_of_two_words_is_levenshteins() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("listen", "listen"), 0);
    }
}
