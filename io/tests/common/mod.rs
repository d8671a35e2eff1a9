//! Short ways to say what the tests of the simulated disk do.
#![allow(dead_code)] // Each test file uses some of it.

use slotcask_io::sim::{CrashPlan, Profile, SimOptions};
use slotcask_io::{AlignedBuf, Disk, File, OpenMode, SimDisk};
use std::path::Path;
use std::sync::Arc;

/// Bytes in a block.
pub const B: usize = 4096;
/// The same as an offset.
pub const B64: u64 = B as u64;

/// A disk with that seed and sectors of 512 bytes.
pub fn disk(seed: u64) -> SimDisk {
    SimDisk::new(SimOptions { seed, ..SimOptions::default() })
}

/// A disk whose unit is 4096 bytes.
pub fn disk_4k(seed: u64) -> SimDisk {
    SimDisk::new(SimOptions { seed, profile: Profile::Block4k, ..SimOptions::default() })
}

/// `count` blocks of `byte`.
pub fn blocks(count: usize, byte: u8) -> AlignedBuf {
    let mut buf = AlignedBuf::zeroed(count * B);
    buf.fill(byte);
    buf
}

/// Creates a file whose name and content of `count` blocks of `byte` are durable.
pub fn durable_file(disk: &SimDisk, path: &str, count: usize, byte: u8) -> Arc<dyn File> {
    let file = disk.open(Path::new(path), OpenMode::Create).unwrap();
    file.write_at(0, &blocks(count, byte)).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new(path).parent().unwrap()).unwrap();
    file
}

/// The file as it is after a crash by `plan`.
pub fn after(disk: &SimDisk, mut plan: CrashPlan, path: &str) -> Option<Vec<u8>> {
    disk.crash(&mut plan).read_all(Path::new(path))
}

/// The first byte of each sector.
pub fn sectors(bytes: &[u8]) -> Vec<u8> {
    bytes
        .chunks(512)
        .map(|sector| {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector of mixed content");
            sector[0]
        })
        .collect()
}
