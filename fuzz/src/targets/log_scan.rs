//! The directory of a shard's log, opened: manifest, segments, scan, and the first writes.

use crate::packed::{Files, pack, repack, unpack};
use crate::place::{SHARD, STORE, kind_seed, seal_front};
use crate::target::Outcome;
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::{FLUSH_MAGIC, FlushHeader, flush_seed};
use slotcask_format::manifest::{
    MANIFEST_DATA_OFFSET, MANIFEST_MAGIC, MANIFEST_RECORD_MAGIC, ManifestHeader,
    ManifestRecordHeader, ManifestState, manifest_seed,
};
use slotcask_format::record::{Record, RecordKind, record_seed, record_size};
use slotcask_format::segment::{SEGMENT_DATA_OFFSET, SEGMENT_MAGIC, SegmentHeader};
use slotcask_format::{BLOCK_SIZE, round_up};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{SimDisk, SimOptions, sim_env};
use slotcask_log::recovery::{LogVisitor, Opening};
use slotcask_log::{Append, LogConfig, LogError, LogIdent, ShardLog, Urgency};
use std::collections::BTreeMap;
use std::path::Path;
use zerocopy::{FromBytes, IntoBytes};

const SEGMENT_SIZE: u64 = 16 << 10;
const MANIFEST_SIZE: usize = 8 * BLOCK_SIZE;

fn ident() -> LogIdent {
    LogIdent::new(Path::new("/"), STORE, SHARD)
}

fn config() -> LogConfig {
    LogConfig::new(SEGMENT_SIZE, 6)
}

/// Sequences and keys that a scan gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen(pub Vec<(u64, Vec<u8>)>);

impl LogVisitor for Seen {
    type Error = LogError;

    fn record(&mut self, record: &Record<'_>) -> Result<(), LogError> {
        self.0.push((record.sequence, record.key.to_vec()));
        Ok(())
    }
}

/// What a file says that it is; a file that says nothing is a spare.
fn name(number: u8, bytes: &[u8]) -> ShardFile {
    if let Ok((header, _)) = ManifestHeader::read_from_prefix(bytes)
        && header.magic.get() == MANIFEST_MAGIC
    {
        return ShardFile::Manifest(header.generation.get());
    }
    match SegmentHeader::read_from_prefix(bytes) {
        Ok((header, _)) if header.magic.get() == SEGMENT_MAGIC => {
            ShardFile::Segment(header.generation.get())
        }
        _ => ShardFile::Spare(u64::from(number)),
    }
}

/// A disk with the files of an input in the shard's directory.
pub fn disk_of(data: &[u8]) -> SimDisk {
    let disk = SimDisk::new(SimOptions::default());
    for (number, mut bytes) in unpack(data) {
        let name = name(number, &bytes);
        match name {
            ShardFile::Manifest(_) => bytes.resize(bytes.len().max(MANIFEST_SIZE), 0),
            ShardFile::Segment(generation) => {
                bytes.resize(SEGMENT_SIZE as usize, 0);
                forget_later(generation, &mut bytes);
            }
            // A spare holds zeros, or what an older segment held; never what one that is to come will hold.
            _ => bytes = vec![0; SEGMENT_SIZE as usize],
        }
        disk.put_file(&ident().dir.join(name.name()), &bytes);
    }
    disk
}

/// A segment holds what older ones have left there, but no flush of one that is to come: it has its generation before its first flush.
fn forget_later(generation: u64, bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(BLOCK_SIZE).skip(1) {
        if let Ok((header, _)) = FlushHeader::read_from_prefix(block)
            && header.magic.get() == FLUSH_MAGIC
            && header.generation.get() > generation
        {
            block.fill(0);
        }
    }
}

/// Opens the log; None when it is refused.
pub fn open(disk: &SimDisk) -> Result<(Opening, Seen, u64), LogError> {
    let mut opening = Opening::read(&env_of(1, disk), &ident(), &config())?;
    let mut seen = Seen::default();
    let scan = opening.scan(1, &mut seen)?;
    Ok((opening, seen, scan.last_sequence))
}

/// What is accepted can be started, and is the same when it is opened again; what was accepted before a power failure too.
pub fn target(data: &[u8]) -> Outcome {
    let disk = disk_of(data);
    let before = disk.fork();
    let Ok((opening, seen, last)) = open(&disk) else { return Outcome::Rejected };
    assert!(seen.0.windows(2).all(|pair| pair[0].0 < pair[1].0), "sequences do not ascend");
    assert!(seen.0.last().is_none_or(|(sequence, _)| *sequence == last));
    // Reading is no writing.
    assert_eq!(before.io_count(), disk.io_count());
    match opening.start(()) {
        Ok(log) => assert_eq!(log.lock().last_sequence(), last),
        // The log of an input may claim more than there is room or numbers for.
        Err(_) => return Outcome::Rejected,
    }
    let crashed = disk.crash(&mut CrashPlan::keep_none());
    let (_, again, end) = match open(&crashed) {
        Ok(opened) => opened,
        // Numbers that had come to the very end of their range.
        Err(error) if error.to_string().contains("number") => return Outcome::Rejected,
        Err(error) => panic!("an opening that was started does not open again: {error}"),
    };
    assert_eq!((&again, end), (&seen, last), "an opening changed what it had accepted");
    Outcome::Accepted
}

/// Repairs every flush, then the manifest. What named the checksum of a header before names its new one.
pub fn reseal(data: &mut [u8]) {
    let mut files = unpack(data);
    let mut sums = BTreeMap::new();
    let mut order: Vec<(u64, u8)> = Vec::new();
    for (number, bytes) in &files {
        if let ShardFile::Segment(generation) = name(*number, bytes) {
            order.push((generation, *number));
        }
    }
    order.sort_unstable();
    for (generation, number) in order {
        if let Some(bytes) = files.get_mut(&number) {
            reseal_segment(generation, bytes, &mut sums);
        }
    }
    for (number, bytes) in &mut files {
        if let ShardFile::Manifest(generation) = name(*number, bytes) {
            reseal_manifest(generation, bytes, &mut sums);
        }
    }
    repack(data, &files);
}

/// New checksums of headers by what they were.
type Sums = BTreeMap<u64, u64>;

fn reseal_segment(generation: u64, bytes: &mut [u8], sums: &mut Sums) {
    seal_front(kind_seed(SEGMENT_MAGIC), bytes, SegmentHeader::SIZE);
    let mut offset = SEGMENT_DATA_OFFSET as usize;
    while let Some(rest) = bytes.get_mut(offset..).filter(|rest| !rest.is_empty()) {
        let Ok((mut header, _)) = FlushHeader::read_from_prefix(rest) else { return };
        let size = header.size().min(rest.len());
        if header.magic.get() != FLUSH_MAGIC {
            offset += BLOCK_SIZE;
            continue;
        }
        let body = &mut rest[FlushHeader::SIZE..size];
        let records = body.len().min(header.length.get() as usize);
        let mut left = &mut body[..records];
        for _ in 0..header.count.get() {
            let size = super::record::reseal_one(record_seed(STORE, SHARD), left);
            let Some(size) = size else { break };
            left = &mut left[size..];
        }
        let seed = flush_seed(STORE, SHARD, generation).at(offset as u64);
        let (before, previous) = (header.checksum.get(), header.previous.get());
        header.previous.set(sums.get(&previous).copied().unwrap_or(previous));
        header.body_checksum.set(seed.checksum(&rest[FlushHeader::SIZE..size]));
        header.checksum.set(seed.checksum(&header.as_bytes()[8..]));
        sums.insert(before, header.checksum.get());
        rest[..FlushHeader::SIZE].copy_from_slice(header.as_bytes());
        offset += size.max(BLOCK_SIZE);
    }
}

fn reseal_manifest(generation: u64, bytes: &mut [u8], sums: &mut Sums) {
    seal_front(kind_seed(MANIFEST_MAGIC), bytes, ManifestHeader::SIZE);
    let mut offset = MANIFEST_DATA_OFFSET as usize;
    while let Some(rest) = bytes.get_mut(offset..).filter(|rest| !rest.is_empty()) {
        let Ok((mut header, _)) = ManifestRecordHeader::read_from_prefix(rest) else { return };
        let len = header.length.get() as usize;
        let size = round_up(ManifestRecordHeader::SIZE + len);
        if header.magic.get() != MANIFEST_RECORD_MAGIC || size > rest.len() {
            return;
        }
        let state = &mut rest[ManifestRecordHeader::SIZE..][..len];
        if let Ok(mut decoded) = ManifestState::decode(state)
            && let Some(clean) = &mut decoded.clean
            && let Some(sum) = sums.get(&clean.flush_checksum)
        {
            clean.flush_checksum = *sum;
            let again = decoded.encode();
            if again.len() == state.len() {
                state.copy_from_slice(&again);
            }
        }
        let seed = manifest_seed(STORE, SHARD, generation).at(offset as u64);
        let (before, previous) = (header.checksum.get(), header.previous.get());
        header.previous.set(sums.get(&previous).copied().unwrap_or(previous));
        header.body_checksum.set(seed.checksum(&rest[ManifestRecordHeader::SIZE..size]));
        header.checksum.set(seed.checksum(&header.as_bytes()[8..]));
        sums.insert(before, header.checksum.get());
        rest[..ManifestRecordHeader::SIZE].copy_from_slice(header.as_bytes());
        offset += size;
    }
}

fn append(log: &ShardLog<()>, key: u8, len: usize) {
    loop {
        let (key, value) = ([key; 8], vec![key; len]);
        let mut guard = log.lock();
        if guard.reserve(record_size(0, 8, len), Urgency::Normal).is_ok() {
            guard.append(Append {
                table: 1,
                slot: u32::from(key[0]),
                kind: RecordKind::Put,
                flags: 0,
                extension: &[],
                key: &key,
                value: &value,
            });
            return;
        }
        drop(guard);
        log.prepare().expect("a simulated disk has room");
    }
}

fn started(disk: &SimDisk) -> ShardLog<()> {
    let (opening, _, _) = open(disk).expect("a seed opens");
    opening.start(()).expect("a seed starts")
}

fn files_of(disk: &SimDisk) -> Files {
    let mut files = Files::new();
    for (path, _) in disk.files() {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(ShardFile::parse);
        if let Some(ShardFile::Manifest(_) | ShardFile::Segment(_)) = name {
            let bytes = disk.read_all(&path).expect("it is listed");
            files.insert(files.len() as u8, bytes);
        }
    }
    files
}

/// Logs that were closed, that lost power, and that were opened after that.
pub fn seeds() -> Vec<Vec<u8>> {
    let (env, disk) = sim_env(1, SimOptions::default());
    env.disk.create_dir(&ident().dir).expect("a simulated disk has room");
    Opening::create(&env, &ident(), &config()).expect("a simulated disk has room");
    let log = started(&disk);
    log.lock().set_epoch(1);
    for (key, len) in [(1, 30), (2, 400), (3, 0)] {
        append(&log, key, len);
        append(&log, key + 10, 9);
        log.sync().expect("a simulated disk works");
    }
    let killed = disk.crash(&mut CrashPlan::keep_all());
    append(&log, 20, 7000);
    append(&log, 21, 7000);
    log.close().expect("a simulated disk works");
    let opened = killed.fork();
    let log = started(&opened);
    log.lock().set_epoch(2);
    append(&log, 30, 20);
    log.sync().expect("a simulated disk works");
    [&disk, &killed, &opened].into_iter().flat_map(|disk| pack(&files_of(disk))).collect()
}
