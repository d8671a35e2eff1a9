//! A flush panics, on the thread of a writer or on the shard's own: the shard is poisoned, everybody who waits is told, nobody
//! waits for ever, and what was durable is there after a reopening.

mod common;

use common::{ROOT, b, crash, reopen, table, tiny, world};
use slotcask::{Error, Store, Table};
use slotcask_io::{Clock, SimDisk};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;
use std::time::Duration;

/// A clock that panics once when the next flush asks it how late it is.
#[derive(Debug)]
struct Trap {
    clock: Arc<dyn Clock>,
    armed: AtomicBool,
    /// Whom the trap lets pass: a thread that only looks at the time.
    spares: Mutex<Option<ThreadId>>,
}

impl Clock for Trap {
    fn monotonic(&self) -> Duration {
        let is_spared = *self.spares.lock().unwrap() == Some(std::thread::current().id());
        assert!(is_spared || !self.armed.swap(false, Ordering::SeqCst), "planted");
        self.clock.monotonic()
    }

    fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }
}

struct Bells(AtomicU32);

impl Wake for Bells {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("of an executor");
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn trapped(seed: u64, background: bool) -> (Store, Table, SimDisk, Arc<Trap>) {
    let (mut env, disk) = world(seed);
    let (armed, spares) = (AtomicBool::new(false), Mutex::new(None));
    let trap = Arc::new(Trap { clock: env.clock.clone(), armed, spares });
    env.clock = trap.clone();
    let store = tiny(1).background(background).open_in(env, ROOT).unwrap();
    let t = table(&store, "t");
    t.put(b(1), b(1)).unwrap();
    (store, t, disk, trap)
}

fn is_poisoned(answer: Result<(), Error>) {
    let error = answer.unwrap_err();
    assert!(matches!(&error, Error::Poisoned { shard: 0, .. }), "{error}");
    common::assert_says(&error, &["panic"]);
}

fn only_the_first_key_is_left(disk: &SimDisk) {
    let store = reopen(&crash(disk), 1).unwrap();
    let t = store.open_table("t").unwrap();
    assert_eq!((t.get(b(1)).unwrap(), t.len()), (Some(b(1).to_vec()), 1));
    t.put(b(2), b(2)).unwrap();
}

#[test]
fn a_panic_of_the_flushing_writer_answers_everybody() {
    let (store, t, disk, trap) = trapped(1, false);
    let bells = Arc::new(Bells(AtomicU32::new(0)));
    let waker = Waker::from(bells.clone());
    let mut context = Context::from_waker(&waker);
    let waiting = t.write(b(2), b(2)).unwrap();
    let other = t.write(b(3), b(3)).unwrap();
    trap.armed.store(true, Ordering::SeqCst);
    let result = catch_unwind(AssertUnwindSafe(|| waiting.clone().wait()));
    assert!(result.is_err(), "the trap did not spring");
    is_poisoned(waiting.wait());
    let mut future = other.clone();
    match Pin::new(&mut future).poll(&mut context) {
        Poll::Ready(answer) => is_poisoned(answer),
        Poll::Pending => panic!("a ticket of a poisoned shard waits"),
    }
    is_poisoned(other.poll().map(drop));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| is_poisoned(other.clone().wait()));
        }
    });
    is_poisoned(t.put(b(4), b(4)));
    is_poisoned(store.sync());
    is_poisoned(store.close());
    only_the_first_key_is_left(&disk);
}

#[test]
fn futures_are_woken_each_once_though_wakers_panic() {
    let (store, t, disk, trap) = trapped(2, false);
    let bells = Arc::new(Bells(AtomicU32::new(0)));
    let waker = Waker::from(bells.clone());
    let mut context = Context::from_waker(&waker);
    let mut tickets: Vec<_> = (2..6).map(|n| t.write(b(n), b(n)).unwrap()).collect();
    trap.armed.store(true, Ordering::SeqCst);
    let mut panicked = 0;
    for ticket in &mut tickets {
        // Without threads a future that is asked flushes by itself.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(ticket).poll(&mut context))) {
            Ok(Poll::Ready(answer)) => is_poisoned(answer),
            Ok(Poll::Pending) => panic!("a ticket of a poisoned shard waits"),
            Err(_) => panicked += 1,
        }
    }
    assert_eq!(panicked, 1);
    assert_eq!(bells.0.load(Ordering::SeqCst), 1, "registered once, woken once");
    for ticket in tickets {
        is_poisoned(ticket.wait());
    }
    drop((store, t));
    only_the_first_key_is_left(&disk);
}

#[test]
fn a_panic_on_the_shards_thread_poisons_the_shard() {
    let (store, t, disk, trap) = trapped(3, true);
    *trap.spares.lock().unwrap() = Some(std::thread::current().id());
    trap.armed.store(true, Ordering::SeqCst);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut ticket = t.write(b(2), b(2)).unwrap();
    // A future has the thread flush, which falls into the trap; and the waker is called all the same.
    loop {
        match Pin::new(&mut ticket).poll(&mut context) {
            Poll::Ready(answer) => break is_poisoned(answer),
            Poll::Pending => std::thread::park(),
        }
    }
    is_poisoned(store.sync());
    is_poisoned(store.close());
    drop((store, t));
    only_the_first_key_is_left(&disk);
}
