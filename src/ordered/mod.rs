//! Ordered tables: ranges, pages of them, range deletes.

mod api;
mod cursor;
mod delete;
mod map;
mod range;
mod tables;

pub use map::MapRange;
pub use range::{Keys, Page, Range};
pub use tables::OrderedTable;
