//! A power failure on the simulated disk: what was acknowledged is there, what was not may be. `cargo run --example simulated_crash`

use slotcask::{Options, Result};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{SimDisk, SimOptions};

fn main() -> Result<()> {
    let disk = SimDisk::new(SimOptions::default());
    let options = || Options::new().shards(1).log_size(1 << 20).background(false);
    let store = options().open_in(env_of(1, &disk), "/store")?;
    let map = store.fixed_map::<u64, u64>("numbers")?;
    map.put(&1, &100)?; // durable
    let _ticket = map.write(&2, &200)?; // accepted only
    let after = disk.crash(&mut CrashPlan::keep_none());
    let store = options().open_in(env_of(2, &after), "/store")?;
    let map = store.fixed_map::<u64, u64>("numbers")?;
    println!("1: {:?}, 2: {:?}", map.get(&1)?, map.get(&2)?);
    println!("{:?}", store.recovery());
    store.close()
}
