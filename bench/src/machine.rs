//! Facts about the machine that figures are worth little without, and sizes of processes and directories.

use crate::engine::Outcome;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn line_of(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn field_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

/// Device and file system of the mount that `dir` is on: the longest mount point that is a prefix of it.
fn mount_of(dir: &Path) -> (String, String) {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
        .filter(|(_, point, _)| dir.starts_with(point))
        .max_by_key(|(_, point, _)| point.len())
        .map(|(device, _, kind)| (device.to_owned(), kind.to_owned()))
        .unwrap_or_default()
}

/// Processor, memory, kernel, file system and block device.
#[must_use]
pub fn facts(dir: &Path) -> Value {
    let (device, file_system) = mount_of(dir);
    let block = device.trim_start_matches("/dev/").trim_end_matches(|c: char| c.is_ascii_digit());
    let queue = |name: &str| line_of(&format!("/sys/block/{block}/queue/{name}"));
    json!({
        "processor": field_of("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field_of("/proc/meminfo", "MemTotal"),
        "kernel": line_of("/proc/sys/kernel/osrelease"),
        "transparent_huge_pages": line_of("/sys/kernel/mm/transparent_hugepage/enabled"),
        "file_system": file_system,
        "device": device,
        "write_cache": queue("write_cache"),
        "fua": queue("fua"),
        "scheduler": queue("scheduler"),
        "load_average_at_start": line_of("/proc/loadavg"),
    })
}

/// Bytes of memory that this process has in use (VmRSS), and the most that it had (VmHWM).
#[must_use]
pub fn memory() -> (u64, u64) {
    let bytes = |name| {
        let text = field_of("/proc/self/status", name);
        text.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
    };
    (bytes("VmRSS"), bytes("VmHWM"))
}

/// Bytes that the files under `dir` take on the device.
///
/// # Errors
/// As the operating system says.
pub fn disk_used(dir: &Path) -> Outcome<u64> {
    let mut used = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // A running engine removes files while they are being counted.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        used += if metadata.is_dir() { disk_used(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(used)
}
