//! Names of files and directories.

use crate::target::Outcome;
use slotcask_format::file_name::{ShardFile, TEMPORARY, parse_shard_dir, shard_dir};

/// One name of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = [
        ShardFile::Segment(1),
        ShardFile::Spare(12_345),
        ShardFile::Manifest(7),
        ShardFile::Slots(1),
        ShardFile::Map(1),
        ShardFile::DoubleWrite,
    ];
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|file| file.name().into_bytes()).collect();
    seeds.push(shard_dir(3).into_bytes());
    seeds
}

/// A name that is ours is the only name of its file.
pub fn target(data: &[u8]) -> Outcome {
    let Ok(name) = std::str::from_utf8(data) else { return Outcome::Rejected };
    if let Some(shard) = parse_shard_dir(name) {
        assert_eq!(shard_dir(shard), name);
        return Outcome::Accepted;
    }
    match ShardFile::parse(name) {
        None => Outcome::Rejected,
        Some(ShardFile::Temporary) => {
            assert!(name.ends_with(TEMPORARY));
            Outcome::Accepted
        }
        Some(file) => {
            assert_eq!(file.name(), name);
            Outcome::Accepted
        }
    }
}
