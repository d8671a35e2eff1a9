//! The phases of `bench`.

use super::directory::Directory;
use super::keys::{Random, key_of};
use super::phase::{Phase, Plan, latencies, measure};
use super::report;
use crate::commands::bench::BenchArgs;
use crate::errors::{Exit, Failure};
use crate::opening::environment;
use crate::output::Output;
use crate::signals::Interrupt;
use slotcask::{Durability, Options, Store, Table, TableOptions, WriteOptions};
use slotcask_io::{AlignedBuf, OpenMode};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows written at once while filling.
const FILL_BATCH: u64 = 1024;
/// Size of the file that is probed, and of one write.
const PROBE_SIZE: u64 = 4 << 20;
const BLOCK: u64 = 4096;
/// Threads that put durably at the same time.
const SYNC_THREADS: [usize; 3] = [1, 16, 64];

/// Measures, prints, and removes what it made.
pub fn run(args: &BenchArgs, output: &mut Output) -> Result<Exit, Failure> {
    let interrupt = Interrupt::install();
    let directory = Directory::make(&args.dir)?;
    let probe = probe(directory.path(), args, &interrupt)?;
    let store = make_store(directory.path(), args)?;
    let shards = store.shard_count();
    let options = TableOptions::fixed(args.key_len as usize, args.value_len as usize);
    let table = store.create_table("bench", options)?;
    let mut bench = Bench { args, interrupt, table, phases: Vec::new() };
    if !output.is_json() {
        output.line(&report::head(args, shards))?;
    }
    bench.done(probe, output)?;
    bench.store_phases(&store, output)?;
    if output.is_json() {
        output.json(&report::object(args, shards, &bench.phases))?;
    }
    store.close()?;
    if bench.interrupt.is_requested() {
        return Err(Failure::new(
            Exit::Interrupted,
            "interrupted",
            "the figures above are incomplete",
        ));
    }
    Ok(Exit::Done)
}

fn make_store(directory: &Path, args: &BenchArgs) -> Result<Store, Failure> {
    let mut options = Options::new().log_size(args.log_size);
    if let Some(shards) = args.shards {
        options = options.shards(shards);
    }
    Ok(options.open(directory.join("store"))?)
}

/// Writes of one block, each with its sync, into space that was written before: what the device does at best.
fn probe(directory: &Path, args: &BenchArgs, interrupt: &Interrupt) -> Result<Phase, Failure> {
    let file = environment().disk.open(&directory.join("probe"), OpenMode::Create)?;
    file.allocate(PROBE_SIZE)?;
    file.write_at(0, &AlignedBuf::zeroed(PROBE_SIZE as usize))?;
    file.sync()?;
    let mut block = AlignedBuf::zeroed(BLOCK as usize);
    Random::new(0).fill(&mut block);
    let plan = Plan {
        name: "write 4 KiB and sync",
        threads: 1,
        durability: "durable",
        duration: Duration::from_secs_f64(args.seconds),
    };
    measure(
        plan,
        interrupt,
        |_| 0,
        |offset: &mut u64| {
            file.write_at(*offset, &block)?;
            file.sync()?;
            *offset = (*offset + BLOCK) % PROBE_SIZE;
            Ok(())
        },
    )
}

struct Bench<'a> {
    args: &'a BenchArgs,
    interrupt: Interrupt,
    table: Table,
    phases: Vec<Phase>,
}

/// What each thread of a phase has for itself.
struct Worker {
    random: Random,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Bench<'_> {
    fn store_phases(&mut self, store: &Store, output: &mut Output) -> Result<(), Failure> {
        let filled = self.fill(store)?;
        self.done(filled, output)?;
        let buffered = self.puts("put", 1, Durability::Buffered)?;
        self.done(buffered, output)?;
        for threads in SYNC_THREADS {
            store.sync()?;
            let synced = self.puts("put", threads, Durability::Sync)?;
            self.done(synced, output)?;
        }
        let gets = self.gets()?;
        self.done(gets, output)
    }

    /// Keeps a phase; people see it at once.
    fn done(&mut self, phase: Phase, output: &mut Output) -> Result<(), Failure> {
        if !output.is_json() {
            output.line(&report::line(&phase))?;
            output.finish()?;
        }
        self.phases.push(phase);
        Ok(())
    }

    fn worker(&self, thread: u64) -> Worker {
        let mut random = Random::new(thread + 1);
        let mut value = vec![0; self.args.value_len as usize];
        random.fill(&mut value);
        Worker { random, key: vec![0; self.args.key_len as usize], value }
    }

    /// Writes every key once, in batches, and syncs.
    fn fill(&self, store: &Store) -> Result<Phase, Failure> {
        let options = WriteOptions::new().durability(Durability::Buffered);
        let mut worker = self.worker(0);
        let start = Instant::now();
        let mut next = 0;
        while next < self.args.keys && !self.interrupt.is_requested() {
            let end = (next + FILL_BATCH).min(self.args.keys);
            let rows: Vec<(Vec<u8>, Vec<u8>)> = (next..end)
                .map(|index| {
                    key_of(index, &mut worker.key);
                    worker.random.fill(&mut worker.value);
                    (worker.key.clone(), worker.value.clone())
                })
                .collect();
            self.table.put_many_with(&rows, &options)?;
            next = end;
        }
        store.sync()?;
        Ok(Phase {
            name: "fill in batches, sync",
            threads: 1,
            durability: "buffered",
            elapsed: start.elapsed(),
            latencies: latencies(),
            operations: next,
        })
    }

    fn plan(&self, name: &'static str, threads: usize, durability: &'static str) -> Plan {
        let duration = Duration::from_secs_f64(self.args.seconds);
        Plan { name, threads, durability, duration }
    }

    /// Replaces the values of random keys.
    fn puts(
        &self,
        name: &'static str,
        threads: usize,
        durability: Durability,
    ) -> Result<Phase, Failure> {
        let is_sync = matches!(durability, Durability::Sync);
        let plan = self.plan(name, threads, if is_sync { "durable" } else { "buffered" });
        let options = WriteOptions::new().durability(durability);
        measure(
            plan,
            &self.interrupt,
            |thread| self.worker(thread),
            |worker| {
                key_of(worker.random.below(self.args.keys), &mut worker.key);
                let changed = worker.value.len().min(8);
                worker.random.fill(&mut worker.value[..changed]);
                Ok(self.table.put_with(&worker.key, &worker.value, &options)?)
            },
        )
    }

    /// Reads random keys; all of them are there unless the filling was interrupted.
    fn gets(&self) -> Result<Phase, Failure> {
        measure(
            self.plan("get", 1, "in memory"),
            &self.interrupt,
            |thread| self.worker(thread),
            |worker| {
                key_of(worker.random.below(self.args.keys), &mut worker.key);
                let found = self.table.get(&worker.key)?;
                if found.is_none() && !self.interrupt.is_requested() {
                    return Err(Failure::new(
                        Exit::Corrupt,
                        "a key that was written is not found",
                        "this is a bug; please report it",
                    ));
                }
                Ok(())
            },
        )
    }
}
