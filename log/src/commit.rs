//! Group commit: who flushes, who waits, and the durable cursor.
//!
//! There is one flush in flight per log. A writer that waits for its record takes the flush role if it is free and waits
//! otherwise. Waiters stand in two rows: those whose records are in the flush in flight, and those who came after. When a
//! flush ends, all of the first row are woken, and one of the second, which takes the role; so nobody is woken in vain.
//!
//! Invariants
//!  1. `durable` only grows, and only after the sync of the flush that holds the sequence.
//!  2. Whoever sees the role free and has something to wait for takes it, or passes the wake-up on.
//!  3. The role is given back also when the flush panics, after the log was poisoned.
//!  4. After a failure nobody's wait succeeds unless its sequence was durable before.

use crate::error::Cause;
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering, fence, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::time::Duration;

/// The durable cursor of a log, and those who wait for it.
#[derive(Debug)]
pub struct Commit {
    durable: AtomicU64,
    poisoned: AtomicBool,
    wakers_waiting: AtomicBool,
    state: Mutex<State>,
    rows: [Condvar; 2],
}

#[derive(Debug, Default)]
struct State {
    /// Somebody has the flush role.
    flushing: bool,
    /// Last sequence of the flush in flight.
    in_flight: u64,
    /// The row where those wait who are not in the flush in flight.
    next_row: usize,
    waiting: [usize; 2],
    /// How many waited for the flush that ended last.
    woken: usize,
    poison: Option<Cause>,
    wakers: Vec<(u64, Waker)>,
}

/// The flush role in somebody's hands. A panic in the middle of a flush leaves unknown what stands on the disk, as a failed
/// write does: the log is poisoned, and everybody who waits gets that answer.
struct Role<'a> {
    commit: &'a Commit,
    given_back: bool,
}

/// What poisons a log whose flush panicked.
pub const PANICKED: &str =
    "a panic in the middle of a flush, whose outcome is unknown; the panic's message names the bug";

impl<'a> Role<'a> {
    fn of(commit: &'a Commit) -> Self {
        Self { commit, given_back: false }
    }

    fn give_back(mut self) {
        self.given_back = true;
        self.commit.end();
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !self.given_back {
            self.commit.poison(&Cause::from(PANICKED));
            self.commit.end();
            tracing::error!(cause = PANICKED, "a shard is poisoned: reopen the store");
        }
    }
}

/// How a wait ended without the sequence being durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitError {
    /// The log failed before the sequence was durable.
    Poisoned(Cause),
    /// Time ran out; the sequence may still become durable.
    TimedOut,
}

impl Commit {
    /// A cursor that starts at `durable`.
    #[must_use]
    pub fn new(durable: u64) -> Self {
        Self {
            durable: AtomicU64::new(durable),
            poisoned: AtomicBool::new(false),
            wakers_waiting: AtomicBool::new(false),
            state: Mutex::new(State::default()),
            rows: [Condvar::new(), Condvar::new()],
        }
    }

    /// Highest sequence that is durable.
    #[must_use]
    #[inline]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// True after a failure.
    #[must_use]
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The failure, if there was one.
    #[must_use]
    pub fn poison_cause(&self) -> Option<Cause> {
        if self.is_poisoned() { self.state.lock().poison.clone() } else { None }
    }

    /// Waits until `sequence` is durable. `flush` writes what has gathered, calls [`Commit::begin`] when it has taken it, and
    /// [`Commit::advance`] or [`Commit::poison`]; it is called by the one waiter that has the role. `now` gives the time
    /// since some fixed moment; `deadline` is in the same time.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait(
        &self,
        sequence: u64,
        deadline: Option<Duration>,
        now: impl Fn() -> Duration,
        flush: impl Fn(),
    ) -> Result<(), WaitError> {
        if self.durable() >= sequence {
            return Ok(());
        }
        let mut state = self.state.lock();
        loop {
            if self.durable() >= sequence {
                self.pass_on(state);
                return Ok(());
            }
            if let Some(cause) = &state.poison {
                return Err(WaitError::Poisoned(cause.clone()));
            }
            let left = match deadline {
                None => None,
                Some(deadline) => match deadline.checked_sub(now()) {
                    None | Some(Duration::ZERO) => {
                        self.pass_on(state);
                        return Err(WaitError::TimedOut);
                    }
                    left => left,
                },
            };
            if !state.flushing {
                state.flushing = true;
                let crowd = state.woken > 1;
                drop(state);
                let role = Role::of(self);
                if crowd {
                    // Many were woken with this one and will write again at once: fewer flushes hold more of their records.
                    yield_now();
                }
                flush();
                role.give_back();
                // Whoever is next was woken by `end`.
                if self.durable() >= sequence {
                    return Ok(());
                }
                state = self.state.lock();
                continue;
            }
            let row = if sequence <= state.in_flight { state.next_row ^ 1 } else { state.next_row };
            state.waiting[row] += 1;
            state = match left {
                None => self.rows[row].wait(state),
                Some(left) => self.rows[row].wait_timeout(state, left),
            };
            state.waiting[row] -= 1;
        }
    }

    /// Runs `flush` if nobody else has the flush role; returns whether it ran.
    pub fn try_lead(&self, flush: impl FnOnce()) -> bool {
        {
            let mut state = self.state.lock();
            if state.flushing {
                return false;
            }
            state.flushing = true;
        }
        let role = Role::of(self);
        flush();
        role.give_back();
        true
    }

    /// Whoever has the flush role has taken everything up to `sequence`: who comes now waits for the next flush.
    pub fn begin(&self, sequence: u64) {
        let mut state = self.state.lock();
        state.in_flight = sequence;
        state.next_row ^= 1;
    }

    /// Everything up to `sequence` is durable.
    pub fn advance(&self, sequence: u64) {
        debug_assert!(self.durable() <= sequence);
        self.durable.store(sequence, Ordering::Release);
        // Pairs with the fence of `register`: one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.wakers_waiting.load(Ordering::Relaxed) {
            self.wake_futures(|_, waited| waited <= sequence);
        }
    }

    /// Wakes those whose records were in the flush that has ended, where whoever has the role goes on with the next.
    pub(crate) fn wake_flushed(&self) {
        let (row, waiting) = {
            let state = self.state.lock();
            let row = state.next_row ^ 1;
            (row, state.waiting[row])
        };
        if waiting > 0 {
            self.rows[row].notify_all();
        }
    }

    /// The log failed: nothing beyond the durable cursor will ever be.
    pub fn poison(&self, cause: &Cause) {
        {
            let mut state = self.state.lock();
            state.poison.get_or_insert_with(|| cause.clone());
            self.poisoned.store(true, Ordering::Release);
        }
        self.rows[0].notify_all();
        self.rows[1].notify_all();
        self.wake_futures(|_, _| true);
    }

    /// Has `waker` called when `sequence` is durable or the log fails; returns false when either is so already.
    #[must_use]
    pub fn register(&self, sequence: u64, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        self.wakers_waiting.store(true, Ordering::Relaxed);
        // After the flag is up, `advance` looks at the list; before it, the cursor shows here.
        fence(Ordering::SeqCst);
        if self.durable() >= sequence || state.poison.is_some() {
            return false;
        }
        state.wakers.retain(|(waited, other)| *waited != sequence || !other.will_wake(waker));
        state.wakers.push((sequence, waker.clone()));
        true
    }

    fn wake_futures(&self, ready: impl Fn(&State, u64) -> bool) {
        let mut woken = Vec::new();
        {
            let mut state = self.state.lock();
            let wakers = std::mem::take(&mut state.wakers);
            for (waited, waker) in wakers {
                if ready(&state, waited) {
                    woken.push(waker);
                } else {
                    state.wakers.push((waited, waker));
                }
            }
            self.wakers_waiting.store(!state.wakers.is_empty(), Ordering::Release);
        }
        let _waking = Waking::begin();
        for waker in woken {
            // Each of them is woken, whatever another one's executor does; and the flush has nothing to do with it.
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                tracing::error!("the waker of a ticket panicked");
            }
        }
    }

    /// Gives the flush role back and wakes the next one for it, then all whose records were in the flush. They are woken
    /// after the lock is released: who is woken wants it first of all.
    fn end(&self) {
        let (next, waiting) = {
            let mut state = self.state.lock();
            state.flushing = false;
            state.woken = state.waiting[state.next_row ^ 1];
            (state.next_row, state.waiting)
        };
        if waiting[next] > 0 {
            self.rows[next].notify_one();
        }
        if waiting[next ^ 1] > 0 {
            self.rows[next ^ 1].notify_all();
        }
    }

    /// A waiter that leaves may have been the one that was woken to take the role.
    fn pass_on(&self, state: MutexGuard<'_, State>) {
        let next = state.next_row;
        let orphaned = !state.flushing && state.waiting[next] > 0;
        drop(state);
        if orphaned {
            self.rows[next].notify_one();
        }
    }
}

thread_local! {
    static WAKING: Cell<u32> = const { Cell::new(0) };
}

/// True on a thread that is calling wakers, in the middle of a flush: it may hold the flush role and the locks of its shard, so that whatever waits
/// for a flush would wait for ever. A waker may run, or drop, code of the application.
#[must_use]
pub fn is_waking() -> bool {
    WAKING.get() > 0
}

/// Marks this thread as one that is calling wakers until it is dropped.
struct Waking;

impl Waking {
    fn begin() -> Self {
        WAKING.set(WAKING.get() + 1);
        Self
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        WAKING.set(WAKING.get() - 1);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Whoever has the flush role may go on with flush after flush: who waits for one of them is woken when that ends.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the deadline of a test is of real time")]
    fn a_waiter_is_woken_when_its_flush_ends() {
        let commit = Commit::new(0);
        let (begun, may_wait) = mpsc::channel();
        let (returned, woken) = mpsc::channel();
        std::thread::scope(|scope| {
            let commit = &commit;
            scope.spawn(move || {
                may_wait.recv().unwrap();
                commit
                    .wait(1, None, || Duration::ZERO, || unreachable!("the role is taken"))
                    .unwrap();
                returned.send(()).unwrap();
            });
            assert!(commit.try_lead(|| {
                commit.begin(1);
                begun.send(()).unwrap();
                // Counted under the lock that it gives up only by sleeping.
                let end = Instant::now() + PATIENCE;
                while commit.state.lock().waiting == [0, 0] {
                    assert!(Instant::now() < end, "nobody waits");
                    std::thread::yield_now();
                }
                commit.advance(1);
                commit.wake_flushed();
                // The role is not given back before it has returned.
                woken.recv_timeout(PATIENCE).expect("nobody woke it");
            }));
        });
    }
}
