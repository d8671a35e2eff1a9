//! Loading a file into a table.

mod input;
mod key;
mod lines;
mod object;
mod records;
mod report;
mod row;
mod run;
mod source;

pub use key::KeyFrom;
pub use run::run;
