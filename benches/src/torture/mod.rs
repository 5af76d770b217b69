//! The torture: the engine on a disk that crashes, fails and rots, and a server process that is
//! killed, each beside a model that says what must be there. `--bin torture` runs it by the minute,
//! the tests a small part of it.

mod crowd;
mod damage;
mod group;
mod hammer;
mod inputs;
mod life;
mod model;
mod moves;
mod operator;
mod ops;
mod power;
mod remains;
mod shelf;
mod simulated;
mod tally;
mod world;

pub use damage::damage_every_byte;
pub use hammer::{Hammer, serve};
pub use inputs::bad_inputs;
pub use power::{Full, Power};
pub use simulated::{Until, lives, scripts};
pub use tally::Tally;
