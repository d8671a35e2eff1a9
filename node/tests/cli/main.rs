//! The real binary on temporary directories, one scenario a file.

mod bad_line;
mod bad_record;
mod benching;
mod broken_pipe;
mod cask;
mod common;
mod completions;
mod copied_store;
mod corruption;
mod creating;
mod disk_full;
mod dumping;
mod exit_codes;
mod formats;
mod help;
mod idle_openings;
mod interrupted_load;
mod json;
mod key_choices;
mod killed_load;
mod lengths;
mod ordered;
mod read_only_directory;
mod round_trip;
mod ttl;
