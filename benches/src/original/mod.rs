//! The tables and figures of the program that this one follows, made again: the same columns over
//! the same kinds of data, its own figures beside ours.

pub mod photos;
pub mod published;
pub mod quality;
pub mod tables;
pub mod times;
