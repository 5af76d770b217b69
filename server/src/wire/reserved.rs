//! The key of payloads that the server writes alone: what is known of the person whose face it is. It must be
//! the same on all faces of theirs, so nobody says it of one.

use engine::{ABOUT_PERSON, KeyPath, Payload};

use crate::refusal::Refusal;

/// Refuses a payload that has the key.
pub(crate) fn payload(payload: &Payload) -> Result<(), Refusal> {
    match payload.contains_key(ABOUT_PERSON) {
        true => Err(refused()),
        false => Ok(()),
    }
}

/// Refuses a change of what lies there.
pub(crate) fn path(key: &KeyPath) -> Result<(), Refusal> {
    match key.first() == ABOUT_PERSON {
        true => Err(refused()),
        false => Ok(()),
    }
}

fn refused() -> Refusal {
    Refusal::wrong(format!(
        "`{ABOUT_PERSON}` of a payload is written by the server alone: say what is known of a person with \
         PATCH /collections/{{collection}}/people"
    ))
}
