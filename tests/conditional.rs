//! Conditional writes: each decides under the shard lock, and what it decides is durable when it answers.

mod common;

use common::{b, crash, reopen, store, table};
use slotcask::Error;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[test]
fn put_if_absent_stores_once() {
    let (store, disk) = store(1, 2);
    let t = table(&store, "t");
    assert!(t.put_if_absent(b(1), b(10)).unwrap());
    assert!(!t.put_if_absent(b(1), b(11)).unwrap());
    assert!(t.delete(b(1)).unwrap());
    assert!(t.put_if_absent(b(1), b(12)).unwrap());
    let store = reopen(&crash(&disk), 2).unwrap();
    assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(12));
}

#[test]
fn compare_and_swap_answers_with_what_is_there() {
    let (store, _disk) = store(2, 2);
    let t = table(&store, "t");
    let (one, two) = (b(1), b(2));
    assert_eq!(t.compare_and_swap(b(7), Some(&one), Some(&two)).unwrap(), Err(None));
    assert_eq!(t.compare_and_swap(b(7), None, Some(&one)).unwrap(), Ok(()));
    assert_eq!(t.compare_and_swap(b(7), None, Some(&two)).unwrap(), Err(Some(one.to_vec())));
    assert_eq!(t.compare_and_swap(b(7), Some(&one), Some(&two)).unwrap(), Ok(()));
    assert_eq!(t.compare_and_swap(b(7), Some(&two), None).unwrap(), Ok(()));
    assert_eq!(t.get(b(7)).unwrap(), None);
    let before = store.stats().unwrap().shards.iter().map(|shard| shard.last_sequence).sum::<u64>();
    assert_eq!(t.compare_and_swap(b(7), None, None).unwrap(), Ok(()));
    let after = store.stats().unwrap().shards.iter().map(|shard| shard.last_sequence).sum::<u64>();
    assert_eq!(before, after, "nothing was to be written");
}

#[test]
fn lengths_are_checked_before_anything_happens() {
    let (store, _disk) = store(3, 1);
    let t = table(&store, "t");
    let short = [0_u8; 7];
    assert!(matches!(t.put_if_absent(b(1), short), Err(Error::ValueLength { found: 7, .. })));
    assert!(matches!(
        t.compare_and_swap(b(1), Some(&short[..]), None),
        Err(Error::ValueLength { .. })
    ));
    assert!(matches!(t.update(short, |_| None), Err(Error::KeyLength { found: 7, .. })));
    assert!(matches!(
        t.update(b(1), |_| Some(vec![0; 9])),
        Err(Error::ValueLength { expected: 8, found: 9, .. })
    ));
    assert!(t.is_empty());
}

#[test]
fn update_replaces_creates_and_removes() {
    let (store, disk) = store(4, 2);
    let t = table(&store, "t");
    for _ in 0..5 {
        t.update(b(1), |old| {
            let old = old.map_or(0, |old| u64::from_le_bytes(old.try_into().unwrap()));
            Some(b(old + 1).to_vec())
        })
        .unwrap();
    }
    assert_eq!(t.get(b(1)).unwrap().unwrap(), b(5));
    assert_eq!(t.update(b(2), |old| old.map(<[u8]>::to_vec)).unwrap(), None);
    assert_eq!(t.update(b(1), |_| None).unwrap(), None);
    let store = reopen(&crash(&disk), 2).unwrap();
    assert!(store.open_table("t").unwrap().is_empty());
}

#[test]
fn what_an_update_closure_must_not_do_is_refused_and_does_not_hang() {
    let (store, _disk) = store(5, 1);
    let t = table(&store, "t");
    t.put(b(1), b(1)).unwrap();
    let ticket = t.write(b(2), b(2)).unwrap();
    let is_refused =
        |result: slotcask::Result<()>| assert!(matches!(result, Err(Error::Reentered)));
    t.update(b(1), |_| {
        is_refused(t.put(b(2), b(2)));
        is_refused(t.delete(b(2)).map(drop));
        is_refused(t.update(b(2), |_| None).map(drop));
        is_refused(t.write(b(2), b(2)).map(drop));
        is_refused(t.put_many(&[(b(1), b(1))]));
        is_refused(store.drop_table("t"));
        is_refused(store.create_table("u", slotcask::TableOptions::fixed(1, 1)).map(drop));
        is_refused(store.checkpoint());
        is_refused(store.rotate());
        is_refused(store.sync());
        is_refused(store.poll().map(drop));
        is_refused(store.close());
        is_refused(t.get_durable(b(77)).map(drop));
        is_refused(store.open_table("t").map(drop));
        is_refused(store.stats().map(drop));
        is_refused(store.tables().map(drop));
        is_refused(store.clear_table("t"));
        is_refused(store.fixed_map::<u64, u64>("m").map(drop));
        is_refused(store.batch().put(&t, b(2), b(2)).map(drop));
        is_refused(store.batch().delete(&t, b(2)).map(drop));
        is_refused(store.batch().commit());
        is_refused(t.try_write(b(2), b(2)).map(drop));
        is_refused(t.write_delete(b(2)).map(drop));
        is_refused(t.put_if_absent(b(2), b(2)).map(drop));
        is_refused(t.compare_and_swap(b(2), None, None).map(drop));
        is_refused(ticket.clone().wait());
        is_refused(ticket.wait_timeout(std::time::Duration::MAX).map(drop));
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut ticket.clone()).poll(&mut context) {
            Poll::Ready(answer) => is_refused(answer),
            Poll::Pending => panic!("a future inside an update waits for ever"),
        }
        // What takes no lock is welcome.
        assert_eq!(t.get(b(1)).unwrap().unwrap(), b(1));
        assert_eq!(t.get_many(&[b(1), b(77)]).unwrap(), [Some(b(1).to_vec()), None]);
        assert!(t.contains(b(1)).unwrap());
        assert_eq!((t.len(), t.info().len, t.iter().count()), (2, 2, 2));
        assert!(!ticket.poll().unwrap());
        assert_eq!((store.shard_count(), store.shard_of(&b(1))), (1, 0));
        assert!(store.recovery().created);
        Some(b(9).to_vec())
    })
    .unwrap();
    assert_eq!(t.get(b(1)).unwrap().unwrap(), b(9));
    t.put(b(3), b(3)).unwrap();
    ticket.wait().unwrap();
}

#[test]
fn what_takes_a_lock_of_a_cask_table_is_refused_inside_either_update() {
    let (store, _disk) = store(7, 1);
    let t = table(&store, "t");
    let c = store.cask("c").unwrap();
    // Not flushed: reading it takes the lock of the shard.
    let _ticket = c.write("k", "v").unwrap();
    let mut begun = c.iter();
    begun.next().unwrap().unwrap();
    let refused = Cell::new(0);
    let is_refused = |result: slotcask::Result<()>| {
        assert!(matches!(result, Err(Error::Reentered)), "{result:?}");
        refused.set(refused.get() + 1);
    };
    let mut calls = || {
        is_refused(c.get("k").map(drop));
        is_refused(c.get_with("k", |_| ()).map(drop));
        is_refused(c.get_many(&["k"]).map(drop));
        is_refused(c.contains("k").map(drop));
        is_refused(c.get_durable("k").map(drop));
        is_refused(c.iter().next().unwrap().map(drop));
        is_refused(begun.next_record().map(drop));
        is_refused(c.put("k", "v"));
        is_refused(c.try_write("k", "v").map(drop));
        is_refused(c.write_delete("k").map(drop));
        is_refused(c.delete("k").map(drop));
        is_refused(c.put_many(&[("k", "v")]));
        is_refused(c.put_if_absent("k", "v").map(drop));
        is_refused(c.compare_and_swap("k", None, None).map(drop));
        is_refused(c.update("k", |_| None).map(drop));
        is_refused(store.batch().put(&c, "k", "v").map(drop));
        is_refused(store.merge().map(drop));
        is_refused(store.open_cask("c").map(drop));
        is_refused(store.cask("d").map(drop));
        assert_eq!((c.len(), c.info().len, c.name()), (1, 1, "c"));
        assert_eq!(t.get(b(1)).unwrap(), None);
    };
    t.update(b(1), |_| {
        calls();
        None
    })
    .unwrap();
    c.update("k", |_| {
        calls();
        None
    })
    .unwrap();
    assert_eq!(refused.get(), 2 * 19);
    assert_eq!(c.get("k").unwrap(), None);
}

#[test]
fn a_panic_in_an_update_appends_nothing_and_the_shard_goes_on() {
    let (store, disk) = store(6, 1);
    let t = table(&store, "t");
    t.put(b(1), b(1)).unwrap();
    let before = store.stats().unwrap().shards[0].last_sequence;
    let result = catch_unwind(AssertUnwindSafe(|| t.update(b(1), |_| panic!("of the caller"))));
    assert!(result.is_err());
    assert_eq!(store.stats().unwrap().shards[0].last_sequence, before);
    assert_eq!(t.get(b(1)).unwrap().unwrap(), b(1));
    t.put(b(2), b(2)).unwrap();
    t.update(b(1), |_| Some(b(5).to_vec())).unwrap();
    let store = reopen(&crash(&disk), 1).unwrap();
    let t = store.open_table("t").unwrap();
    assert_eq!(t.get(b(1)).unwrap().unwrap(), b(5));
    assert_eq!(t.get(b(2)).unwrap().unwrap(), b(2));
}
