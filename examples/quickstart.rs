//! Puts, gets, an update, iteration. `cargo run --example quickstart -- DIRECTORY`

use slotcask::{Result, Store};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "quickstart-store".to_owned());
    let store = Store::open(&path)?;
    let visits = store.fixed_map::<u64, u64>("visits")?;
    for user in [7, 8, 7, 9, 7] {
        visits.update(&user, |count| Some(count.unwrap_or(0) + 1))?;
    }
    for pair in visits.iter() {
        let (user, count) = pair?;
        println!("user {user}: {count} visits");
    }
    store.close()
}
