//! Writing what has gathered. Called by whoever has the flush role, one at a time.

use crate::gather::Flight;
use crate::shard::ShardLog;
use slotcask_format::FORMAT_VERSION;
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::{FLUSH_MAGIC, FlushHeader, flush_seed};
use slotcask_format::mutants;
use slotcask_io::IoError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

impl<S> ShardLog<S> {
    /// Writes and syncs the oldest flush that waits, or the gathering one. Returns without doing anything when there is
    /// none. The caller has the flush role. A failure poisons the shard.
    pub(crate) fn flush_once(&self) {
        if self.commit.is_poisoned() {
            return;
        }
        let Some(flight) = self.take_flush() else { return };
        let last = flight.last_sequence();
        if mutants::active("ack_before_sync") && last > self.durable() {
            self.commit.advance(last);
        }
        let started = self.env.clock.monotonic();
        match self.write_flush(&flight) {
            Ok(checksum) => {
                let end = flight.offset + flight.size as u64;
                {
                    let mut written = self.written.lock();
                    written.flushes += 1;
                    written.bytes += flight.size as u64;
                    written.lasts.insert(flight.generation, (end, checksum));
                }
                self.files.set_flushed(flight.generation, end);
                if last > self.durable() {
                    self.commit.advance(last);
                }
                let elapsed = self.env.clock.monotonic().saturating_sub(started);
                metrics::histogram!("slotcask_flush_seconds").record(elapsed.as_secs_f64());
                metrics::histogram!("slotcask_flush_bytes").record(flight.size as f64);
            }
            Err(error) => {
                // The flush stays where readers find it: what it holds was served, and may not be on disk.
                self.poison(error.to_string());
                return;
            }
        }
        let mut locked = self.locked.lock();
        locked.writer.in_flight = None;
        // Who still reads from it keeps the buffer.
        let flight = Arc::try_unwrap(flight).ok();
        let left = flight.and_then(|flight| locked.writer.give_buffer(flight.into_buf()));
        // Unmapping it takes a tenth of a millisecond.
        drop(locked);
        drop(left);
    }

    /// Flushes until nothing is left that was appended before the call; returns false when someone else is flushing.
    pub fn flush_background(&self) -> bool {
        let last = self.lock().last_sequence();
        self.commit.try_lead(|| {
            loop {
                self.flush_once();
                if self.commit.is_poisoned() || (self.durable() >= last && !self.has_queued()) {
                    break;
                }
                self.commit.wake_flushed();
            }
        })
    }

    /// True when something waits to be flushed.
    #[must_use]
    pub fn has_unflushed(&self) -> bool {
        let locked = self.locked.lock();
        !locked.writer.queue.is_empty()
            || locked.writer.gather.as_ref().is_some_and(|gather| gather.count > 0)
    }

    /// True when a whole flush waits in the queue.
    #[must_use]
    pub fn has_queued(&self) -> bool {
        !self.locked.lock().writer.queue.is_empty()
    }

    fn take_flush(&self) -> Option<Arc<Flight>> {
        let mut locked = self.locked.lock();
        let writer = &mut locked.writer;
        writer.kicked = false;
        if writer.queue.is_empty() {
            if writer.gather.as_ref().is_none_or(|gather| gather.count == 0) {
                return None;
            }
            writer.close_gather();
        }
        let gather = writer.queue.pop_front()?;
        writer.queued_bytes -= gather.size();
        // Under the shard lock, so that nobody whose record is in this flush can wait for the next one.
        self.commit.begin(gather.last_sequence());
        let flight = Arc::new(gather.into_flight());
        locked.writer.in_flight = Some(flight.clone());
        drop(locked);
        Some(flight)
    }

    /// Gives the checksum of the flush's header.
    fn write_flush(&self, flight: &Flight) -> Result<u64, IoError> {
        // Only for who has the role, who holds it over the write.
        let mut chain = self.chain.lock();
        chain.time_floor_ms = chain.time_floor_ms.max(self.now_ms());
        let seed = flush_seed(self.ident.store, self.ident.shard, flight.generation);
        let watermark = self.durable();
        let mut header = FlushHeader {
            checksum: U64::ZERO,
            body_checksum: U64::ZERO,
            magic: U32::new(FLUSH_MAGIC),
            version: U16::new(FORMAT_VERSION),
            flags: U16::new(flight.flags),
            generation: U64::new(flight.generation),
            offset: U64::new(flight.offset),
            first_sequence: U64::new(flight.first_sequence),
            count: U32::new(flight.count),
            length: U32::new(flight.payload_len() as u32),
            epoch: U32::new(flight.epoch),
            reserved: U32::ZERO,
            durable_sequence: U64::new(watermark),
            manifest_sequence: U64::new(self.manifest_sequence.load(Ordering::Acquire)),
            previous: U64::new(chain.previous),
            time_floor_ms: U64::new(chain.time_floor_ms),
        };
        flight.seal(|bytes| {
            header.seal(seed, &bytes[FlushHeader::SIZE..]);
            bytes[..FlushHeader::SIZE].copy_from_slice(header.as_bytes());
        });
        // The file knows the name that it had as a spare.
        let named = |error: IoError| {
            let name = ShardFile::Segment(flight.generation).name();
            IoError { path: self.ident.dir.join(name), ..error }
        };
        flight.with_bytes(|bytes| flight.file.write_at(flight.offset, bytes)).map_err(named)?;
        if !mutants::active("skip_log_sync") {
            match flight.file.sync() {
                Err(_) if mutants::active("retry_failed_sync") => flight.file.sync()?,
                result => result.map_err(named)?,
            }
        }
        chain.previous = header.checksum.get();
        Ok(chain.previous)
    }
}
