//! Fuzz targets for every decoder of slotcask, and a fuzzer for stable Rust that runs them.
//!
//! A target takes any bytes, decodes them, and asserts what must hold of everything that a decoder accepts: what
//! is written again is the same, sizes are bounded by the input, nothing panics. The fuzzer begins with the
//! golden files, changes them, and mostly repairs the checksums afterwards: otherwise nearly all inputs would
//! end at a checksum, and the code behind it would never run.
//!
//! Canaries are targets with a planted panic that only a changed and re-sealed input reaches. A fuzzer that does
//! not find them proves nothing with its silence.
//!
//! To add a target: write `run`, `seeds` and, where there are checksums, `reseal`; add an entry to [`TARGETS`].

#![forbid(unsafe_code)]

mod canary;
mod mutate;
mod packed;
mod panics;
mod place;
mod rng;
mod run;
mod target;
pub mod targets;

pub use canary::CANARIES;
pub use run::{Failure, Limits, Report, fuzz, replay};
pub use target::{Outcome, TARGETS, Target, find};
