//! Opening a store that was closed cleanly, with closing it again; and making an empty store.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use slotcask_bench::child::fresh;
use slotcask_bench::engine::{Engine, Mode};
use slotcask_bench::engines::slotcask::Slotcask;
use slotcask_bench::parts::Loaded;
use std::time::{Duration, Instant};

fn open(criterion: &mut Criterion) {
    let mut loaded = Loaded::new("open", Mode::Buffered).expect("a store can be made");
    loaded.close().expect("a store can be closed");
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10);
    group.bench_function("after close", |bench| {
        bench.iter_custom(|rounds| {
            let mut opening = Duration::ZERO;
            for _ in 0..rounds {
                let start = Instant::now();
                let engine = Slotcask::open(loaded.dir(), Mode::Buffered).expect("it opens");
                opening += start.elapsed();
                engine.close().expect("it closes");
            }
            opening
        });
    });
    let empty = loaded.dir().with_extension("empty");
    group.bench_function("create", |bench| {
        bench.iter_custom(|rounds| {
            let mut opening = Duration::ZERO;
            for _ in 0..rounds {
                fresh(&empty).expect("a directory can be made");
                let start = Instant::now();
                let engine = Slotcask::open(&empty, Mode::Buffered).expect("it opens");
                opening += start.elapsed();
                engine.close().expect("it closes");
            }
            opening
        });
    });
    group.finish();
    std::fs::remove_dir_all(&empty).expect("the directory can be removed");
}

criterion_group!(benches, open);
criterion_main!(benches);
