//! Changes of the catalogue over two shards, cut short everywhere: a table is on both shards or on neither.

use slotcask::{Options, TableOptions};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{SimDisk, SimOptions};

const ROOT: &str = "/s";

fn options() -> Options {
    Options::new()
        .shards(2)
        .segment_size(32 << 10)
        .log_size(384 << 10)
        .background(false)
        .huge_pages(false)
}

fn live(disk: &SimDisk) -> slotcask::Result<()> {
    let store = options().open_in(env_of(1, disk), ROOT)?;
    for name in ["one", "two"] {
        let table = store.create_table(name, TableOptions::fixed(8, 8))?;
        for key in 0..4_u64 {
            table.put(key.to_le_bytes(), [1; 8])?;
        }
    }
    store.clear_table("one")?;
    store.drop_table("two")?;
    store.create_cask("three", &slotcask::CaskOptions::new())?;
    store.close()
}

/// Explores; gives the number of stores that were opened, and the first violation.
#[must_use]
pub fn run() -> (u64, Option<String>) {
    let whole = SimDisk::new(SimOptions::default());
    if let Err(error) = live(&whole) {
        return (0, Some(format!("the life without faults failed: {error}")));
    }
    let mut opened = 0;
    for stop in 0..whole.io_count() {
        let disk = SimDisk::new(SimOptions::default());
        disk.stop_after(stop);
        let _ = live(&disk);
        for mut plan in [CrashPlan::keep_all(), CrashPlan::keep_none(), CrashPlan::random(stop)] {
            opened += 1;
            if let Err(what) = judge(&disk.crash(&mut plan)) {
                return (
                    opened,
                    Some(format!("two shards, cut at event {stop}, {plan:?}: {what}")),
                );
            }
        }
    }
    (opened, None)
}

/// Every table takes keys of both shards.
fn judge(disk: &SimDisk) -> Result<(), String> {
    let text = |error: slotcask::Error| error.to_string();
    let store = options().open_in(env_of(2, disk), ROOT).map_err(text)?;
    for info in store.tables().map_err(text)? {
        for key in 100..116_u64 {
            let key = key.to_le_bytes();
            let found = if info.kind == slotcask::TableKind::Cask {
                let table = store.open_cask(&info.name).map_err(text)?;
                table.put(key, [2; 8]).and_then(|()| table.get(key))
            } else {
                let table = store.open_table(&info.name).map_err(text)?;
                table.put(key, [2; 8]).and_then(|()| table.get(key))
            };
            let found = found.map_err(|error| format!("table {}: {error}", info.name))?;
            if found.as_deref() != Some(&[2; 8][..]) {
                return Err(format!("table {} does not give back what was put", info.name));
            }
        }
    }
    Ok(())
}
