//! What goes over the wire: bodies, parameters and answers, and their way to and from the engine's
//! types. A field that a client may send and that would be ignored is refused by name.

pub(crate) mod alias;
pub(crate) mod batch;
pub(crate) mod choose;
pub(crate) mod collection;
pub(crate) mod delete;
pub(crate) mod envelope;
pub(crate) mod face;
pub(crate) mod filter;
pub(crate) mod id;
pub(crate) mod index;
pub(crate) mod input;
pub(crate) mod kind;
pub(crate) mod list;
pub(crate) mod look;
pub(crate) mod node;
pub(crate) mod options;
pub(crate) mod order;
pub(crate) mod params;
pub(crate) mod payload;
pub(crate) mod people;
pub(crate) mod photo;
pub(crate) mod point;
pub(crate) mod prefetch;
pub(crate) mod purge;
pub(crate) mod query;
pub(crate) mod recommend;
pub(crate) mod schema;
pub(crate) mod seek;
pub(crate) mod select;
pub(crate) mod sieve;
pub(crate) mod snapshot;
pub(crate) mod tune;
pub(crate) mod unsupported;
pub(crate) mod vector;
