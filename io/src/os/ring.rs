//! Many writes at once, by io_uring.

use super::lock;
use crate::disk::Write;
use io_uring::{EnterFlags, IoUring, Probe, opcode, types};
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread::ThreadId;

/// Writes in flight at once, at most, per ring.
const DEPTH: u32 = 64;

/// Writes that must have ended before more are queued, so that the thread is not woken for each of them.
const ENDED: usize = DEPTH as usize / 4;

/// Rings that are kept for reuse, at most, of which those longest unused go first. More exist while more threads write at once.
const IDLE_MAX: usize = 64;

/// The largest single write, bytes; longer ones come back short and are continued.
const WRITE_LEN_MAX: usize = 1 << 30;

/// Rings that nobody uses at the moment. Thread-safe: who takes a ring has it alone. A thread takes
/// those that it made, and those that any thread may enter.
#[derive(Debug, Default)]
pub(super) struct Rings {
    idle: Mutex<Vec<Ring>>,
}

impl Rings {
    /// Makes the first ring.
    ///
    /// # Errors
    /// When the kernel has no io_uring, or forbids it, or lacks what is needed.
    pub(super) fn probe() -> io::Result<Self> {
        let ring = Ring::new()?;
        Ok(Self { idle: Mutex::new(vec![ring]) })
    }

    /// Tries each write once, filling `results` in order. No write is in flight on return.
    ///
    /// # Errors
    /// When no ring can be had or the ring fails; then `results` is empty and any of the writes may have happened.
    pub(super) fn write_each(
        &self,
        fd: BorrowedFd<'_>,
        writes: &[Write<'_>],
        results: &mut Vec<io::Result<usize>>,
    ) -> io::Result<()> {
        let ring = self.take_idle();
        let mut ring = ring.map_or_else(Ring::new, Ok)?;
        ring.hold_locks()?;
        if let Err(error) = ring.write_each(fd, writes, results) {
            // Dropping the ring drops with it what the kernel never took from its queue.
            results.clear();
            return Err(error);
        }
        self.give_back(Some(ring));
        Ok(())
    }

    /// A ring to read with, if one can be had. Reads in flight do no harm after the process was killed, so it need not hold the locks.
    pub(super) fn take(&self) -> Option<Ring> {
        self.take_idle().or_else(|| Ring::new().ok())
    }

    /// A ring that this thread may enter.
    fn take_idle(&self) -> Option<Ring> {
        let own = std::thread::current().id();
        let mut idle = self.idle.lock();
        let at = idle.iter().rposition(|ring| ring.owner.is_none_or(|owner| owner == own))?;
        Some(idle.remove(at))
    }

    /// Keeps a ring in which nothing is queued or in flight for reuse.
    pub(super) fn give_back(&self, ring: Option<Ring>) {
        let Some(ring) = ring else { return };
        let mut idle = self.idle.lock();
        // Of a thread that ended nobody takes the rings any more: they come to the front, and go.
        let oldest = (idle.len() == IDLE_MAX).then(|| idle.remove(0));
        idle.push(ring);
        drop((idle, oldest));
    }
}

/// One ring, and the generation of locks that it holds references to.
pub(super) struct Ring {
    pub(super) ring: IoUring,
    /// The one thread that may enter it; none where any thread may.
    owner: Option<ThreadId>,
    locks: u64,
    registered: bool,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("locks", &self.locks).finish_non_exhaustive()
    }
}

impl Ring {
    fn new() -> io::Result<Self> {
        // Completions then wait until the thread enters the kernel for as many as it asked for. Linux before 6.1 knows no such
        // ring, and wakes the thread for each.
        let deferred = IoUring::builder()
            .dontfork()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(DEPTH);
        let (ring, owner) = match deferred {
            Ok(ring) => (ring, Some(std::thread::current().id())),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                (IoUring::builder().dontfork().build(DEPTH)?, None)
            }
            Err(error) => return Err(error),
        };
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Write::CODE) {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        Ok(Self { ring, owner, locks: 0, registered: false })
    }

    /// Makes the ring refer to every lock that the process holds, so that a lock outlives the writes of a killed process.
    /// The ring is idle here, so that nothing in flight loses its reference.
    fn hold_locks(&mut self) -> io::Result<()> {
        if self.locks == lock::generation() {
            return Ok(());
        }
        let submitter = self.ring.submitter();
        if self.registered {
            submitter.unregister_files()?;
            self.registered = false;
        }
        let (generation, registered) = lock::with_held(|fds, generation| {
            if !fds.is_empty() {
                submitter.register_files(fds)?;
            }
            io::Result::Ok((generation, !fds.is_empty()))
        })?;
        self.registered = registered;
        self.locks = generation;
        Ok(())
    }

    fn write_each(
        &mut self,
        fd: BorrowedFd<'_>,
        writes: &[Write<'_>],
        results: &mut Vec<io::Result<usize>>,
    ) -> io::Result<()> {
        results.clear();
        results.resize_with(writes.len(), || Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        let mut next = 0;
        let mut open = 0;
        while next < writes.len() || open > 0 {
            while next < writes.len() && open < DEPTH as usize {
                let Write { offset, data } = writes[next];
                let len = data.len().min(WRITE_LEN_MAX) as u32;
                let entry = opcode::Write::new(types::Fd(fd.as_raw_fd()), data.as_ptr(), len)
                    .offset(offset)
                    .build()
                    .user_data(next as u64);
                // SAFETY: the kernel reads `len` bytes at `data` and uses `fd` until this entry's completion is
                // reaped. Both are borrowed for the length of this function, which does not return before it: the
                // loop ends at `open == 0`; its only other exit is `drain`, which waits for whatever the kernel
                // took and aborts the process when it cannot; nothing in between panics but on a completion that
                // names no write (`results[index]`, `open - 1`), which `reap` turns into an abort.
                if unsafe { self.ring.submission().push(&entry) }.is_err() {
                    break;
                }
                next += 1;
                open += 1;
            }
            // With more to come some free places are enough; at the end wait for the rest in one call.
            let want = if next < writes.len() { open.min(ENDED) } else { open };
            if let Err(error) = self.enter(want, open) {
                self.drain(open, results);
                return Err(error);
            }
            open -= self.reap(open, results);
        }
        Ok(())
    }

    /// Submits what is queued and waits for `want` completions, or fewer when the call is interrupted or the kernel lacks memory for
    /// now. `open` entries were pushed and not reaped.
    pub(super) fn enter(&mut self, want: usize, open: usize) -> io::Result<()> {
        match self.ring.submit_and_wait(want) {
            Err(error) if is_passing(&error) => {
                // The kernel may want what the entries that it has hold, and these end when they are waited for.
                if open > self.ring.submission().len() {
                    self.wait_for_one();
                }
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Takes the completions that are there; returns how many. `open` is how many there can be.
    pub(super) fn reap(&mut self, open: usize, results: &mut [io::Result<usize>]) -> usize {
        let mut reaped = 0;
        for completion in self.ring.completion() {
            let index = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
            if index >= results.len() || reaped == open {
                // The count of what is in flight is wrong, and with it the proof that buffers outlive their writes.
                std::process::abort();
            }
            let result = completion.result();
            results[index] =
                usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
            reaped += 1;
        }
        reaped
    }

    /// Waits, without submitting more, until the kernel holds none of the `open` entries.
    pub(super) fn drain(&mut self, mut open: usize, results: &mut [io::Result<usize>]) {
        loop {
            open -= self.reap(open, results);
            // What the kernel never took it will never take: the caller drops the ring.
            let untaken = self.ring.submission().len();
            if open <= untaken {
                return;
            }
            self.wait_for_one();
        }
    }

    /// Waits, without submitting, until a completion is there; there may be none when a signal arrives.
    fn wait_for_one(&self) {
        // SAFETY: no argument is passed, so there is none to be valid.
        let waited = unsafe {
            self.ring.submitter().enter::<libc::sigset_t>(0, 1, EnterFlags::GETEVENTS.bits(), None)
        };
        if let Err(error) = waited
            && !is_passing(&error)
        {
            // Returning would free memory that the kernel still reads and write it to disk.
            std::process::abort();
        }
    }
}

/// True for errors of a call into a ring that go away by themselves.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}
