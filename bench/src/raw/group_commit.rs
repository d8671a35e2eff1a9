//! The bare group-commit loop: threads append 120-byte records to a buffer under a mutex; one of those who wait writes
//! the buffer with O_DIRECT and syncs it while the next buffer gathers.
//!
//! Invariants
//!  - one flush in flight; `gathering` is its number plus one, or the number of the next flush when none is in flight.
//!  - a thread waits on the condition variable of its own flush's parity, so that the end of a flush wakes only threads
//!    whose records it wrote; one thread of the next flush is woken to lead it, before them.

use super::disk::{BLOCK, RawFile};
use crate::engine::Outcome;
use slotcask_io::AlignedBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of a record: what a put of the workload appends to a log.
pub const RECORD_SIZE: usize = 120;
/// Bytes that one flush holds at most; more threads than fit would wait for the flush after.
const BUFFER_SIZE: usize = 1 << 20;

struct State {
    buffer: AlignedBuf,
    spare: Option<AlignedBuf>,
    used: usize,
    /// Number of the flush that gathers.
    gathering: u64,
    /// Flushes up to this number are on the device.
    durable: u64,
    flushing: bool,
    /// Threads that wait for the gathering flush.
    waiting: usize,
    offset: u64,
}

/// A log without a format.
pub struct GroupCommit<'a> {
    file: &'a RawFile,
    state: Mutex<State>,
    parity: [Condvar; 2],
}

impl<'a> GroupCommit<'a> {
    /// A log that goes round in `file`.
    #[must_use]
    pub fn new(file: &'a RawFile) -> Self {
        Self {
            file,
            state: Mutex::new(State {
                buffer: AlignedBuf::zeroed(BUFFER_SIZE),
                spare: Some(AlignedBuf::zeroed(BUFFER_SIZE)),
                used: 0,
                gathering: 1,
                durable: 0,
                flushing: false,
                waiting: 0,
                offset: 0,
            }),
            parity: [Condvar::new(), Condvar::new()],
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record; returns when it is on the device.
    ///
    /// # Errors
    /// As the operating system says.
    ///
    /// # Panics
    /// When more threads append at once than a buffer holds records.
    pub fn append(&self, record: &[u8; RECORD_SIZE]) -> Outcome<()> {
        let mut state = self.lock();
        let used = state.used;
        state.buffer[used..used + RECORD_SIZE].copy_from_slice(record);
        state.used += RECORD_SIZE;
        let mine = state.gathering;
        while state.flushing && state.durable < mine {
            state.waiting += usize::from(state.gathering == mine);
            state = self.parity[(mine % 2) as usize]
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.durable >= mine { Ok(()) } else { self.flush(state) }
    }

    fn flush(&self, mut state: MutexGuard<'_, State>) -> Outcome<()> {
        let spare = state.spare.take().expect("one flush is in flight at a time");
        let buffer = std::mem::replace(&mut state.buffer, spare);
        let len = state.used.next_multiple_of(BLOCK);
        let (mine, offset) = (state.gathering, state.offset);
        state.used = 0;
        state.gathering += 1;
        state.waiting = 0;
        state.offset += len as u64;
        state.flushing = true;
        drop(state);
        let written = self.file.write_and_sync(offset, &buffer[..len]);
        let mut state = self.lock();
        state.spare = Some(buffer);
        state.flushing = false;
        state.durable = mine;
        let next_waits = state.waiting > 0;
        drop(state);
        if next_waits {
            self.parity[((mine + 1) % 2) as usize].notify_one();
        }
        self.parity[(mine % 2) as usize].notify_all();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_gets_through() {
        let dir = tempfile::tempdir().unwrap();
        let file = RawFile::create(&dir.path().join("log"), 4 << 20).unwrap();
        let log = GroupCommit::new(&file);
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let log = &log;
                scope.spawn(move || {
                    for _ in 0..50 {
                        log.append(&[thread; RECORD_SIZE]).unwrap();
                    }
                });
            }
        });
        let state = log.lock();
        assert_eq!((state.used, state.flushing, state.durable + 1), (0, false, state.gathering));
    }
}
