//! Loading lines into a table.

mod key;
mod lines;
mod report;
mod row;
mod run;

pub use key::KeyFrom;
pub use run::run;
