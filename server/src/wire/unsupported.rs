//! Fields of the dialect that doppel does not have. Clients send them as null, which says nothing;
//! anything else would be ignored, and a filter that is ignored shows faces that nobody asked for.

use serde::de::IgnoredAny;

use crate::refusal::Refusal;

/// A field that may be absent or null.
pub(crate) type Absent = Option<IgnoredAny>;

/// Refuses the first field that says something.
pub(crate) fn refuse(fields: &[(&str, &Absent)]) -> Result<(), Refusal> {
    match fields.iter().find(|(_, field)| field.is_some()) {
        Some((name, _)) => Err(Refusal::wrong(format!("`{name}` is not supported yet"))),
        None => Ok(()),
    }
}
