//! How long one shard of a table takes to load and to checkpoint. Arguments: directory (made, and emptied at the end), slots, key
//! length, value length.
//!
//! `cargo run --release -p slotcask-fixed --example load -- DIR 1000000 16 64`

use slotcask_fixed::{
    FixedError, FixedOptions, FixedTable, Loading, ShardIdent, SlotBudget, SlotMeta, remove_files,
};
use slotcask_format::StoreId;
use slotcask_format::checksum::route_hash;
use slotcask_format::manifest::TableState;
use slotcask_format::schema::{Placement, TableKind, TableSchema};
use slotcask_format::slot::SlotKind;
use slotcask_io::{Clock, Env, OsOptions, SystemClock};
use std::path::PathBuf;
use std::time::Duration;

const IDENT: ShardIdent = ShardIdent { store: StoreId([1; 16]), shard: 0 };

fn main() -> Result<(), FixedError> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let mut number =
        |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (count, key_len, value_len) = (number(1_000_000), number(16).max(8), number(64));
    let env = Env::system(OsOptions::default());
    let clock = SystemClock::new();
    let schema = TableSchema {
        name: "load".to_owned(),
        kind: TableKind::Fixed,
        placement: Placement::Hashed,
        key_len,
        value_len,
        deadlines: false,
        ordered: false,
        slot_count_max: count,
        compression: None,
    };
    let options = FixedOptions::default();
    env.disk.create_dir(&dir)?;
    let budget = SlotBudget::new(&schema);
    let mut table = FixedTable::create(&env, &dir, IDENT, 1, &schema, budget, options)?;

    let started = clock.monotonic();
    let (mut key, value) = (vec![0; key_len as usize], vec![7; value_len as usize]);
    for sequence in 1..=u64::from(count) {
        key[..8].copy_from_slice(&sequence.to_le_bytes());
        let slot = loop {
            match table.reserve() {
                Err(FixedError::NoRoom { .. }) => {
                    let plan = table.grow_plan().expect("there is a plan when there is no room");
                    let grown = plan.execute()?;
                    table.grown(grown);
                }
                other => break other?,
            }
        };
        let meta = SlotMeta { sequence, epoch: 1, kind: SlotKind::Live, deadline_ms: 0 };
        table.put(route_hash(&key), slot, false, meta, &key, &value);
    }
    show("put", clock.monotonic() - started, count);

    let started = clock.monotonic();
    let mut locked = Duration::ZERO;
    let mut sealed = Duration::ZERO;
    let mut checkpoint = table.checkpoint_begin(1);
    loop {
        let mut more = true;
        while more && !checkpoint.batch_is_full() {
            let lock = clock.monotonic();
            more = checkpoint.copy_batch(&table, 64);
            locked += clock.monotonic() - lock;
        }
        let seal = clock.monotonic();
        checkpoint.seal_batch();
        sealed += clock.monotonic() - seal;
        checkpoint.write_batch()?;
        if !more {
            break;
        }
    }
    let finished = checkpoint.finish()?;
    let state = TableState {
        table: 1,
        schema: schema.clone(),
        clear_sequence: 0,
        checkpoint: finished.checkpoint,
    };
    let pages = finished.pages_written as u32;
    table.checkpoint_done(finished);
    show("checkpoint, a page", clock.monotonic() - started, pages);
    show("  of it under the lock", locked, pages);
    show("  of it sealing", sealed, pages);
    drop(table);

    for _ in 0..3 {
        let budget = SlotBudget::new(&schema);
        let started = clock.monotonic();
        let loading = Loading::open(&env, &dir, IDENT, &state, 1, budget, options, true)?;
        let read = clock.monotonic();
        let (table, report) = loading.finish(u64::from(count), &|_, _| true, route_hash)?;
        show("load: read and verify", read - started, count);
        show("load: index and allocator", clock.monotonic() - read, count);
        assert_eq!((table.len(), report.keys), (u64::from(count), u64::from(count)));
    }
    remove_files(&env, &dir, 1)
}

fn show(what: &str, time: Duration, count: u32) {
    let each = time.as_nanos() as f64 / f64::from(count);
    println!("{what:<28} {:>9.1} ms {each:>9.1} ns each", time.as_secs_f64() * 1e3);
}
