//! Bytes as text and back.

mod csv;
mod duration;
mod escape;
mod field;
mod hex;
mod size;

pub use csv::append as append_csv;
pub use duration::parse as parse_duration;
pub use escape::unescape;
pub use field::{Style, argument, count, fit, number, unpadded};
pub use hex::decode as decode_hex;
pub use size::{display as display_size, parse as parse_size};
