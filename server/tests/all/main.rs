//! All tests of the server, in one program: each would be linked with everything that a server is.

mod common;

mod aliases;
mod bad_input;
mod bent_filters;
mod clustering;
mod compreface;
mod erasure;
mod exact_input;
mod faces;
mod formats;
mod http;
mod jobs;
mod kept_faces;
mod keys;
mod known_people;
mod limits;
mod many;
mod metrics;
mod named_vectors;
mod operations;
mod people;
mod points;
mod query;
mod reembedding;
mod reindex;
mod remote;
mod replicas;
mod retention;
mod seen;
mod snapshots;
mod tls;
mod together;
mod watched;
mod writes;
