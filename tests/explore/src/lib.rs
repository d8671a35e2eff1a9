//! Exploration of slotcask by simulated power loss, media faults, failing calls, kills and planted bugs.
//! See `docs/TESTING.md`.

#![forbid(unsafe_code)]

pub mod catalogue;
pub mod contents;
pub mod crash;
pub mod cuts;
pub mod damage;
pub mod interleave;
pub mod io_error;
pub mod kill;
pub mod killed;
pub mod lengths;
pub mod life;
pub mod manifest;
pub mod model;
pub mod mutants;
pub mod op;
pub mod pairs;
pub mod race;
pub mod random;
pub mod resurrect;
pub mod script;
pub mod verdict;
