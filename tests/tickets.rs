//! Tickets: accepted now, durable later, asked for in every way there is.

mod common;

use common::{ROOT, b, crash, reopen, store, table, tiny};
use slotcask::{Durability, Error, Options, Store, TableOptions, Ticket};
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, env_of};
use slotcask_io::{SimDisk, SimOptions};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_ticket_is_pending_until_somebody_flushes() {
    let (store, disk) = store(1, 1);
    let t = table(&store, "t");
    let ticket = t.write(b(1), b(1)).unwrap();
    assert!(!ticket.poll().unwrap());
    assert_eq!(t.get(b(1)).unwrap().unwrap(), b(1));
    assert_eq!(reopen(&crash(&disk), 1).unwrap().open_table("t").unwrap().get(b(1)).unwrap(), None);
    ticket.clone().wait().unwrap();
    assert!(ticket.poll().unwrap());
    assert!(ticket.wait_timeout(Duration::ZERO).unwrap());
    let other = t.write_delete(b(1)).unwrap();
    assert!(other.sequence() > ticket.sequence());
    assert!(!other.wait_timeout(Duration::ZERO).unwrap());
    drop(ticket);
    assert!(other.wait_timeout(Duration::from_secs(60)).unwrap());
    assert!(reopen(&crash(&disk), 1).unwrap().open_table("t").unwrap().is_empty());
}

#[test]
fn a_ticket_does_not_keep_the_store_open_and_has_its_answer_when_it_is_closed() {
    let (store, disk) = store(9, 1);
    let t = table(&store, "t");
    let ticket = t.write(b(1), b(1)).unwrap();
    drop(t);
    drop(store);
    assert!(ticket.poll().unwrap());
    let store = reopen(&disk, 1).unwrap();
    assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
    block_on(ticket.clone()).unwrap();
    ticket.wait().unwrap();
}

#[test]
fn a_ticket_is_a_future_without_threads() {
    let (store, disk) = store(2, 2);
    let t = table(&store, "t");
    for n in 0..50 {
        block_on(t.write(b(n), b(n)).unwrap()).unwrap();
    }
    assert_eq!(reopen(&crash(&disk), 2).unwrap().open_table("t").unwrap().len(), 50);
}

#[test]
fn tickets_are_futures_with_threads() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new()
        .shards(2)
        .log_size(4 << 20)
        .huge_pages(false)
        .flush_interval(Duration::from_secs(60))
        .open(dir.path())
        .unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 8)).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4_u64 {
            let t = t.clone();
            scope.spawn(move || {
                for n in 0..40 {
                    let ticket = t.write(b(writer * 1000 + n), b(n)).unwrap();
                    let (shard, sequence) = (ticket.shard(), ticket.sequence());
                    block_on(ticket).unwrap();
                    assert!(sequence > 0 && shard < 2);
                }
            });
        }
    });
    assert_eq!(t.len(), 160);
    // Dropped tickets take nothing back, and a ticket may outlive its store.
    let last = t.write(b(9999), b(1)).unwrap();
    drop(t.write(b(9998), b(1)).unwrap());
    drop((t, store));
    last.wait().unwrap();
    let store = Options::new().open(dir.path()).unwrap();
    assert_eq!(store.open_table("t").unwrap().len(), 162);
}

#[test]
fn tickets_of_a_failed_shard_fail_in_every_way() {
    let (store, disk) = store(3, 1);
    let t = table(&store, "t");
    let durable = t.write(b(0), b(0)).unwrap();
    durable.clone().wait().unwrap();
    let lost = t.write(b(1), b(1)).unwrap();
    disk.inject(Fault::once(OpFilter::Kind(OpKind::Sync), 0, FaultError::Eio));
    let is_poisoned = |error: Error| {
        assert!(matches!(error, Error::Poisoned { shard: 0, .. }), "{error}");
        common::assert_says(&error, &["shard 0", "open the store again"]);
    };
    is_poisoned(lost.clone().wait().unwrap_err());
    is_poisoned(lost.poll().unwrap_err());
    is_poisoned(lost.wait_timeout(Duration::from_secs(1)).unwrap_err());
    is_poisoned(block_on(lost).unwrap_err());
    is_poisoned(t.put(b(2), b(2)).unwrap_err());
    is_poisoned(t.get_durable(b(1)).unwrap_err());
    is_poisoned(store.checkpoint().unwrap_err());
    durable.clone().wait().unwrap();
    block_on(durable).unwrap();
    assert_eq!(t.get_durable(b(0)).unwrap().unwrap(), b(0));
    is_poisoned(store.close().unwrap_err());
    assert_eq!(
        reopen(&crash(&disk), 1).unwrap().open_table("t").unwrap().get(b(0)).unwrap().unwrap(),
        b(0)
    );
}

#[test]
fn try_write_never_waits() {
    let (store, _disk) = store(4, 1);
    let t = table(&store, "t");
    let mut refused = 0;
    for n in 0..5000 {
        match t.try_write(b(n % 50), b(n)) {
            Ok(ticket) => drop(ticket),
            Err(Error::WouldBlock) => {
                refused += 1;
                store.sync().unwrap();
                store.poll().unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
}

/// A task that owns the store: its executor has gone, so that waking it is dropping it.
struct Abandoned(Mutex<Option<Store>>);

impl Wake for Abandoned {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

fn abandon(store: Store, ticket: &Ticket) {
    let waker = Waker::from(Arc::new(Abandoned(Mutex::new(Some(store)))));
    assert!(pin!(ticket.clone()).poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn a_store_open_for_reading_that_goes_with_a_waker_is_closed_at_once() {
    let (read, disk) = store(12, 2);
    read.close().unwrap();
    let read = tiny(2).read_only(true).open_in(env_of(13, &disk), ROOT).unwrap();
    let (other, _other_disk) = store(14, 1);
    let ticket = table(&other, "t").write(b(1), b(1)).unwrap();
    abandon(read, &ticket);
    ticket.wait().unwrap();
    reopen(&disk, 2).unwrap();
}

/// Opens the store as soon as whoever closes it is done. The clock of a simulated disk stands still for who waits for a lock.
#[expect(clippy::disallowed_methods, reason = "real threads take real time")]
fn open_after(disk: &SimDisk, background: bool) -> Store {
    let began = std::time::Instant::now();
    loop {
        match tiny(2).background(background).open_in(env_of(5, disk), ROOT) {
            Err(Error::Locked { .. }) if began.elapsed() < Duration::from_secs(60) => {
                std::thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn the_last_handle_may_go_with_a_waker_of_the_thread_that_flushes() {
    let (store, disk) = store(10, 2);
    let t = table(&store, "t");
    let ticket = t.write(b(1), b(1)).unwrap();
    drop(t);
    abandon(store, &ticket);
    ticket.wait().unwrap();
    let store = open_after(&disk, false);
    assert!(store.recovery().clean, "it was closed");
    assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
}

#[test]
fn the_last_handle_may_go_with_a_waker_of_a_shards_thread() {
    for seed in 0..8 {
        let disk = SimDisk::new(SimOptions::default());
        let options = tiny(2).durability(Durability::Buffered);
        let options = options.background(true).flush_interval(Duration::from_millis(5));
        let store = options.open_in(env_of(seed, &disk), ROOT).unwrap();
        let t = table(&store, "t");
        // Not flushed before it has its waker.
        let ticket = loop {
            let ticket = t.write(b(seed), b(1)).unwrap();
            if !ticket.poll().unwrap() {
                break ticket;
            }
        };
        drop(t);
        let waker = Waker::from(Arc::new(Abandoned(Mutex::new(Some(store)))));
        // When it was flushed meanwhile nothing is woken, and the store goes here.
        let _ = pin!(ticket.clone()).poll(&mut Context::from_waker(&waker));
        drop(waker);
        ticket.wait().unwrap();
        let store = open_after(&disk, true);
        assert!(store.recovery().clean, "it was closed");
        assert_eq!(store.open_table("t").unwrap().get(b(seed)).unwrap().unwrap(), b(1));
    }
}

#[test]
fn a_waker_that_closes_the_store_is_told() {
    struct Closing(Store, Mutex<Option<slotcask::Result<()>>>);
    impl Wake for Closing {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = Some(self.0.close());
        }
    }
    let (store, _disk) = store(11, 1);
    let t = table(&store, "t");
    let ticket = t.write(b(1), b(1)).unwrap();
    let closing = Arc::new(Closing(store, Mutex::default()));
    let waker = Waker::from(closing.clone());
    assert!(pin!(ticket.clone()).poll(&mut Context::from_waker(&waker)).is_pending());
    ticket.wait().unwrap();
    let told = closing.1.lock().unwrap().take();
    assert!(matches!(told, Some(Err(Error::Reentered))), "{told:?}");
    closing.0.close().unwrap();
}
