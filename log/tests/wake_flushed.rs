//! Whoever has the flush role may go on with flush after flush: who waits for one of them is woken when that ends.

use slotcask_log::commit::Commit;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn a_waiter_is_woken_when_its_flush_ends() {
    let commit = Commit::new(0);
    let (begun, may_wait) = mpsc::channel();
    let (returned, woken) = mpsc::channel();
    std::thread::scope(|scope| {
        let commit = &commit;
        scope.spawn(move || {
            may_wait.recv().unwrap();
            commit.wait(1, None, || Duration::ZERO, || unreachable!("the role is taken")).unwrap();
            returned.send(()).unwrap();
        });
        assert!(commit.try_lead(|| {
            commit.begin(1);
            begun.send(()).unwrap();
            // It sleeps by now, or what it looks for is there when it looks.
            std::thread::sleep(Duration::from_millis(50));
            commit.advance(1);
            commit.wake_flushed();
            // The role is not given back before it has returned.
            woken.recv_timeout(Duration::from_secs(60)).expect("nobody woke it");
        }));
    });
}
