//! The verbs, one a file: its arguments, its examples, its run.

pub mod bench;
pub mod check;
pub mod completions;
pub mod create;
pub mod del;
pub mod dump;
pub mod export;
pub mod get;
pub mod load;
pub mod merge;
pub mod put;
pub mod repair;
pub mod scan;
pub mod stat;
pub mod ttl;
