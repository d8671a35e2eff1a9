//! One file a decoder.

pub mod compressed;
pub mod double_write;
pub mod extension;
pub mod file_name;
pub mod flush;
pub mod hint;
pub mod history;
pub mod log_scan;
pub mod manifest;
pub mod page_map;
pub mod range_delete;
pub mod reader;
pub mod record;
pub mod schema;
pub mod segment;
pub mod slot;
pub mod slot_file;
pub mod slot_load;
pub mod superblock;
