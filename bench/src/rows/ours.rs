//! Rows that compare slotcask with itself or with a raw loop, in turns: gain of a second thread, `get_many`,
//! `put_many`, tickets.

use super::{Place, in_turns, warm_up};
use crate::args::Args;
use crate::bars::{OURS, RAW};
use crate::engine::{Engine, Mode, Outcome};
use crate::engines::slotcask::Slotcask;
use crate::measure::{get_hits, gets_by_threads, ns_each, ns_per_op, rate_by_threads};
use crate::raw::arena::Arena;
use crate::report::Report;
use crate::workload::{Key, Order, Random, Value, key, value};
use slotcask::{Durability, WriteOptions};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Keys of one `get_many` or `put_many`.
pub const MANY: usize = 64;
/// Tickets in flight.
pub const TICKETS: usize = 1024;
/// How often the two sides of a comparison take turns in a round.
const TURNS: u32 = 2;

/// One round of gain, `get_many` and `put_many`.
///
/// # Errors
/// The engine's.
pub fn data_round(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let order = Order::new(args.keys, args.seed + round);
    let place = Place::new(args, "slotcask-and-raw")?;
    let engine: Slotcask = place.open(Mode::Buffered)?;
    engine.load_buffered(args.keys)?;
    let arena = Arena::load(args.keys)?;
    let time_max = args.time_max();

    let (ours_1, raw_1) = in_turns(
        TURNS,
        |_| get_hits(&&engine, order.numbers(), time_max),
        |_| get_hits(&&arena, order.numbers(), time_max),
    )?;
    let (ours_2, raw_2) = in_turns(
        TURNS,
        |_| gets_by_threads(|| Ok(&engine), &order.parts(2), time_max),
        |_| gets_by_threads(|| Ok(&arena), &order.parts(2), time_max),
    )?;
    report.add("get hit, 1 thread", RAW, raw_1);
    report.add("get hit, 2 threads", RAW, raw_2 / 1e3);
    report.add("gain of 2 threads", OURS, ours_2 * ours_1 / 1e9);
    report.add("gain of 2 threads", RAW, raw_2 * raw_1 / 1e9);

    let (single, many) = in_turns(
        TURNS,
        |_| get_hits(&&engine, order.numbers(), time_max),
        |_| get_many(&engine, order.numbers(), time_max),
    )?;
    report.add("get beside get_many", OURS, single);
    report.add("get_many(64)", OURS, many);

    let halves = order.parts(2 * TURNS as usize);
    let (single, many) = in_turns(
        TURNS,
        |turn| {
            ns_each(halves[2 * turn as usize], time_max, |number| {
                engine.put(&key(number), &value(number, round + 1))
            })
        },
        |turn| put_many(&engine, halves[2 * turn as usize + 1], round + 1, time_max),
    )?;
    report.add("put beside put_many", OURS, single);
    report.add("put_many(64)", OURS, many);
    engine.close()
}

/// Gets 64 keys a call; nanoseconds a key.
///
/// # Errors
/// The engine's; and when a key is missing or has another key's value.
pub fn get_many(engine: &Slotcask, numbers: &[u32], time_max: Duration) -> Outcome<f64> {
    let mut keys: Vec<Key> = Vec::with_capacity(MANY);
    let mut found: Vec<Option<Value>> = vec![None; MANY];
    let start = Instant::now();
    let mut done: u64 = 0;
    for chunk in numbers.chunks(MANY) {
        keys.clear();
        keys.extend(chunk.iter().map(|&number| key(number.into())));
        engine.map().get_many_into(&keys, &mut found[..keys.len()])?;
        for (&number, found) in chunk.iter().zip(&found) {
            if found.is_none_or(|found| found[..8] != u64::from(number).to_le_bytes()) {
                return Err(format!("key {number} is missing or has another key's value").into());
            }
        }
        done += chunk.len() as u64;
        if start.elapsed() >= time_max {
            break;
        }
    }
    Ok(ns_per_op(start.elapsed(), done))
}

/// Puts 64 keys a call; nanoseconds a key.
///
/// # Errors
/// The engine's.
pub fn put_many(
    engine: &Slotcask,
    numbers: &[u32],
    writing: u64,
    time_max: Duration,
) -> Outcome<f64> {
    let mut pairs: Vec<(Key, Value)> = Vec::with_capacity(MANY);
    let start = Instant::now();
    let mut done: u64 = 0;
    for chunk in numbers.chunks(MANY) {
        pairs.clear();
        pairs.extend(chunk.iter().map(|&n| (key(n.into()), value(n.into(), writing))));
        engine.map().put_many(&pairs)?;
        done += chunk.len() as u64;
        if start.elapsed() >= time_max {
            break;
        }
    }
    Ok(ns_per_op(start.elapsed(), done))
}

/// One round of tickets: a store that syncs, and in it buffered puts and tickets in turns.
///
/// # Errors
/// The engine's.
pub fn ticket_round(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let place = Place::new(args, "slotcask-tickets")?;
    let engine: Slotcask = place.open(Mode::Sync)?;
    engine.load_buffered(args.keys)?;
    let buffered = WriteOptions::default().durability(Durability::Buffered);
    let puts = |turn: u32, time| {
        rate_by_threads(1, args.seed + round + u64::from(turn), time, |_, random| {
            let number = random.below(args.keys);
            Ok(engine.map().put_with(&key(number), &value(number, 1), &buffered)?)
        })
    };
    puts(TURNS, warm_up(args))?;
    tickets(&engine, args.keys, args.seed, warm_up(args))?;
    let (puts, tickets) = in_turns(
        TURNS,
        |turn| puts(turn, args.slice),
        |turn| tickets(&engine, args.keys, args.seed ^ u64::from(turn) << 32, args.slice),
    )?;
    report.add("put beside tickets", OURS, puts / 1e3);
    report.add("1024 tickets in flight", OURS, tickets / 1e3);
    if engine.map().get(&key(0))?.is_none() {
        return Err("a loaded key is missing".into());
    }
    engine.close()
}

/// Synced puts by one thread that waits for the oldest of 1024 tickets before it starts the next; puts a second.
///
/// # Errors
/// The engine's.
pub fn tickets(engine: &Slotcask, keys: u64, seed: u64, time: Duration) -> Outcome<f64> {
    let mut random = Random::new(seed);
    let mut in_flight = VecDeque::with_capacity(TICKETS);
    let start = Instant::now();
    let mut done: u64 = 0;
    while !done.is_multiple_of(64) || start.elapsed() < time {
        if in_flight.len() == TICKETS {
            let oldest: slotcask::Ticket = in_flight.pop_front().expect("1024 are in flight");
            oldest.wait()?;
        }
        let number = random.below(keys);
        in_flight.push_back(engine.write(&key(number), &value(number, done))?);
        done += 1;
    }
    for ticket in in_flight {
        ticket.wait()?;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
