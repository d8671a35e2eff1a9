//! A merged data file that cannot be removed, as one that a slow reader holds when descriptors are short, is tried again by later rounds and
//! by the closing: nothing else would give its space back before the next opening.

mod common;

use common::{ROOT, b, files_named, tiny, world};
use slotcask::{CaskTable, Durability, Store};
use slotcask_io::SimDisk;
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, SimClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const REMOVALS: OpFilter = OpFilter::Kind(OpKind::Remove);

/// A store whose data files were merged while none could be removed, and those files.
struct Merged {
    store: Store,
    table: CaskTable,
    disk: SimDisk,
    clock: Arc<SimClock>,
    inputs: Vec<PathBuf>,
}

impl Merged {
    fn new(seed: u64) -> Self {
        let (mut env, disk) = world(seed);
        let clock = Arc::new(SimClock::new());
        env.clock = clock.clone();
        let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
        let table = store.cask("c").unwrap();
        for key in 0..40 {
            table.put(b(key), [1; 1000]).unwrap();
        }
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        let inputs = files_named(&disk, 0, "hint");
        assert!(inputs.len() > 1, "{inputs:?}");
        for key in (0..40).step_by(3) {
            table.delete(b(key)).unwrap();
        }
        disk.inject(Fault::forever(REMOVALS, 0, FaultError::Emfile));
        assert!(store.merge().unwrap());
        let merged = Self { store, table, disk, clock, inputs };
        assert_eq!(merged.left(), merged.inputs.len() * 2, "files went in spite of the fault");
        merged
    }

    /// How many of the inputs and of their hints are there.
    fn left(&self) -> usize {
        let there: Vec<PathBuf> = self.disk.files().into_iter().map(|(path, _)| path).collect();
        let of = |hint: &PathBuf| {
            let name = hint.file_name().unwrap().to_string_lossy().replace(".hint", ".cask");
            let segment = name.replace("data-", "log-").replace(".cask", ".segment");
            [hint.clone(), hint.with_file_name(name), hint.with_file_name(segment)]
        };
        self.inputs.iter().flat_map(of).filter(|file| there.contains(file)).count()
    }

    fn tries(&self) -> u64 {
        self.disk.op_count(REMOVALS)
    }
}

#[test]
fn a_later_round_removes_them() {
    let merged = Merged::new(71);
    while merged.store.poll().unwrap() {}
    let tries = merged.tries();
    for _ in 0..10 {
        merged.store.poll().unwrap();
    }
    assert_eq!(merged.tries(), tries, "tried in every round");
    merged.clock.advance(Duration::from_secs(2));
    merged.store.poll().unwrap();
    assert!(merged.tries() > tries, "not tried again");
    assert_eq!(merged.left(), merged.inputs.len() * 2);
    merged.disk.clear_faults();
    merged.clock.advance(Duration::from_secs(2));
    merged.store.poll().unwrap();
    assert_eq!(merged.left(), 0);
    // Nothing is left to be tried.
    let tries = merged.tries();
    merged.clock.advance(Duration::from_secs(2));
    merged.store.poll().unwrap();
    assert_eq!(merged.tries(), tries);
    assert_eq!(merged.table.get(b(1)).unwrap().unwrap(), [1; 1000]);
    assert!(merged.table.get(b(3)).unwrap().is_none());
}

#[test]
fn the_closing_removes_them() {
    let merged = Merged::new(72);
    merged.disk.clear_faults();
    merged.store.close().unwrap();
    assert_eq!(merged.left(), 0);
}
