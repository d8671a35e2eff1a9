//! Walking the chain of flushes.

use crate::error::LogError;
use crate::recovery::opening::Opening;
use crate::recovery::rows::{Decision, Facts, Row};
use slotcask_format::block::SECTOR_SIZE;
use slotcask_format::checksum::Seed;
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::{FLUSH_MAGIC, FLUSH_RESTART, FlushHeader, flush_seed};
use slotcask_format::record::{self, Record, RecordHeader};
use slotcask_format::segment::SEGMENT_DATA_OFFSET;
use slotcask_format::{BLOCK_SIZE, Reason, mutants};
use slotcask_io::{AlignedBuf, File};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use zerocopy::FromBytes;

/// Gets what the scan accepts, in order.
pub trait LogVisitor {
    /// Error that ends the scan.
    type Error: From<LogError>;

    /// A flush was accepted.
    ///
    /// # Errors
    /// Ends the scan.
    fn flush(&mut self, path: &Path, header: &FlushHeader) -> Result<(), Self::Error> {
        let _ = (path, header);
        Ok(())
    }

    /// A record in it.
    ///
    /// # Errors
    /// Ends the scan.
    fn record(&mut self, record: &Record<'_>) -> Result<(), Self::Error>;

    /// A record comes soon: time to ask for what it will need from memory. Not all that come are told, and what follows
    /// may turn out to be corrupt first.
    fn expect(&mut self, record: &Record<'_>) {
        let _ = record;
    }

    /// As [`LogVisitor::record`], which is called unless this is overridden, with the segment and the offset in it where the record stands.
    ///
    /// # Errors
    /// Ends the scan.
    fn record_at(
        &mut self,
        record: &Record<'_>,
        generation: u64,
        offset: u64,
    ) -> Result<(), Self::Error> {
        let _ = (generation, offset);
        self.record(record)
    }
}

/// What the scan found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScanReport {
    /// The row of the recovery table that decided.
    pub row: &'static Row,
    /// Rows that describe the way to the end: `rotated`, `restart`, `void`, `empty-segment`.
    pub passed: Vec<&'static str>,
    /// Last sequence accepted.
    pub last_sequence: u64,
    /// The watermark: highest sequence known to be durable.
    pub watermark: u64,
    /// Flushes accepted.
    pub flushes: u64,
    /// Records given to the visitor.
    pub records: u64,
    /// Flushes that were dropped from the end.
    pub truncated_flushes: u64,
    /// Bytes in which they left traces.
    pub truncated_bytes: u64,
    /// Highest time floor seen.
    pub time_floor_ms: u64,
    /// Newest epoch seen, of the manifest or a flush; the next one that begins is above it.
    pub epoch: u32,
}

/// Where the log ends, for whoever goes on with it.
#[derive(Debug, Clone)]
pub(crate) struct ScanEnd {
    pub last_sequence: u64,
    pub watermark: u64,
    pub previous: u64,
    pub time_floor_ms: u64,
    pub epoch: u32,
    /// When the last flush holds no records: the checksum of the one before it. Nothing proves that such a flush was synced, and
    /// nothing is lost without it.
    pub empty_tail: Option<FlushHeader>,
    /// Accepted flushes above the watermark: at most one unless something is wrong.
    pub pending: Vec<Pending>,
    /// First sequence of each segment that holds flushes.
    pub placed: Vec<(u64, u64)>,
    /// Checksum of the flush that the first one of the newest of them goes on from.
    pub before_newest: u64,
    /// Where the last accepted flush of each of them ends.
    pub ends: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub file: Arc<dyn File>,
    pub header: FlushHeader,
}

/// Bytes of a segment that are read at once.
const READ_LEN: usize = 1 << 20;
/// Records whose places in memory are asked for together.
const GROUP: usize = 16;

struct Walk<'a, V: LogVisitor> {
    opening: &'a Opening,
    visitor: &'a mut V,
    redo_from: u64,
    record_seed: Seed,
    next: u64,
    previous: Option<u64>,
    manifest_named: u64,
    end: ScanEnd,
    report: ScanReport,
    facts: Facts,
    /// Checksums of the headers of void flushes that were met.
    void: Vec<u64>,
    /// Path and offset where the chain ended, and why.
    stop: Option<(usize, u64, String)>,
    buf: Option<AlignedBuf>,
}

/// Where later openings began again: what lies beyond is void.
#[derive(Debug, Clone)]
struct Limit {
    /// Last sequence that is not void.
    last: u64,
    /// Checksums of the flush headers that those openings continued.
    continued: Vec<u64>,
}

impl Limit {
    const NONE: Self = Self { last: u64::MAX, continued: Vec::new() };

    /// This limit and that of an opening whose first flush is `restart`.
    fn and(&self, restart: &FlushHeader) -> Self {
        let last = restart.first_sequence.get() - 1;
        let mut continued = if last < self.last { Vec::new() } else { self.continued.clone() };
        if last <= self.last {
            continued.push(restart.previous.get());
        }
        Self { last: last.min(self.last), continued }
    }

    /// True when a later opening did not take this flush. A flush without records at the very limit was taken if nobody
    /// continued the one before it.
    fn voids(&self, header: &FlushHeader) -> bool {
        let first = header.first_sequence.get();
        if first <= self.last {
            return false;
        }
        let at_limit = header.count.get() == 0 && first == self.last + 1;
        !at_limit || self.continued.contains(&header.previous.get())
    }
}

/// How a segment ended.
enum SegmentEnd {
    /// No valid flush at this offset.
    At(u64, Reason),
    /// What follows is void: a later opening truncated here.
    Void,
    /// Full to the last block.
    Full,
}

impl Opening {
    /// Walks the log and gives the records from `redo_from` on to `visitor`.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when the recovery table refuses the log, or what the visitor returns.
    pub fn scan<V: LogVisitor>(
        &mut self,
        redo_from: u64,
        visitor: &mut V,
    ) -> Result<ScanReport, V::Error> {
        let state = self.state();
        let floor = state.floor_sequence;
        let mut walk = Walk {
            record_seed: self.ident.record_seed(),
            redo_from,
            next: floor,
            previous: None,
            manifest_named: self.manifest_named,
            end: ScanEnd {
                last_sequence: floor - 1,
                watermark: if mutants::active("tail_forgets_manifest") {
                    0
                } else {
                    state.durable_sequence
                },
                previous: state.floor_previous,
                time_floor_ms: state.time_floor_ms,
                epoch: state.epoch,
                empty_tail: None,
                pending: Vec::new(),
                placed: Vec::new(),
                before_newest: 0,
                ends: BTreeMap::new(),
            },
            report: ScanReport {
                row: Facts::default().row(),
                passed: Vec::new(),
                last_sequence: 0,
                watermark: 0,
                flushes: 0,
                records: 0,
                truncated_flushes: 0,
                truncated_bytes: 0,
                time_floor_ms: 0,
                epoch: 0,
            },
            facts: Facts::default(),
            void: Vec::new(),
            stop: None,
            buf: None,
            opening: &*self,
            visitor,
        };
        walk.run()?;
        let (report, end, stop) = walk.decide();
        if report.row.decision == Decision::Refuse {
            let (path, at, detail) = match stop {
                Some((segment, at, detail)) => (self.segments[segment].path.clone(), at, detail),
                None => (self.ident.dir.clone(), 0, "the log holds no segment".to_owned()),
            };
            let reason = format!(
                "the log ends at sequence {} here ({detail}), which no crash explains [{}]: {}",
                report.last_sequence, report.row.name, report.row.why
            );
            return Err(LogError::corrupt(&path, at, reason).into());
        }
        // What is written again begins right behind the watermark: a writer knows whole flushes to be durable.
        if let Some(pending) = end.pending.first()
            && pending.header.first_sequence.get() != end.watermark + 1
        {
            let found = pending.header.first_sequence.get();
            let segment = ShardFile::Segment(pending.header.generation.get());
            let path = self.ident.dir.join(segment.name());
            let reason = format!(
                "sequence {} is known to be durable, which does not end the flush before this one, of sequence {found}: \
                 restore the store",
                end.watermark
            );
            return Err(LogError::corrupt(&path, pending.header.offset.get(), reason).into());
        }
        for (generation, first) in &end.placed {
            if let Some(segment) =
                self.segments.iter_mut().find(|segment| segment.generation == *generation)
            {
                segment.first_sequence = Some(*first);
            }
        }
        self.end = Some(end);
        Ok(report)
    }
}

impl<V: LogVisitor> Walk<'_, V> {
    fn run(&mut self) -> Result<(), V::Error> {
        let count = self.opening.segments.len();
        let mut firsts = Vec::with_capacity(count);
        for at in 0..count {
            firsts.push(self.first_flush(at)?);
        }
        let mut limits = vec![Limit::NONE; count];
        for at in (0..count.saturating_sub(1)).rev() {
            let later = firsts[at + 1].as_ref();
            let restart =
                later.filter(|(header, whole)| *whole && header.flags.get() & FLUSH_RESTART != 0);
            limits[at] = match restart {
                Some((header, _)) => limits[at + 1].and(header),
                None => limits[at + 1].clone(),
            };
        }
        let mut open_end: Vec<(usize, u64)> = Vec::new();
        for at in 0..count {
            let Some((first, _)) = firsts[at] else {
                self.report.passed.push("empty-segment");
                open_end.push((at, SEGMENT_DATA_OFFSET));
                self.stop.get_or_insert((
                    at,
                    SEGMENT_DATA_OFFSET,
                    "no flush stands there".to_owned(),
                ));
                continue;
            };
            if self.is_void(&limits[at], &first) {
                self.report.passed.push("void");
                continue;
            }
            if let Some(detail) = self.disconnected(&first) {
                self.facts.segment_beyond = true;
                let found = (at, SEGMENT_DATA_OFFSET, detail);
                self.stop.get_or_insert(found);
                break;
            }
            if first.flags.get() & FLUSH_RESTART != 0 {
                self.report.passed.push("restart");
            } else if at > 0 {
                self.report.passed.push("rotated");
            }
            open_end.clear();
            self.stop = None;
            self.end
                .placed
                .push((self.opening.segments[at].generation, first.first_sequence.get()));
            self.end.before_newest = first.previous.get();
            match self.segment(at, &limits[at])? {
                SegmentEnd::At(offset, reason) if limits[at].last == u64::MAX => {
                    self.stop = Some((at, offset, reason.to_string()));
                    open_end.push((at, offset));
                }
                SegmentEnd::At(..) | SegmentEnd::Void | SegmentEnd::Full => {}
            }
        }
        // Where the manifest says that the log was closed, and it ends right there, nothing can lie beyond.
        let closed = self.opening.manifest.state.clean.is_some_and(|clean| {
            clean.sequence == self.end.last_sequence && self.previous == Some(clean.flush_checksum)
        });
        if !closed {
            for (at, offset) in open_end {
                self.look_beyond(at, offset)?;
            }
        }
        Ok(())
    }

    /// The one buffer that all segments are read into.
    fn take_buf(&mut self) -> AlignedBuf {
        let size = self.opening.config.segment_size as usize;
        self.buf.take().unwrap_or_else(|| AlignedBuf::zeroed(size))
    }

    fn seed_of(&self, at: usize) -> Seed {
        let ident = &self.opening.ident;
        flush_seed(ident.store, ident.shard, self.opening.segments[at].generation)
    }

    /// The header of a segment's first flush, and whether that flush is whole.
    fn first_flush(&mut self, at: usize) -> Result<Option<(FlushHeader, bool)>, V::Error> {
        let file = self.opening.segments[at].file.clone();
        let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
        file.read_at(SEGMENT_DATA_OFFSET, &mut block).map_err(LogError::from)?;
        let Ok(header) = self.header_at(at, SEGMENT_DATA_OFFSET, &block) else { return Ok(None) };
        if header.flags.get() & FLUSH_RESTART == 0 {
            return Ok(Some((header, true)));
        }
        let mut bytes = AlignedBuf::zeroed(header.size());
        file.read_at(SEGMENT_DATA_OFFSET, &mut bytes).map_err(LogError::from)?;
        let whole = header.body_is_valid(self.seed_of(at), &bytes[FlushHeader::SIZE..]);
        // A restart that did not become whole truncates nothing: it is no more than the end of the log.
        Ok(if whole { Some((header, true)) } else { None })
    }

    fn header_at(&self, at: usize, offset: u64, bytes: &[u8]) -> Result<FlushHeader, Reason> {
        let Ok((header, _)) = FlushHeader::read_from_prefix(bytes) else {
            return Err(Reason::Short {
                expected: FlushHeader::SIZE as u64,
                found: bytes.len() as u64,
            });
        };
        let generation = self.opening.segments[at].generation;
        match header.invalid(self.seed_of(at), generation, offset, self.opening.config.segment_size)
        {
            None => Ok(header),
            Some(reason) => Err(reason),
        }
    }

    /// True when a later opening did not take this flush, or not the one that it continues: several without records may stand in a row
    /// at the limit.
    fn is_void(&mut self, limit: &Limit, header: &FlushHeader) -> bool {
        let continues_void =
            header.first_sequence.get() > limit.last && self.void.contains(&header.previous.get());
        let is_void = limit.voids(header) || continues_void;
        if is_void {
            self.void.push(header.checksum.get());
        }
        is_void
    }

    /// Why this header does not continue the chain, if it does not.
    fn disconnected(&self, header: &FlushHeader) -> Option<String> {
        if header.first_sequence.get() != self.next {
            let found = header.first_sequence.get();
            return Some(format!(
                "the next flush begins at sequence {found}, expected {}",
                self.next
            ));
        }
        match self.previous {
            Some(previous) if previous != header.previous.get() => {
                Some("the next flush does not name the checksum of the one before".to_owned())
            }
            _ => None,
        }
    }

    fn segment(&mut self, at: usize, limit: &Limit) -> Result<SegmentEnd, V::Error> {
        let mut buf = self.take_buf();
        let file = self.opening.segments[at].file.clone();
        let mut offset = SEGMENT_DATA_OFFSET;
        let mut end = Ok(None);
        let read = file.read_in_pieces(0, &mut buf, READ_LEN, &mut |there| {
            end = self.flushes(at, limit, there, &mut offset);
            if matches!(end, Ok(None)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        self.buf = Some(buf);
        read.map_err(LogError::from)?;
        Ok(end?.unwrap_or(SegmentEnd::Full))
    }

    /// Accepts flushes from `next` on, as far as they lie in `there`, the part of the segment that was read; says how the
    /// segment ends once that is known.
    fn flushes(
        &mut self,
        at: usize,
        limit: &Limit,
        there: &[u8],
        next: &mut u64,
    ) -> Result<Option<SegmentEnd>, V::Error> {
        let seed = self.seed_of(at);
        while (*next as usize) < there.len() {
            let offset = *next;
            let rest = &there[offset as usize..];
            let header = match self.header_at(at, offset, rest) {
                Ok(header) => header,
                Err(reason) => return Ok(Some(SegmentEnd::At(offset, reason))),
            };
            if self.is_void(limit, &header) {
                self.report.passed.push("void");
                return Ok(Some(SegmentEnd::Void));
            }
            if let Some(detail) = self.disconnected(&header) {
                self.facts.flush_beyond = true;
                self.stop = Some((at, offset, detail));
                return Ok(Some(SegmentEnd::Full));
            }
            // A valid header lies within its segment with all of its flush.
            let Some(flush) = rest.get(..header.size()) else { return Ok(None) };
            self.watermark(&header);
            if !header.body_is_valid(seed, &flush[FlushHeader::SIZE..])
                && !mutants::active("believe_torn_body")
            {
                return Ok(Some(SegmentEnd::At(offset, Reason::Checksum { what: "flush" })));
            }
            if header.next_sequence() - 1 > limit.last {
                let path = &self.opening.segments[at].path;
                let reason = "a later opening began again in the middle of this flush";
                return Err(LogError::corrupt(path, offset, reason).into());
            }
            self.accept(at, &header, &flush[FlushHeader::SIZE..])?;
            *next += header.size() as u64;
        }
        Ok(None)
    }

    fn watermark(&mut self, header: &FlushHeader) {
        self.manifest_named = self.manifest_named.max(header.manifest_sequence.get());
        let durable = header.durable_sequence.get();
        self.end.watermark = self.end.watermark.max(durable);
        self.end.pending.retain(|pending| pending.header.next_sequence() - 1 > durable);
    }

    fn accept(&mut self, at: usize, header: &FlushHeader, body: &[u8]) -> Result<(), V::Error> {
        let segment = &self.opening.segments[at];
        let last = header.next_sequence() - 1;
        self.visitor.flush(&segment.path, header)?;
        if last >= self.redo_from && header.count.get() > 0 {
            self.records(at, header, body)?;
        }
        if header.count.get() > 0 {
            self.end.pending.push(Pending { file: segment.file.clone(), header: *header });
        }
        self.end.ends.insert(segment.generation, header.offset.get() + header.size() as u64);
        self.end.empty_tail = (header.count.get() == 0).then_some(*header);
        self.end.epoch = self.end.epoch.max(header.epoch.get());
        self.end.time_floor_ms = self.end.time_floor_ms.max(header.time_floor_ms.get());
        self.end.last_sequence = last;
        self.next = last + 1;
        self.previous = Some(header.checksum.get());
        self.end.previous = header.checksum.get();
        self.report.flushes += 1;
        Ok(())
    }

    fn records(&mut self, at: usize, header: &FlushHeader, body: &[u8]) -> Result<(), V::Error> {
        let path = &self.opening.segments[at].path;
        let bad = |reason: String| LogError::corrupt(path, header.offset.get(), reason);
        let generation = self.opening.segments[at].generation;
        let length = header.length.get() as usize;
        let mut rest = &body[..length];
        let mut sequence = header.first_sequence.get();
        let mut group: Vec<(Record<'_>, u64)> = Vec::with_capacity(GROUP);
        while !rest.is_empty() {
            let mut refused = None;
            while !rest.is_empty() && group.len() < GROUP {
                let decoded = record::decode_vouched(self.record_seed, rest);
                let (record, size) = match decoded {
                    Ok((record, size)) if record.sequence == sequence => (record, size),
                    Ok((Record { sequence: found, .. }, _)) => {
                        refused = Some(format!("record {sequence} has sequence {found}"));
                        break;
                    }
                    Err(reason) => {
                        refused = Some(format!("record {sequence}: {reason}"));
                        break;
                    }
                };
                let at = header.offset.get() + (FlushHeader::SIZE + length - rest.len()) as u64;
                self.visitor.expect(&record);
                group.push((record, at));
                sequence += 1;
                rest = &rest[size..];
            }
            for (record, at) in group.drain(..) {
                self.visitor.record_at(&record, generation, at)?;
                self.report.records += 1;
            }
            if let Some(reason) = refused {
                return Err(bad(reason).into());
            }
        }
        if sequence != header.next_sequence() {
            let reason =
                format!("the flush holds {} records", sequence - header.first_sequence.get());
            return Err(bad(reason).into());
        }
        Ok(())
    }

    /// Looks behind the end of the chain for what must not be there, and for traces of a flush that did not become whole.
    fn look_beyond(&mut self, at: usize, offset: u64) -> Result<(), V::Error> {
        let size = self.opening.config.segment_size;
        let mut buf = self.take_buf();
        let file = self.opening.segments[at].file.clone();
        file.read_in_pieces(0, &mut buf, READ_LEN, &mut |_| ControlFlow::Continue(()))
            .map_err(LogError::from)?;
        self.judge_beyond(at, offset, size, &buf);
        self.buf = Some(buf);
        Ok(())
    }

    fn judge_beyond(&mut self, at: usize, offset: u64, size: u64, bytes: &[u8]) {
        let mut beyond = offset + BLOCK_SIZE as u64;
        while beyond < size && !mutants::active("ignore_flush_beyond") {
            if let Ok(header) = self.header_at(at, beyond, &bytes[beyond as usize..]) {
                self.manifest_named = self.manifest_named.max(header.manifest_sequence.get());
                self.facts.flush_beyond = true;
                self.stop =
                    Some((at, offset, format!("a valid flush stands behind it at {beyond}")));
                return;
            }
            beyond += BLOCK_SIZE as u64;
        }
        // A header of a later flush that lies at a wrong place proves as much.
        for sector in bytes[offset as usize..].chunks_exact(SECTOR_SIZE) {
            if mutants::active("ignore_flush_beyond") {
                break;
            }
            let Ok((header, _)) = FlushHeader::ref_from_prefix(sector) else { break };
            let stated = header.offset.get();
            if stated > offset
                && header
                    .invalid(self.seed_of(at), self.opening.segments[at].generation, stated, size)
                    .is_none()
            {
                self.facts.flush_beyond = true;
                let detail = format!(
                    "the header of a flush that belongs to {stated} stands in the wrong place behind it"
                );
                self.stop = Some((at, offset, detail));
                return;
            }
        }
        let extent = self.trace_of_flush(at, offset, &bytes[offset as usize..]);
        if extent > 0 {
            self.facts.torn = true;
            self.report.truncated_flushes += 1;
            self.report.truncated_bytes += extent;
        }
    }

    /// Bytes in which a flush that did not become whole left traces; 0 when there are none. Sectors of older generations
    /// are no traces.
    fn trace_of_flush(&self, at: usize, offset: u64, bytes: &[u8]) -> u64 {
        let generation = self.opening.segments[at].generation;
        let mut extent = 0;
        if let Ok((header, _)) = FlushHeader::read_from_prefix(bytes) {
            let signs = [
                header.magic.get() == FLUSH_MAGIC,
                header.generation.get() == generation,
                header.offset.get() == offset,
                header.first_sequence.get() == self.next,
                self.previous == Some(header.previous.get()),
            ];
            if signs.into_iter().filter(|sign| *sign).count() >= 3 {
                extent = BLOCK_SIZE as u64;
            }
        }
        // Records of sequences that the log does not reach can only come from a flush that was lost.
        let last = self.end.last_sequence;
        let mut at = 0;
        while at + RecordHeader::SIZE <= bytes.len() {
            let Ok((header, _)) = RecordHeader::ref_from_prefix(&bytes[at..]) else { break };
            let sequence = header.sequence.get();
            if sequence > last
                && sequence - last <= u64::from(u32::MAX)
                && header.invalid(self.record_seed).is_none()
            {
                extent = extent.max(slotcask_format::round_up(at + RecordHeader::SIZE) as u64);
            }
            at += 8;
        }
        extent
    }

    fn decide(mut self) -> (ScanReport, ScanEnd, Option<(usize, u64, String)>) {
        let manifest = &self.opening.manifest;
        let last = self.end.last_sequence;
        // The manifest may prove what no later flush does.
        let proven = self.end.watermark;
        self.end.pending.retain(|pending| pending.header.next_sequence() - 1 > proven);
        self.facts.manifest_short = self.manifest_named > manifest.sequence;
        self.facts.below_watermark =
            last < self.end.watermark && !mutants::active("ignore_watermark");
        self.facts.above_watermark = last > self.end.watermark;
        if let Some(clean) = manifest.state.clean {
            self.facts.clean = true;
            self.facts.clean_end_matches = clean.sequence == last
                && self.previous.unwrap_or(self.end.previous) == clean.flush_checksum;
        }
        self.report.row = self.facts.row();
        if mutants::active("truncate_silently") {
            self.report.truncated_flushes = 0;
            self.report.truncated_bytes = 0;
        }
        self.report.last_sequence = last;
        self.report.watermark = self.end.watermark.min(last);
        self.report.time_floor_ms = self.end.time_floor_ms;
        self.report.epoch = self.end.epoch;
        (self.report, self.end, self.stop)
    }
}
