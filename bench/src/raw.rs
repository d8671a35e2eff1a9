//! What the machine allows, in the same binary: loops that do only what no engine can do without.

pub mod arena;
pub mod disk;
pub mod group_commit;
pub mod read;
