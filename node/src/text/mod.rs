//! Bytes as text and back.

mod escape;
mod field;
mod hex;
mod size;

pub use escape::unescape;
pub use field::{Style, argument, count, fit, number, unpadded};
pub use hex::decode as decode_hex;
mod duration;
pub use duration::parse as parse_duration;
pub use size::{display as display_size, parse as parse_size};
