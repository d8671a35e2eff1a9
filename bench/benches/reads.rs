//! Reads of a loaded table: get of a key that is there, of one that is not, and `get_many` of 64. Keys are visited in
//! random order (seed: `workload::SEED`).

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use slotcask_bench::engine::Mode;
use slotcask_bench::parts::Loaded;
use slotcask_bench::rows::ours::MANY;
use slotcask_bench::workload::{Key, Random, SEED, Value, absent_key, key};

fn reads(criterion: &mut Criterion) {
    let loaded = Loaded::new("reads", Mode::Buffered).expect("a store can be made");
    let map = loaded.engine().map();
    let mut random = Random::new(SEED);
    let mut group = criterion.benchmark_group("reads");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get hit", |bench| {
        bench.iter(|| {
            let found = map.get(&key(random.below(loaded.keys))).expect("a get works");
            assert!(found.is_some());
        });
    });
    group.bench_function("get miss", |bench| {
        bench.iter(|| {
            let found = map.get(&absent_key(random.below(loaded.keys))).expect("a get works");
            assert!(found.is_none());
        });
    });
    group.throughput(Throughput::Elements(MANY as u64));
    let mut keys: [Key; MANY] = [[0; 16]; MANY];
    let mut found: [Option<Value>; MANY] = [None; MANY];
    group.bench_function("get_many(64)", |bench| {
        bench.iter(|| {
            keys.fill_with(|| key(random.below(loaded.keys)));
            map.get_many_into(&keys, &mut found).expect("a get works");
            assert!(found.iter().all(Option::is_some));
        });
    });
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
