//! What can be done under the shard lock.

use crate::error::{Cause, Refusal};
use crate::files::Files;
use crate::gather::{Gather, Place};
use crate::shard::{Locked, ShardLog, Writer};
use parking_lot::MutexGuard;
use slotcask_format::flush::{FLUSH_IDLE, FlushHeader};
use slotcask_format::mutants;
use slotcask_format::record::{Record, RecordKind};
use slotcask_format::round_up;
use slotcask_format::segment::SEGMENT_DATA_OFFSET;
use slotcask_io::AlignedBuf;
use std::sync::atomic::Ordering;

/// Writers are slowed down when the log is this full, in thousandths of what they may fill.
pub const PACE_FROM_PERMILLE: u32 = 850;

/// Flush buffers kept for reuse: more than these are in use only while the disk falls behind.
const BUFFERS_KEPT: usize = 2;

/// The held shard lock.
pub struct Guard<'a, S> {
    pub(crate) log: &'a ShardLog<S>,
    pub(crate) locked: MutexGuard<'a, Locked<S>>,
}

/// Whether a write may use the last prepared segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It may not: a write that can wait.
    Normal,
    /// It may: deletes, checkpoints and what else gives space back.
    Reserve,
}

impl<S> Guard<'_, S> {
    /// The state behind the lock.
    #[inline]
    pub fn state(&mut self) -> &mut S {
        &mut self.locked.state
    }

    /// The state behind the lock, to look at.
    #[inline]
    #[must_use]
    pub fn state_ref(&self) -> &S {
        &self.locked.state
    }

    /// Sequence that the next record will have.
    #[inline]
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.locked.writer.next_sequence
    }

    /// Last sequence appended.
    #[inline]
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.locked.writer.next_sequence - 1
    }

    /// Epoch of the records that are appended now; 0 before the first.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.locked.writer.epoch
    }

    /// Begins an epoch: records appended from now on belong to it.
    ///
    /// # Panics
    /// When it is not above the epoch so far; openings refuse a log that is ahead of the history ([`crate::recovery::ScanReport::epoch`]).
    pub fn set_epoch(&mut self, epoch: u32) {
        let so_far = self.locked.writer.epoch;
        assert!(
            epoch > so_far,
            "epoch {epoch} begins, and epoch {so_far} was not refused by the opening"
        );
        self.locked.writer.epoch = epoch;
        // One flush belongs to one epoch.
        self.locked.writer.close_gather();
    }

    /// Bytes of log ever placed, the gathering flush included.
    #[must_use]
    pub fn position(&self) -> u64 {
        let writer = &self.locked.writer;
        writer.position + writer.gather.as_ref().map_or(0, |gather| gather.size() as u64)
    }

    /// Makes sure that records of `size` bytes together can be appended and will be one flush's. After `Ok`, appending
    /// them cannot fail.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed.
    ///
    /// # Panics
    /// When `size` is over [`crate::LogConfig::batch_len_max`]; callers check that first.
    #[inline]
    pub fn reserve(&mut self, size: usize, urgency: Urgency) -> Result<(), Refusal> {
        if self.log.commit.is_poisoned() {
            return Err(self.poisoned());
        }
        if let Some(gather) = &self.locked.writer.gather
            && gather.fits(size, self.log.config.gather_size)
        {
            return Ok(());
        }
        self.reserve_slowly(size, urgency)
    }

    /// Generation and offset at which the next record will stand. Room for it was reserved.
    ///
    /// # Panics
    /// When no room was reserved.
    #[inline]
    #[must_use]
    pub fn next_place(&self) -> (u64, u64) {
        let gather = self.locked.writer.gather.as_ref().expect("room was reserved");
        (gather.generation, gather.end_offset())
    }

    /// Appends a record and gives its sequence. Room for it was reserved.
    ///
    /// # Panics
    /// When no room was reserved.
    #[inline]
    pub fn append(&mut self, record: Append<'_>) -> u64 {
        let writer = &mut self.locked.writer;
        let sequence = writer.next_sequence;
        let record = Record {
            sequence,
            epoch: writer.epoch,
            table: record.table,
            slot: record.slot,
            kind: record.kind,
            flags: record.flags,
            extension: record.extension,
            key: record.key,
            value: record.value,
        };
        let gather = writer.gather.as_mut().expect("room was reserved");
        gather.append(self.log.record_seed, &record);
        writer.next_sequence = sequence + 1;
        sequence
    }

    fn poisoned(&self) -> Refusal {
        let cause = self.log.poison_cause().unwrap_or_else(|| Cause::from("unknown"));
        Refusal::Poisoned(cause)
    }

    #[cold]
    fn reserve_slowly(&mut self, size: usize, urgency: Urgency) -> Result<(), Refusal> {
        let config = &self.log.config;
        assert!(size <= config.batch_len_max(), "{size} bytes were not refused by name");
        let writer = &mut self.locked.writer;
        if writer.queued_bytes >= config.queue_size_max {
            return Err(Refusal::QueueFull);
        }
        let whole = FlushHeader::SIZE + size;
        // A batch that is larger than a flush usually is has one of its own.
        if let Some(gather) = &mut writer.gather
            && gather.count == 0
            && gather.fits_grown(size)
        {
            return Ok(());
        }
        // Where the next flush would begin if this one were closed now.
        let closing = match &writer.gather {
            Some(gather) if gather.count > 0 || gather.flags != 0 => gather.size(),
            _ => 0,
        };
        let left = writer.place.room - closing;
        let rolls = round_up(whole) > left;
        if rolls {
            let keep = usize::from(urgency == Urgency::Normal);
            let keep = if mutants::active("spend_the_reserve") { 0 } else { keep };
            if writer.prepared.len() <= keep {
                return Err(Refusal::NoSegment);
            }
        }
        writer.close_gather();
        if rolls {
            writer.roll(config.segment_size, &self.log.files);
        }
        self.log.note_fill(&self.locked.writer);
        let writer = &mut self.locked.writer;
        let buf = writer.take_buffer(config.gather_size.max(round_up(whole)));
        writer.gather = Some(Gather::begin(buf, &writer.place, writer.next_sequence, writer.epoch));
        if !writer.queue.is_empty() || rolls {
            self.log.kick();
        }
        Ok(())
    }

    /// Puts an empty flush at the end of the log whose header proves the flush before it. Returns false when there is
    /// nothing to prove, or no room for it.
    pub fn append_idle_flush(&mut self, flag: u16) -> bool {
        let last = self.last_sequence();
        let writer = &mut self.locked.writer;
        if self.log.commit.is_poisoned()
            || writer.gather.as_ref().is_some_and(|gather| gather.count > 0)
        {
            return false;
        }
        if flag == FLUSH_IDLE && writer.proven >= last {
            return false;
        }
        writer.gather = None;
        let size = round_up(FlushHeader::SIZE);
        if writer.place.room < size {
            // The last prepared segment is kept for what gives space back, unless this is the end.
            if writer.prepared.len() <= usize::from(flag == FLUSH_IDLE) {
                return false;
            }
            writer.roll(self.log.config.segment_size, &self.log.files);
        }
        let buf = writer.take_buffer(self.log.config.gather_size);
        let mut gather = Gather::begin(buf, &writer.place, writer.next_sequence, writer.epoch);
        gather.flags = flag;
        writer.gather = Some(gather);
        writer.close_gather();
        true
    }

    /// Ends the gathering flush: what is appended next is another flush's.
    pub fn split_flush(&mut self) {
        self.locked.writer.close_gather();
    }

    /// Ends the gathering flush and the segment: the next flush goes to a fresh one. False when none is prepared.
    pub fn rotate(&mut self) -> bool {
        let writer = &mut self.locked.writer;
        if writer.prepared.len() < 2 {
            return false;
        }
        writer.close_gather();
        if writer.place.offset > SEGMENT_DATA_OFFSET {
            writer.roll(self.log.config.segment_size, &self.log.files);
        }
        self.log.note_fill(&self.locked.writer);
        true
    }

    /// Has the shard's thread look for work.
    pub fn kick(&self) {
        self.log.kick();
    }

    /// Segments that are ready to be written.
    #[must_use]
    pub fn prepared(&self) -> usize {
        self.locked.writer.prepared.len()
    }
}

/// A record to append; sequence and epoch are given by the log.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// Table, or 0.
    pub table: u32,
    /// Slot, or [`slotcask_format::record::SLOT_NONE`].
    pub slot: u32,
    /// What it does.
    pub kind: RecordKind,
    /// Batch flags.
    pub flags: u8,
    /// TLV extension.
    pub extension: &'a [u8],
    /// Key.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
}

impl Writer {
    /// Ends the gathering flush: it waits in the queue, and the next one begins behind it.
    pub(crate) fn close_gather(&mut self) {
        let Some(gather) = self.gather.take() else { return };
        if gather.count == 0 && gather.flags == 0 {
            drop(self.give_buffer(gather.into_buf()));
            return;
        }
        let size = gather.size();
        self.place.offset += size as u64;
        self.place.room -= size;
        self.position += size as u64;
        self.queued_bytes += size;
        // This flush will carry a watermark at or above the end of the one before it.
        self.proven = gather.first_sequence - 1;
        self.queue.push_back(gather);
    }

    /// Moves on to the next prepared segment.
    fn roll(&mut self, segment_size: u64, files: &Files) {
        let next = self.prepared.pop_front().expect("callers look first");
        self.position += self.place.room as u64;
        files.set_sequences(next.generation, self.next_sequence..=u64::MAX);
        self.ends.insert(self.place.generation, self.place.offset);
        self.placed.push_back((next.generation, self.next_sequence));
        self.place = Place {
            generation: next.generation,
            file: next.file,
            offset: SEGMENT_DATA_OFFSET,
            room: (segment_size - SEGMENT_DATA_OFFSET) as usize,
        };
    }

    fn take_buffer(&mut self, size: usize) -> AlignedBuf {
        match self.buffers.pop() {
            Some(buf) if buf.capacity() >= size => buf,
            _ => AlignedBuf::with_capacity(size),
        }
    }

    /// Keeps a buffer for the next flush, unless there are enough: then it comes back, to be given to the system without the lock.
    #[must_use]
    pub(crate) fn give_buffer(&mut self, buf: AlignedBuf) -> Option<AlignedBuf> {
        if self.buffers.len() < BUFFERS_KEPT {
            self.buffers.push(buf);
            return None;
        }
        Some(buf)
    }
}

impl<S> ShardLog<S> {
    pub(crate) fn note_fill(&self, writer: &Writer) {
        let used = writer.used_bytes(self.config.segment_size);
        let permille = used.saturating_mul(1000) / self.config.capacity_of_writes();
        let permille = u32::try_from(permille).unwrap_or(u32::MAX);
        self.fill.store(permille, Ordering::Relaxed);
        if permille > PACE_FROM_PERMILLE || self.behind_permille() > 0 {
            self.pace_anew.store(true, Ordering::Relaxed);
            self.pace_due.store(true, Ordering::Relaxed);
        }
    }
}
