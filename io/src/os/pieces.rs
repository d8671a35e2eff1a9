//! One long read in pieces, with the next ones in flight while a piece is worked on.

use super::ring::Ring;
use crate::disk::Arrived;
use crate::retry::Finish;
use io_uring::{opcode, types};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Pieces in flight at once, at most. It begins with one and doubles with each that was used, so that a read that
/// ends early has read little too much.
const DEPTH: u32 = 8;

/// A result that is not there yet. No read is as long.
const PENDING: usize = usize::MAX;

/// The read, and what the kernel holds of it. Dropping it waits for the kernel.
///
/// The buffer is cut in three: bytes that have arrived, which the caller sees; pieces in flight, which the kernel alone
/// touches; and what was not asked for yet. The cuts only move to the right.
pub(super) struct Pieces<'a> {
    fd: BorrowedFd<'a>,
    ring: Option<Ring>,
    /// Why the ring was given up.
    failed: Option<io::Error>,
    offset: u64,
    data: *mut u8,
    len: usize,
    piece_len: usize,
    /// One a piece.
    results: Vec<io::Result<usize>>,
    /// Pieces that were queued.
    asked: usize,
    /// Of them, those whose completions were not reaped.
    open: u32,
    buf: PhantomData<&'a mut [u8]>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(
        fd: BorrowedFd<'a>,
        ring: Option<Ring>,
        offset: u64,
        buf: &'a mut [u8],
        piece_len: usize,
    ) -> Self {
        let count = buf.len().div_ceil(piece_len);
        Self {
            fd,
            ring,
            failed: None,
            offset,
            data: buf.as_mut_ptr(),
            len: buf.len(),
            piece_len,
            results: std::iter::repeat_with(|| Ok(PENDING)).take(count).collect(),
            asked: 0,
            open: 0,
            buf: PhantomData,
        }
    }

    /// Start and end of a piece in the buffer.
    fn range(&self, piece: usize) -> (usize, usize) {
        let from = piece * self.piece_len;
        (from, self.len.min(from + self.piece_len))
    }

    pub(super) fn read(
        &mut self,
        finish: &mut Finish<'_>,
        arrived: &mut Arrived<'_>,
    ) -> io::Result<()> {
        for piece in 0..self.results.len() {
            let depth = DEPTH.min(1 << piece.min(31));
            self.ask(piece + depth as usize);
            self.wait(piece);
            let (from, end) = self.range(piece);
            // SAFETY: `data` and `len` are the buffer that was borrowed exclusively for the life of `self`, and nothing but this
            // function and the kernel uses it. The kernel has no part of `..end`: the pieces before this one are done by the rounds
            // before, this one by `wait`, and pieces are never asked for twice. The slice is dropped before the next
            // piece is asked for.
            let there = unsafe { std::slice::from_raw_parts_mut(self.data, end) };
            if !matches!(self.results[piece], Ok(count) if count == end - from) {
                // Short, interrupted, failed, or never asked for: one place repeats such reads and says what failed.
                finish(self.offset + from as u64, &mut there[from..])?;
            }
            if arrived(there).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Queues and submits the pieces before number `to`.
    fn ask(&mut self, to: usize) {
        let to = to.min(self.results.len());
        let before = self.asked;
        while self.asked < to {
            let (from, end) = self.range(self.asked);
            let Some(ring) = &mut self.ring else { return };
            let Ok(len) = u32::try_from(end - from) else { return };
            // SAFETY: `from` is within the buffer.
            let data = unsafe { self.data.add(from) };
            let entry = opcode::Read::new(types::Fd(self.fd.as_raw_fd()), data, len)
                .offset(self.offset + from as u64)
                .build()
                .user_data(self.asked as u64);
            // SAFETY: the kernel writes `len` bytes at `data` and uses the descriptor until this entry's completion is reaped.
            // Both are borrowed for the life of `self`, whose `drop` waits for whatever the kernel took, and aborts the
            // process when it cannot; `Pieces` does not leave `pread_pieces`, which does not forget it. These bytes lie behind
            // `asked`, so nobody else touches them before `wait` has seen the completion.
            if unsafe { ring.ring.submission().push(&entry) }.is_err() {
                break;
            }
            self.asked += 1;
            self.open += 1;
        }
        if self.asked > before {
            self.enter(0);
        }
    }

    /// Waits until the kernel is done with a piece, or does not have it.
    fn wait(&mut self, piece: usize) {
        while piece < self.asked && matches!(self.results[piece], Ok(PENDING)) {
            self.enter(1);
        }
    }

    /// Submits what is queued, waits for `want` completions and takes those that are there.
    fn enter(&mut self, want: usize) {
        let Some(ring) = &mut self.ring else { return };
        if let Err(error) = ring.enter(want, self.open as usize) {
            self.give_up();
            self.failed = Some(error);
            return;
        }
        self.open -= ring.reap(self.open as usize, &mut self.results) as u32;
    }

    /// Waits for all that the kernel has, and drops the ring if anything is left in it. What was not read is pending for ever,
    /// and nothing more is asked for.
    fn give_up(&mut self) {
        if let Some(mut ring) = self.ring.take() {
            ring.drain(self.open as usize, &mut self.results);
        }
        self.open = 0;
        for result in &mut self.results {
            if matches!(result, Ok(PENDING)) {
                *result = Err(io::Error::from_raw_os_error(libc::ECANCELED));
            }
        }
    }

    /// The ring, if it is as good as before, and why it is not.
    pub(super) fn end(mut self) -> (Option<Ring>, Option<io::Error>) {
        while self.open > 0 {
            self.enter(self.open as usize);
        }
        (self.ring.take(), self.failed.take())
    }
}

impl Drop for Pieces<'_> {
    fn drop(&mut self) {
        if self.open > 0 {
            self.give_up();
        }
    }
}
