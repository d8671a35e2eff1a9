//! Every interleaving of group commit: nobody waits for ever, what is acknowledged was flushed, a failure wakes everybody.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p slotcask-log --test loom --release`.

#![cfg(loom)]

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use slotcask_log::Cause;
use slotcask_log::commit::{Commit, WaitError};
use std::time::Duration;

/// A log in small: sequences are given under a lock, a flush takes all that were given.
struct Log {
    commit: Commit,
    appended: Mutex<u64>,
    /// Highest sequence that a flush has written.
    flushed: AtomicU64,
    /// The flush that ends behind this sequence fails.
    fails_from: u64,
}

impl Log {
    fn new(fails_from: u64) -> Arc<Self> {
        Arc::new(Self {
            commit: Commit::new(0),
            appended: Mutex::new(0),
            flushed: AtomicU64::new(0),
            fails_from,
        })
    }

    fn append(&self) -> u64 {
        let mut appended = self.appended.lock().unwrap();
        *appended += 1;
        *appended
    }

    fn flush(&self) {
        if self.commit.is_poisoned() {
            return;
        }
        let last = {
            let appended = self.appended.lock().unwrap();
            if *appended == self.commit.durable() {
                return;
            }
            // Under the lock of the appends, as the log does.
            self.commit.begin(*appended);
            *appended
        };
        if last >= self.fails_from {
            self.commit.poison(&Cause::from("planted"));
            return;
        }
        self.flushed.store(last, Ordering::Relaxed);
        self.commit.advance(last);
    }

    fn wait(&self, sequence: u64) -> Result<(), WaitError> {
        let result = self.commit.wait(sequence, None, || Duration::ZERO, || self.flush());
        if result.is_ok() {
            assert!(self.flushed.load(Ordering::Relaxed) >= sequence, "acknowledged, not flushed");
        }
        result
    }
}

fn model(preemptions: usize, check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

#[test]
fn two_writers_are_both_acknowledged() {
    model(4, || {
        let log = Log::new(u64::MAX);
        let other = log.clone();
        let writer = thread::spawn(move || other.wait(other.append()).unwrap());
        log.wait(log.append()).unwrap();
        writer.join().unwrap();
        assert_eq!(log.commit.durable(), 2);
    });
}

#[test]
fn three_writers_are_all_acknowledged() {
    model(2, || {
        let log = Log::new(u64::MAX);
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let log = log.clone();
                thread::spawn(move || log.wait(log.append()).unwrap())
            })
            .collect();
        log.wait(log.append()).unwrap();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(log.commit.durable(), 3);
    });
}

#[test]
fn writers_and_the_shard_thread_that_flushes_too() {
    model(3, || {
        let log = Log::new(u64::MAX);
        let (writer, background) = (log.clone(), log.clone());
        let writer = thread::spawn(move || writer.wait(writer.append()).unwrap());
        let background = thread::spawn(move || {
            background.commit.try_lead(|| background.flush());
        });
        log.wait(log.append()).unwrap();
        writer.join().unwrap();
        background.join().unwrap();
    });
}

#[test]
fn a_failure_wakes_everybody_and_acknowledges_nothing_more() {
    for fails_from in 1..=3 {
        model(2, move || {
            let log = Log::new(fails_from);
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let log = log.clone();
                    thread::spawn(move || {
                        let sequence = log.append();
                        (sequence, log.wait(sequence))
                    })
                })
                .collect();
            let own = log.append();
            let mut results = vec![(own, log.wait(own))];
            results.extend(writers.into_iter().map(|writer| writer.join().unwrap()));
            let durable = log.commit.durable();
            assert!(durable < fails_from);
            for (sequence, result) in results {
                match result {
                    Ok(()) => assert!(sequence <= durable),
                    Err(WaitError::Poisoned(cause)) => {
                        assert!(sequence > durable && &*cause == "planted");
                    }
                    Err(WaitError::TimedOut) => panic!("nobody set a time"),
                }
            }
        });
    }
}

#[test]
fn a_future_is_woken_when_its_write_is_durable_or_never_will_be() {
    for fails_from in [1, u64::MAX] {
        model(3, move || {
            let log = Log::new(fails_from);
            let woken = Arc::new(AtomicU64::new(0));
            let sequence = log.append();
            let writer = log.clone();
            let writer = thread::spawn(move || {
                let _ = writer.wait(1);
            });
            let waker = waker::of(woken.clone());
            let pending = log.commit.register(sequence, &waker);
            writer.join().unwrap();
            assert_eq!(pending, woken.load(Ordering::SeqCst) > 0, "not woken, or woken in vain");
        });
    }
}

mod waker {
    use super::{Arc, AtomicU64, Ordering};
    use std::task::{Wake, Waker};

    struct Count(Arc<AtomicU64>);

    impl Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub fn of(count: Arc<AtomicU64>) -> Waker {
        Waker::from(std::sync::Arc::new(Count(count)))
    }
}
