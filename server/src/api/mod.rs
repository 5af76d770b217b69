//! What the API consists of, told once: each operation is mounted from its description, and the
//! OpenAPI document is made from the same one. What is not described cannot be reached.

mod document;
#[cfg(test)]
mod judge;
mod mount;
mod operation;
mod schema;
#[cfg(test)]
mod table;

pub(crate) use document::document;
#[cfg(test)]
pub(crate) use judge::Judge;
#[cfg(test)]
pub(crate) use mount::FIRST;
pub(crate) use mount::mount;
pub(crate) use operation::Operation;
#[cfg(test)]
pub(crate) use table::table;
