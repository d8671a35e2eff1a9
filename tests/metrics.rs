//! `docs/METRICS.md` names what is recorded, and nothing else is; figures of merges count what they read and write.

mod common;

use common::{ROOT, b, tiny};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use slotcask::{CaskOptions, Durability, ShardStats, Store, TableOptions};
use slotcask_io::{SimOptions, sim_env};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const PAGE: &str = include_str!("../docs/METRICS.md");

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<BTreeMap<(String, &'static str), f64>>>);

/// One metric of a recorder.
struct Metric(Recorded, String, &'static str);

impl Metric {
    fn add(&self, value: f64) {
        let mut all = self.0.0.lock().unwrap();
        *all.entry((self.1.clone(), self.2)).or_default() += value;
    }
}

impl CounterFn for Metric {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters only grow");
    }
}

impl HistogramFn for Metric {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Metric(self.clone(), key.name().to_owned(), "counter")))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        unreachable!("there are no gauges");
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Metric(self.clone(), key.name().to_owned(), "histogram")))
    }
}

/// Names and kinds of the page, in the order of the alphabet.
fn documented() -> Vec<(String, String)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `slotcask_"));
    let mut all: Vec<_> = rows
        .map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            (name, cells.next().unwrap().to_owned())
        })
        .collect();
    all.sort();
    all
}

fn shard(store: &Store) -> ShardStats {
    store.stats().unwrap().shards.remove(0)
}

fn buffered(seed: u64) -> Store {
    let (env, _disk) = sim_env(seed, SimOptions::default());
    tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap()
}

#[test]
fn the_page_names_what_is_recorded() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, || {
        let store = buffered(1);
        let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
        let fixed = store.create_table("f", TableOptions::fixed(8, 8)).unwrap();
        for round in 0..4_u8 {
            for key in 0..400 {
                cask.put(b(key), [round; 400]).unwrap();
                fixed.put(b(key), b(key)).unwrap();
            }
        }
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        store.scrub().unwrap();
        while store.merge().unwrap() {}
    });
    let recorded = recorded.0.lock().unwrap();
    for (name, kind) in recorded.keys() {
        let is_there = documented().contains(&(name.clone(), (*kind).to_owned()));
        assert!(is_there, "docs/METRICS.md does not name the {kind} {name}");
    }
    // What is recorded where a medium goes bad, or where a writer without a thread beside it would have to wait.
    let rare = ["slotcask_scrub_damaged_total", "slotcask_write_pause_seconds"];
    for (name, kind) in documented() {
        let is_recorded = recorded.keys().any(|(found, of)| (found, *of) == (&name, &*kind));
        assert!(is_recorded || rare.contains(&name.as_str()), "nothing records {name}");
    }
    assert!(recorded[&("slotcask_flush_bytes".to_owned(), "histogram")] >= 4096.0);
}

#[test]
fn what_leaves_the_log_and_what_is_merged_is_counted() {
    let store = buffered(2);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    // Each segment holds one key that lives, beside what the next one overwrites.
    for round in 0..20_u64 {
        table.put(b(1000 + round), [1; 100]).unwrap();
        for key in 0..30 {
            table.put(b(key), [round as u8; 400]).unwrap();
        }
        store.rotate().unwrap();
    }
    store.checkpoint().unwrap();
    let left = shard(&store);
    assert_eq!(left.merges, 0);
    assert!(left.merge_bytes_read > left.merge_bytes_written, "{left:?}");
    assert!(left.merge_bytes_written > 0, "{left:?}");
    for key in 0..30 {
        table.delete(b(key)).unwrap();
    }
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    while store.merge().unwrap() {}
    let merged = shard(&store);
    assert!(merged.merges > 0 && merged.tombstones_dropped >= 30, "{merged:?}");
    assert!(merged.merge_bytes_read > left.merge_bytes_read, "{merged:?}");
    assert_eq!((merged.cask_dead_bytes, merged.cask_pinned_bytes), (0, 0));
}
