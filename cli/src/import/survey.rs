//! The first of two goes through a source: how much there is, by the names alone, and whether a list
//! makes sense to its end, before anything is sent.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Result;

use super::photo::Found;
use super::report::Report;
use super::source::Source;
use crate::limits;

/// Tells a report of all that a source names.
pub(super) fn survey(source: &Source, report: &mut Report) -> Result<()> {
    let mut people = People::default();
    report.list_mistakes = source.mistakes();
    report.absent = source.absent();
    for found in source.entries()? {
        match found? {
            Found::Photo(photo) => {
                report.photos += 1;
                report.unlisted += usize::from(source.names_people() && photo.person.is_none());
                people.add(photo.person.as_deref());
            }
            Found::Skipped(file) => report.skip(&file)?,
        }
    }
    report.people = people.known.len();
    report.more_people = people.are_more;
    Ok(())
}

/// Different people, by a hash of their names; from some number on nobody new is counted.
#[derive(Default)]
struct People {
    known: HashSet<u64>,
    are_more: bool,
}

impl People {
    fn add(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let person = hasher.finish();
        if self.known.len() < limits::PEOPLE_COUNTED {
            self.known.insert(person);
        } else if !self.known.contains(&person) {
            self.are_more = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_counted_once_and_up_to_a_limit() {
        let mut people = People::default();
        for name in [Some("Ada"), None, Some("Bob"), Some("Ada")] {
            people.add(name);
        }
        assert_eq!((people.known.len(), people.are_more), (2, false));
        for number in 0..limits::PEOPLE_COUNTED {
            people.add(Some(&number.to_string()));
        }
        assert_eq!(people.known.len(), limits::PEOPLE_COUNTED);
        assert!(people.are_more);
    }
}
