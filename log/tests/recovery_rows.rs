//! Each row of the recovery table, from a log that was written and then met what the row is about.

use slotcask_format::StoreId;
use slotcask_format::flush::{FLUSH_IDLE, FlushHeader, flush_seed};
use slotcask_format::record::{Record, RecordKind, record_size};
use slotcask_io::sim::env_of;
use slotcask_io::{Env, SimDisk, SimOptions, sim_env};
use slotcask_log::recovery::{LogVisitor, Opening, ROWS, ScanReport};
use slotcask_log::{Append, LogConfig, LogError, LogIdent, ShardLog, Urgency};
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, IntoBytes};

const BLOCK: u64 = 4096;

fn ident() -> LogIdent {
    LogIdent::new(Path::new("/"), StoreId([5; 16]), 0)
}

fn config() -> LogConfig {
    LogConfig::new(32 << 10, 6)
}

/// What a scan was given.
#[derive(Debug, Default)]
struct Seen {
    flushes: Vec<(PathBuf, FlushHeader)>,
    sequences: Vec<u64>,
}

impl LogVisitor for Seen {
    type Error = LogError;

    fn flush(&mut self, path: &Path, header: &FlushHeader) -> Result<(), LogError> {
        self.flushes.push((path.to_owned(), *header));
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), LogError> {
        self.sequences.push(record.sequence);
        Ok(())
    }
}

fn fresh() -> (Env, SimDisk, ShardLog<()>) {
    let (env, disk) = sim_env(1, SimOptions::default());
    env.disk.create_dir(&ident().dir).unwrap();
    Opening::create(&env, &ident(), &config()).unwrap();
    let mut opening = Opening::read(&env, &ident(), &config()).unwrap();
    opening.scan(1, &mut Seen::default()).unwrap();
    let log = opening.start(()).unwrap();
    log.lock().set_epoch(1);
    (env, disk, log)
}

/// Appends a record and makes it durable: one flush.
fn write(log: &ShardLog<()>) -> u64 {
    let sequence = append(log);
    log.sync().unwrap();
    sequence
}

fn append(log: &ShardLog<()>) -> u64 {
    loop {
        let mut guard = log.lock();
        let (key, value) = ([1; 8], [2; 100]);
        if guard.reserve(record_size(0, 8, 100), Urgency::Normal).is_ok() {
            return guard.append(Append {
                table: 1,
                slot: 0,
                kind: RecordKind::Put,
                flags: 0,
                extension: &[],
                key: &key,
                value: &value,
            });
        }
        drop(guard);
        log.prepare().unwrap();
    }
}

fn written(count: usize) -> (Env, SimDisk, ShardLog<()>) {
    let world = fresh();
    for expected in 1..=count as u64 {
        assert_eq!(write(&world.2), expected);
    }
    world
}

fn scan(disk: &SimDisk) -> Result<(Opening, ScanReport, Seen), LogError> {
    let mut opening = Opening::read(&env_of(2, disk), &ident(), &config())?;
    let mut seen = Seen::default();
    let report = opening.scan(1, &mut seen)?;
    Ok((opening, report, seen))
}

#[test]
fn a_checkpoint_takes_out_no_segment_that_it_was_not_told_of() {
    let (_, disk, log) = written(5);
    let redo = log.lock().next_sequence();
    // The segment that holds all records stays, whoever begins another meanwhile.
    assert_eq!(log.leaving(redo).unwrap(), []);
    let before = log.segment();
    while !log.lock().rotate() {
        log.prepare().unwrap();
    }
    assert_ne!(log.segment(), before);
    log.commit_checkpoint(redo, |_| {}).unwrap();
    assert!(log.files().get(before).is_some());
    let (opening, ..) = scan(&disk).unwrap();
    assert!(opening.state().segments.contains(&before));

    // The next one is told of it.
    let leaving: Vec<u64> =
        log.leaving(redo).unwrap().iter().map(|leaving| leaving.generation).collect();
    assert_eq!(leaving, [before]);
    log.commit_checkpoint(redo, |_| {}).unwrap();
    assert!(log.files().get(before).is_none());
}

/// Where the flush is that ends with this record.
fn place(disk: &SimDisk, sequence: u64) -> (PathBuf, u64) {
    let (_, _, seen) = scan(disk).unwrap();
    let is_it = |(_, header): &&(PathBuf, FlushHeader)| {
        header.count.get() > 0 && header.next_sequence() - 1 == sequence
    };
    let (path, header) = seen.flushes.iter().find(is_it).unwrap();
    (path.clone(), header.offset.get())
}

fn zero_block(disk: &SimDisk, path: &Path, offset: u64) {
    for sector in 0..BLOCK / 512 {
        disk.zero_sector(path, offset / 512 + sector);
    }
}

/// The log is taken by this row, with this end; and once it was started it is what it was.
fn accepted(disk: &SimDisk, row: &str, last: u64) -> ScanReport {
    let (opening, report, seen) = scan(disk).unwrap();
    assert_eq!(report.row.name, row);
    assert_eq!(report.last_sequence, last);
    assert_eq!(seen.sequences, (1..=last).collect::<Vec<_>>());
    drop(opening.start(()).unwrap());
    let (opening, again, seen) = scan(disk).unwrap();
    assert_eq!(again.last_sequence, last);
    assert_eq!(seen.sequences.last().copied().unwrap_or(0), last);
    let log = opening.start(()).unwrap();
    assert_eq!(log.durable(), last);
    report
}

/// The log is refused by this row, every time.
fn refused(disk: &SimDisk, row: &str) {
    assert!(ROWS.iter().any(|known| known.name == row));
    for _ in 0..2 {
        let error = scan(disk).map(drop).unwrap_err();
        assert!(matches!(error, LogError::Corrupt { .. }));
        assert!(error.to_string().contains(&format!("[{row}]")), "{error}");
    }
}

#[test]
fn a_clean_end() {
    let (_, disk, log) = written(3);
    log.close().unwrap();
    drop(log);
    accepted(&disk, "clean", 3);
}

#[test]
fn an_end_that_nothing_proves() {
    let (_, disk, log) = written(3);
    drop(log);
    assert_eq!(accepted(&disk, "unproven-tail", 3).watermark, 2);
}

#[test]
fn an_end_that_an_idle_flush_proves() {
    let (_, disk, log) = written(3);
    assert!(log.lock().append_idle_flush(FLUSH_IDLE));
    log.flush_background();
    assert!(!log.lock().append_idle_flush(FLUSH_IDLE), "there is nothing left to prove");
    drop(log);
    assert_eq!(accepted(&disk, "proven-tail", 3).watermark, 3);
}

#[test]
fn a_torn_flush_behind_a_proven_one() {
    let (_, disk, log) = written(4);
    drop(log);
    let (path, offset) = place(&disk, 4);
    // The header is whole and proves what came before; the records are not.
    disk.flip_bit(&path, (offset + FlushHeader::SIZE as u64 + 60) * 8);
    let report = accepted(&disk, "torn-tail", 3);
    assert_eq!(report.truncated_flushes, 1);
    assert_eq!(report.truncated_bytes, BLOCK);
}

#[test]
fn a_torn_flush_behind_an_unproven_one() {
    let (_, disk, log) = written(4);
    drop(log);
    let (path, offset) = place(&disk, 4);
    disk.flip_bit(&path, (offset + FlushHeader::SIZE as u64 - 2) * 8);
    let report = accepted(&disk, "torn-tail-behind-unproven", 3);
    assert_eq!((report.watermark, report.truncated_flushes), (2, 1));
}

#[test]
fn a_manifest_that_lost_a_record() {
    let (_, disk, log) = written(2);
    log.commit_state(|_| {}).unwrap();
    write(&log);
    drop(log);
    let (opening, _, _) = scan(&disk).unwrap();
    let (path, end) = (opening.manifest().path.clone(), opening.manifest().end);
    zero_block(&disk, &path, end - BLOCK);
    refused(&disk, "manifest-short");
}

#[test]
fn an_end_below_the_watermark() {
    let (_, disk, log) = written(3);
    log.commit_state(|_| {}).unwrap();
    drop(log);
    let (path, offset) = place(&disk, 3);
    zero_block(&disk, &path, offset);
    refused(&disk, "below-watermark");
}

#[test]
fn a_whole_flush_behind_a_damaged_one() {
    for bit in [8 * 8, 8 * 60, 8 * (FlushHeader::SIZE as u64 + 20)] {
        let (_, disk, log) = written(3);
        drop(log);
        let (path, offset) = place(&disk, 2);
        disk.flip_bit(&path, offset * 8 + bit);
        refused(&disk, "flush-beyond");
    }
}

#[test]
fn a_segment_that_does_not_continue_the_one_before() {
    let (_, disk, log) = written(9);
    drop(log);
    let (path, offset) = place(&disk, 6);
    assert_ne!(place(&disk, 7).0, path, "the log was to go on in another segment");
    zero_block(&disk, &path, offset);
    refused(&disk, "segment-beyond");
}

#[test]
fn a_clean_end_that_is_not_there() {
    let (_, disk, log) = written(3);
    log.close().unwrap();
    drop(log);
    let (_, _, seen) = scan(&disk).unwrap();
    let (path, header) = seen.flushes.last().unwrap();
    assert_eq!(header.count.get(), 0, "the mark of the end");
    zero_block(&disk, path, header.offset.get());
    refused(&disk, "clean-end-lost");
}

/// Found by fuzzing: what was written again would have begun in the middle of the flush, with wrong numbers.
#[test]
fn a_watermark_in_the_middle_of_a_flush() {
    let (_, disk, log) = fresh();
    append(&log);
    write(&log);
    write(&log);
    drop(log);
    let (path, offset) = place(&disk, 3);
    let bytes = disk.read_all(&path).unwrap();
    let flush = &bytes[offset as usize..];
    let (mut header, _) = FlushHeader::read_from_prefix(flush).unwrap();
    assert_eq!(header.durable_sequence.get(), 2);
    header.durable_sequence.set(1);
    let seed = flush_seed(ident().store, ident().shard, header.generation.get());
    header.seal(seed, &flush[FlushHeader::SIZE..header.size()]);
    let mut changed = bytes.clone();
    changed[offset as usize..][..FlushHeader::SIZE].copy_from_slice(header.as_bytes());
    disk.put_file(&path, &changed);
    let error = scan(&disk).map(drop).unwrap_err();
    assert!(matches!(error, LogError::Corrupt { .. }));
    assert!(error.to_string().contains("does not end the flush before"), "{error}");
}

#[test]
fn damage_to_any_bit_of_a_log_is_noticed_or_harms_nothing() {
    let (_, disk, log) = written(5);
    log.close().unwrap();
    drop(log);
    let (path, _) = place(&disk, 1);
    let mut refusals = 0;
    for bit in (0..8 * 32 * 1024_u64).step_by(37) {
        let image = disk.fork();
        image.flip_bit(&path, bit);
        match scan(&image) {
            Ok((_, _, seen)) => assert_eq!(seen.sequences, [1, 2, 3, 4, 5], "bit {bit}"),
            Err(LogError::Corrupt { .. } | LogError::Newer { .. }) => refusals += 1,
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    assert!(refusals > 1000, "{refusals}");
}
