//! Updates of a loaded table: buffered `put` and `put_many` of 64, synced `put`, and a synced put whose ticket is
//! waited for 1024 puts later. Keys are visited in random order (seed: `workload::SEED`).

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use slotcask_bench::engine::{Engine, Mode};
use slotcask_bench::parts::Loaded;
use slotcask_bench::rows::ours::{MANY, TICKETS};
use slotcask_bench::workload::{Key, Random, SEED, Value, key, value};
use std::collections::VecDeque;

fn buffered(criterion: &mut Criterion) {
    let loaded = Loaded::new("buffered", Mode::Buffered).expect("a store can be made");
    let engine = loaded.engine();
    let mut random = Random::new(SEED);
    let mut writing = 0;
    let mut pair = || {
        writing += 1;
        let number = random.below(loaded.keys);
        (key(number), value(number, writing))
    };
    let mut group = criterion.benchmark_group("buffered");
    group.throughput(Throughput::Elements(1));
    group.bench_function("put", |bench| {
        bench.iter(|| {
            let (key, value) = pair();
            engine.put(&key, &value).expect("a put works");
        });
    });
    group.throughput(Throughput::Elements(MANY as u64));
    let mut pairs: [(Key, Value); MANY] = [([0; 16], [0; 64]); MANY];
    group.bench_function("put_many(64)", |bench| {
        bench.iter(|| {
            pairs.fill_with(&mut pair);
            engine.map().put_many(&pairs).expect("a put works");
        });
    });
    group.finish();
}

fn synced(criterion: &mut Criterion) {
    let loaded = Loaded::new("synced", Mode::Sync).expect("a store can be made");
    let engine = loaded.engine();
    let mut random = Random::new(SEED);
    let mut group = criterion.benchmark_group("sync");
    group.throughput(Throughput::Elements(1));
    group.bench_function("put", |bench| {
        bench.iter(|| {
            let number = random.below(loaded.keys);
            engine.put(&key(number), &value(number, 1)).expect("a put works");
        });
    });
    let mut in_flight = VecDeque::with_capacity(TICKETS);
    group.bench_function("ticket, 1024 in flight", |bench| {
        bench.iter(|| {
            if in_flight.len() == TICKETS {
                let oldest: slotcask::Ticket = in_flight.pop_front().expect("1024 are in flight");
                oldest.wait().expect("a ticket is kept");
            }
            let number = random.below(loaded.keys);
            in_flight
                .push_back(engine.write(&key(number), &value(number, 2)).expect("a put works"));
        });
    });
    for ticket in in_flight {
        ticket.wait().expect("a ticket is kept");
    }
    group.finish();
}

criterion_group!(benches, buffered, synced);
criterion_main!(benches);
