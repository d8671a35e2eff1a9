//! Thousands of durable writes in flight from one thread. `cargo run --release --example tickets -- DIRECTORY`

use slotcask::{Result, Store};
use std::collections::VecDeque;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "tickets-store".to_owned());
    let store = Store::open(&path)?;
    let map = store.fixed_map::<u64, u64>("numbers")?;
    let mut flying = VecDeque::new();
    for n in 0..100_000 {
        flying.push_back(map.write(&n, &(n * n))?);
        if flying.len() == 1024 {
            // The oldest is durable when this returns; so is, most likely, everything before the newest few.
            flying.pop_front().map_or(Ok(()), slotcask::Ticket::wait)?;
        }
    }
    for ticket in flying {
        ticket.wait()?;
    }
    println!("{} keys, all durable", map.len());
    store.close()
}
