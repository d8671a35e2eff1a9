//! Benchmarks of slotcask, and comparisons with its peers: the workload, the engines, the raw loops that say what the
//! machine allows, the rows, and the report. `docs/BENCHMARKS.md` says what each row means.
//!
//! Nothing here is asserted about time: rows are measured and judged by the report, tests only run them small.

#![forbid(unsafe_code)]

pub mod args;
pub mod bars;
pub mod cask;
mod cask_bars;
pub mod cask_child;
pub mod child;
pub mod engine;
pub mod engines;
pub mod machine;
pub mod measure;
pub mod ordered;
mod ordered_bars;
pub mod ordered_child;
pub mod parts;
pub mod raw;
pub mod report;
pub mod rows;
pub mod soak;
pub mod values;
pub mod workload;

pub use engine::{Engine, Failure, Mode, Outcome, Reader};
pub use report::Report;
pub use workload::{Key, Order, Value};
