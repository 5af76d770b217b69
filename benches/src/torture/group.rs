//! The people of one client of a server that is killed: what is said of them and how they are renamed
//! counts on all of their faces or on none.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::hammer::Request;
use crate::Process;
use crate::chance::Chance;

/// People that a client has at most.
const PEOPLE: u64 = 3;
const SAID: &str = "said";

/// A point as it was put, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Put {
    /// The number that all of it follows from.
    pub(super) n: u64,
    pub(super) person: Option<String>,
    /// What is known of that person: what was said last, and whether they are left out of searches.
    said: Option<(u64, bool)>,
}

impl Put {
    /// A point of this number that comes in beside others of the same client.
    pub(super) fn new(owner: u64, n: u64, there: &BTreeMap<u64, Put>) -> Self {
        let person = Some(n % (PEOPLE + 1)).filter(|who| *who < PEOPLE);
        let person = person.map(|who| format!("{owner}-{who}"));
        let said = person.as_ref().and_then(|person| known(there, person));
        Self { n, person, said }
    }

    /// What a payload says that was read.
    pub(super) fn found(payload: &Value) -> Result<Self> {
        let about = &payload["about_person"];
        let said = said_of(about);
        if !about.is_null() && said.is_none_or(|(said, ignored)| ignored && !is_ignored(said)) {
            anyhow::bail!("half of what was said is there: {about}");
        }
        Ok(Self {
            n: payload["n"].as_u64().context("no payload")?,
            person: payload["person"].as_str().map(str::to_owned),
            said,
        })
    }

    fn is_of(&self, person: &str) -> bool {
        self.person.as_deref() == Some(person)
    }
}

/// Whoever this is said of is left out of searches, until they become one with somebody else.
fn is_ignored(said: u64) -> bool {
    said.is_multiple_of(2)
}

fn said_of(about: &Value) -> Option<(u64, bool)> {
    let said = about["attributes"][SAID].as_u64()?;
    Some((said, about["ignored"] == true))
}

fn known(there: &BTreeMap<u64, Put>, person: &str) -> Option<(u64, bool)> {
    let mut theirs = there.values().filter(|put| put.is_of(person));
    theirs.find_map(|put| put.said)
}

/// Something said of one of these people, or a renaming in which two may become one; nothing where
/// there is nobody.
pub(super) fn ask(
    collection: &str,
    there: &BTreeMap<u64, Put>,
    wait: &str,
    chance: &mut Chance,
) -> Option<Request> {
    let mut people: Vec<&String> = there.values().filter_map(|it| it.person.as_ref()).collect();
    people.sort_unstable();
    people.dedup();
    let person = (*people.get(chance.index(people.len().max(1)))?).clone();
    let (owner, _) = person.split_once('-')?;
    let other = format!("{owner}-{}", chance.below(PEOPLE));
    if chance.once_in(3) && other != person {
        let attributes = || known(there, &person).map(|(said, _)| (said, false));
        let said = known(there, &other).or_else(attributes);
        let both = there
            .iter()
            .filter(|(_, put)| put.is_of(&person) || put.is_of(&other));
        let renamed = |(id, put): (&u64, &Put)| {
            let person = Some(other.clone());
            let put = Put {
                person,
                said,
                n: put.n,
            };
            (*id, Some(put))
        };
        return Some(Request {
            method: "POST",
            at: format!("{collection}/people/rename?wait={wait}"),
            changes: both.map(renamed).collect(),
            body: json!({"from": person, "to": other, "merge": true}),
        });
    }
    let said = chance.below(1 << 40);
    let theirs = there.iter().filter(|(_, put)| put.is_of(&person));
    let told = |(id, put): (&u64, &Put)| {
        let mut put = put.clone();
        put.said = Some((said, is_ignored(said)));
        (*id, Some(put))
    };
    Some(Request {
        method: "PATCH",
        at: format!("{collection}/people"),
        changes: theirs.map(told).collect(),
        body: json!({"name": person, "ignored": is_ignored(said), "attributes": {SAID: said}}),
    })
}

/// Everybody who is there is told, with as many faces as they have and what is known of them; gives
/// what is wrong.
pub(super) fn compare<'a>(
    server: &Process,
    collection: &str,
    all: impl Iterator<Item = &'a Put>,
) -> Result<Option<String>> {
    let mut due: BTreeMap<String, (u64, Option<(u64, bool)>)> = BTreeMap::new();
    for put in all {
        if let Some(person) = &put.person {
            let (count, said) = due.entry(person.clone()).or_default();
            *count += 1;
            *said = said.or(put.said);
        }
    }
    if due.values().all(|(_, said)| said.is_none()) {
        return Ok(None);
    }
    let (status, text) = server.call("GET", &format!("{collection}/people?limit=100"), None)?;
    let told: Value = serde_json::from_str(&text)?;
    let people = told["result"]["people"].as_array();
    let people = people
        .with_context(|| format!("people: {status} {text}"))?
        .iter();
    let found: BTreeMap<String, _> = people
        .map(|it| {
            let name = it["name"].as_str().unwrap_or_default().to_owned();
            let faces = it["faces"].as_u64().unwrap_or_default();
            (name, (faces, said_of(it)))
        })
        .collect();
    Ok((found != due).then(|| format!("people are {found:?}, not {due:?}")))
}
