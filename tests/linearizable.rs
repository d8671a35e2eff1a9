//! Single keys are linearizable: histories of real threads, with rotation and checkpoints underneath, go through a checker after
//! Wing and Gong. A history that is not linearizable must be refused, or the checker proves nothing.

mod common;

use common::b;
use slotcask::{Durability, Options, Table, TableOptions};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Got(Option<u64>),
    Put(u64),
    /// Whether it was there.
    Deleted(bool),
    /// Expected, new, and what was found if it was another.
    Swapped(Option<u64>, Option<u64>, Result<(), Option<u64>>),
    PutIfAbsent(u64, bool),
}

/// An operation with the moments before which and after which it cannot have happened.
#[derive(Debug, Clone, Copy)]
struct Operation {
    called: u64,
    returned: u64,
    did: Did,
}

/// The state after `did` in `state`, if it could have answered so there.
fn apply(state: Option<u64>, did: Did) -> Option<Option<u64>> {
    match did {
        Did::Got(seen) => (seen == state).then_some(state),
        Did::Put(value) => Some(Some(value)),
        Did::Deleted(existed) => (existed == state.is_some()).then_some(None),
        Did::Swapped(expected, new, Ok(())) => (expected == state).then_some(new),
        Did::Swapped(expected, _, Err(found)) => {
            (found == state && expected != state).then_some(state)
        }
        Did::PutIfAbsent(value, true) => state.is_none().then_some(Some(value)),
        Did::PutIfAbsent(_, false) => state.is_some().then_some(state),
    }
}

/// Looks for an order that explains the history of one key. Each operation is of the set of those done or not; operations
/// are sorted by call, so the set is the first `done` of them and a few more.
fn is_linearizable(history: &mut [Operation]) -> bool {
    history.sort_by_key(|operation| operation.called);
    let count = history.len();
    let mut done = vec![false; count];
    let mut tried: HashSet<(usize, Vec<usize>, Option<u64>)> = HashSet::new();
    let mut path: Vec<(usize, Option<u64>)> = Vec::new();
    let (mut state, mut from) = (None, 0);
    loop {
        let first = done.iter().position(|done| !done).unwrap_or(count);
        if first == count {
            return true;
        }
        // Only what was called before the earliest return among those that are left may come next.
        let mut horizon = u64::MAX;
        for at in first..count {
            if history[at].called > horizon {
                break;
            }
            if !done[at] {
                horizon = horizon.min(history[at].returned);
            }
        }
        let mut next = None;
        for at in from.max(first)..count {
            if history[at].called > horizon {
                break;
            }
            if done[at] {
                continue;
            }
            if let Some(after) = apply(state, history[at].did) {
                done[at] = true;
                let first = done.iter().position(|done| !done).unwrap_or(count);
                let ahead: Vec<usize> = (first..count)
                    .take_while(|at| history[*at].called <= horizon)
                    .filter(|at| done[*at])
                    .collect();
                if tried.insert((first, ahead, after)) {
                    next = Some((at, after));
                    break;
                }
                done[at] = false;
            }
        }
        match next {
            Some((at, after)) => {
                path.push((at, state));
                (state, from) = (after, 0);
            }
            None => match path.pop() {
                Some((at, before)) => {
                    done[at] = false;
                    (state, from) = (before, at + 1);
                }
                None => return false,
            },
        }
    }
}

fn operation(called: u64, returned: u64, did: Did) -> Operation {
    Operation { called, returned, did }
}

#[test]
fn the_checker_refuses_what_it_must() {
    use Did::{Deleted, Got, Put, PutIfAbsent, Swapped};
    let bad: [&[Operation]; 6] = [
        // A stale read.
        &[operation(0, 1, Put(1)), operation(2, 3, Put(2)), operation(4, 5, Got(Some(1)))],
        // A write that is seen, and then not.
        &[operation(0, 9, Put(1)), operation(1, 2, Got(Some(1))), operation(3, 4, Got(None))],
        // A value from nowhere.
        &[operation(0, 1, Put(1)), operation(2, 3, Got(Some(7)))],
        // Two who both found the key absent.
        &[operation(0, 9, PutIfAbsent(1, true)), operation(1, 8, PutIfAbsent(2, true))],
        // A lost update.
        &[
            operation(0, 1, Put(1)),
            operation(2, 9, Swapped(Some(1), Some(2), Ok(()))),
            operation(3, 8, Swapped(Some(1), Some(3), Ok(()))),
        ],
        &[operation(0, 1, Put(1)), operation(2, 9, Deleted(true)), operation(3, 8, Deleted(true))],
    ];
    for history in bad {
        assert!(!is_linearizable(&mut history.to_vec()), "{history:?}");
    }
    let good: [&[Operation]; 2] = [
        &[operation(0, 9, Put(1)), operation(1, 2, Got(None)), operation(3, 4, Got(Some(1)))],
        &[
            operation(0, 9, Put(2)),
            operation(0, 9, Put(1)),
            operation(1, 8, Got(Some(1))),
            operation(10, 11, Got(Some(2))),
        ],
    ];
    for history in good {
        assert!(is_linearizable(&mut history.to_vec()), "{history:?}");
    }
}

const KEYS: u64 = 3;

fn number(value: Vec<u8>) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

/// A value whose halves must agree: a torn read shows.
fn pair(n: u64) -> [u8; 200] {
    std::array::from_fn(|at| n.to_le_bytes()[at % 8])
}

fn whole(value: Vec<u8>) -> u64 {
    let n = number(value.clone());
    assert_eq!(value, pair(n), "a read was torn");
    n
}

fn act(table: &Table, key: u64, choice: u64, unique: u64) -> Did {
    let key = b(key);
    match choice % 8 {
        0..=2 => Did::Got(table.get(key).unwrap().map(whole)),
        3 | 4 => {
            table.put(key, pair(unique)).unwrap();
            Did::Put(unique)
        }
        5 => Did::Deleted(table.delete(key).unwrap()),
        6 => {
            let expected = table.get(key).unwrap().map(whole);
            let new = (!choice.is_multiple_of(3)).then_some(unique);
            let answer = table
                .compare_and_swap(
                    key,
                    expected.map(pair).as_ref().map(|value| &value[..]),
                    new.map(pair).as_ref().map(|value| &value[..]),
                )
                .unwrap();
            Did::Swapped(expected, new, answer.map_err(|found| found.map(whole)))
        }
        _ => Did::PutIfAbsent(unique, table.put_if_absent(key, pair(unique)).unwrap()),
    }
}

#[test]
fn histories_of_four_threads_are_linearizable() {
    for (round, durability) in
        [Durability::Buffered, Durability::Buffered, Durability::Sync].into_iter().enumerate()
    {
        let dir = tempfile::tempdir().unwrap();
        let store = Options::new()
            .shards(1)
            .segment_size(32 << 10)
            .log_size(6 * (32 << 10))
            .durability(durability)
            .huge_pages(false)
            .open(dir.path())
            .unwrap();
        let table = store.create_table("t", TableOptions::fixed(8, 200)).unwrap();
        let clock = AtomicU64::new(1);
        let stop = AtomicBool::new(false);
        let operations = if durability == Durability::Sync { 300 } else { 4000 };
        let histories: Vec<Vec<(u64, Operation)>> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    store.checkpoint().unwrap();
                    std::thread::yield_now();
                }
            });
            let threads: Vec<_> = (0..4_u64)
                .map(|thread| {
                    let (table, clock) = (table.clone(), &clock);
                    scope.spawn(move || {
                        let mut random =
                            (thread + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round as u64;
                        let mut history = Vec::new();
                        for n in 0..operations {
                            random ^= random << 13;
                            random ^= random >> 7;
                            random ^= random << 17;
                            let key = (random >> 20) % KEYS;
                            let unique = thread * 1_000_000 + n + 1;
                            let called = clock.fetch_add(1, Ordering::SeqCst);
                            let did = act(&table, key, random >> 40, unique);
                            let returned = clock.fetch_add(1, Ordering::SeqCst);
                            history.push((key, Operation { called, returned, did }));
                        }
                        history
                    })
                })
                .collect();
            let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            stop.store(true, Ordering::Relaxed);
            ended.into_iter().map(|history| history.expect("a thread failed")).collect()
        });
        assert!(store.stats().unwrap().shards[0].checkpoints > 0);
        for key in 0..KEYS {
            let mut history: Vec<Operation> = histories
                .iter()
                .flatten()
                .filter(|(of, _)| *of == key)
                .map(|(_, operation)| *operation)
                .collect();
            let now = clock.fetch_add(2, Ordering::SeqCst);
            let last = table.get(b(key)).unwrap().map(whole);
            history.push(operation(now, now + 1, Did::Got(last)));
            assert!(is_linearizable(&mut history), "round {round}, key {key}");
        }
    }
}
