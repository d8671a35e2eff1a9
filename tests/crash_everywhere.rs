//! A short life of a store on the simulated disk, with the power cut at every single I/O call, and again inside the recovery.
//!
//! The model keeps what was accepted on the one shard, in order, and what was acknowledged as durable. After each cut the
//! store must equal the model after some prefix of the accepted writes that holds everything acknowledged. The explorer
//! does this for all short lives and many random ones; this is the one that runs with every `cargo test`.

use slotcask::{Options, Store, Table, TableOptions};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{SimDisk, SimOptions};
use std::collections::BTreeMap;

type State = BTreeMap<u64, u64>;

#[derive(Default)]
struct Model {
    /// States after each accepted change.
    states: Vec<State>,
    /// Index of the last state that was acknowledged as durable.
    durable: usize,
    /// The table was acknowledged.
    created: bool,
}

impl Model {
    fn accept(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.states.last().cloned().unwrap_or_default();
        change(&mut state);
        self.states.push(state);
    }

    fn acknowledge(&mut self) {
        self.durable = self.states.len();
    }

    fn check(&self, found: Option<&State>, what: &str) {
        let Some(found) = found else {
            assert!(!self.created, "{what}: the table is gone");
            return;
        };
        let empty = State::new();
        let fits = (self.durable..=self.states.len())
            .any(|at| found == if at == 0 { &empty } else { &self.states[at - 1] });
        assert!(
            fits,
            "{what}: {} accepted, {} durable, found {found:?}\nexpected one of {:?}",
            self.states.len(),
            self.durable,
            &self.states[self.durable.saturating_sub(1)..]
        );
    }
}

fn options() -> Options {
    Options::new()
        .shards(1)
        .segment_size(16 << 10)
        .log_size(96 << 10)
        .background(false)
        .huge_pages(false)
        .checkpoint_batch(4096)
}

fn value(n: u64) -> [u8; 120] {
    let mut value = [n as u8; 120];
    value[..8].copy_from_slice(&n.to_le_bytes());
    value
}

/// Lives until the power fails; errors end the life as they end a process.
fn live(disk: &SimDisk, model: &mut Model) -> slotcask::Result<()> {
    let store = options().open_in(env_of(1, disk), "/s")?;
    let table = store.create_table("t", TableOptions::fixed(8, 120))?;
    model.created = true;
    let put = |model: &mut Model, key: u64, n: u64, sync: bool| -> slotcask::Result<()> {
        // Accepted before it is acknowledged: a cut in between leaves both answers open.
        model.accept(|state| {
            state.insert(key, n);
        });
        let ticket = table.write(key.to_le_bytes(), value(n)).inspect_err(|_| {
            model.states.pop();
        })?;
        if sync {
            ticket.wait()?;
            model.acknowledge();
        }
        Ok(())
    };
    for n in 0..40 {
        put(model, n % 7, n, n % 3 == 0)?;
        if n == 11 || n == 26 {
            model.accept(|state| {
                state.remove(&(n % 7));
            });
            drop(table.write_delete((n % 7).to_le_bytes())?);
        }
        if n == 17 {
            model.accept(|state| {
                state.insert(100, n);
                state.insert(101, n);
                state.remove(&3);
            });
            let mut batch = store.batch();
            batch.put(&table, 100_u64.to_le_bytes(), value(n))?;
            batch.put(&table, 101_u64.to_le_bytes(), value(n))?;
            batch.delete(&table, 3_u64.to_le_bytes())?;
            batch.commit()?;
            model.acknowledge();
        }
        if n % 10 == 9 {
            store.checkpoint()?;
            model.acknowledge();
        }
        if n == 21 {
            store.rotate()?;
        }
        if n == 31 {
            store.poll()?;
            model.acknowledge();
        }
    }
    store.close()?;
    model.acknowledge();
    Ok(())
}

fn contents(table: &Table) -> State {
    let mut state = State::new();
    for pair in table.iter() {
        let (key, bytes) = pair.unwrap();
        let key = u64::from_le_bytes(key.try_into().unwrap());
        let n = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(bytes, value(n), "a torn value");
        assert_eq!(table.get(key.to_le_bytes()).unwrap().as_deref(), Some(&bytes[..]));
        assert!(state.insert(key, n).is_none(), "a key came twice");
    }
    assert_eq!(state.len() as u64, table.len());
    state
}

fn recovered(disk: &SimDisk, what: &str) -> (Store, Option<State>) {
    let store =
        options().open_in(env_of(2, disk), "/s").unwrap_or_else(|error| panic!("{what}: {error}"));
    let state = match store.open_table("t") {
        Ok(table) => Some(contents(&table)),
        Err(_) => None,
    };
    (store, state)
}

fn plans(seed: u64) -> Vec<(&'static str, CrashPlan)> {
    vec![
        ("none", CrashPlan::keep_none()),
        ("all", CrashPlan::keep_all()),
        ("random", CrashPlan::random(seed)),
        ("random too", CrashPlan::random(seed + 1_000_000)),
    ]
}

/// A panic on the way out of a life whose disk is gone is the engine's fault; errors are not.
fn life_until(stop: u64) -> (SimDisk, Model, bool) {
    let disk = SimDisk::new(SimOptions::default());
    disk.stop_after(stop);
    let mut model = Model::default();
    let ended = live(&disk, &mut model).is_ok();
    (disk, model, ended)
}

#[test]
fn no_cut_loses_what_was_acknowledged() {
    let (whole, _, ended) = life_until(u64::MAX);
    assert!(ended);
    let events = whole.io_count();
    assert!(events > 100, "{events}");
    for stop in 0..events {
        let (disk, model, _) = life_until(stop);
        for (name, mut plan) in plans(stop) {
            let what = format!("cut at {stop} of {events}, {name}");
            let image = disk.crash(&mut plan);
            let before = image.fork();
            let (store, state) = recovered(&image, &what);
            model.check(state.as_ref(), &what);
            // What recovery served stays, and the store goes on.
            if let Ok(table) = store.open_table("t") {
                table.put(9_u64.to_le_bytes(), value(77)).unwrap();
                let image = image.crash(&mut CrashPlan::keep_none());
                let (_, again) = recovered(&image, &format!("{what}, then put"));
                let mut expected = state.clone().unwrap();
                expected.insert(9, 77);
                assert_eq!(again, Some(expected), "{what}, then put");
            }
            drop(store);
            // A second cut inside the recovery.
            if stop % 5 == 0 {
                let begun = before.io_count();
                for inner in (0..40).step_by(3) {
                    let second = before.fork();
                    second.stop_after(begun + inner);
                    let _ = options().open_in(env_of(3, &second), "/s");
                    for (inner_name, mut plan) in plans(stop * 100 + inner) {
                        let what = format!("{what}, then at {inner} of the recovery, {inner_name}");
                        let image = second.crash(&mut plan);
                        let (_, state) = recovered(&image, &what);
                        model.check(state.as_ref(), &what);
                    }
                }
            }
        }
    }
}
