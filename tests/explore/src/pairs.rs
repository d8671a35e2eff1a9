//! Two clients at once: at every call of the disk that one of them makes, the other does something whole. Each has keys of its own, so that
//! both may write; what each was told has to hold then, after a power loss, and when the store is opened again. Closing the store is one
//! of the things that a client does.
//!
//! [`crate::interleave`] judges the whole contents, and lets one of the two change them.

use crate::life::{ROOT, options};
use clap::ValueEnum;
use slotcask::{
    CaskOptions, CaskTable, Durability, Error, Store, Table, TableOptions, WriteOptions,
};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{SimDisk, SimOptions};
use std::sync::mpsc;
use std::time::Duration;

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Places in which the second client began.
    pub places: u64,
    /// Of them, those where it had to wait until the first gave way.
    pub waited: u64,
    /// The first violation.
    pub violation: Option<String>,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deed {
    Checkpoint,
    Rotate,
    Merge,
    Poll,
    Sync,
    Read,
    Put,
    PutMany,
    Delete,
    Decide,
    Batch,
    RangeDelete,
    Expire,
    FixedPut,
    FixedGrow,
    FixedRangeDelete,
    Create,
    Drop,
    Clear,
    Close,
}

/// Ways to furnish the store: bits that leave out a checkpoint, a rotation, a poll, the last sync.
const VARIANTS: [u64; 5] = [0, 8, 9, 13, 15];
/// How long the second client is waited for before it counts as waiting for a lock.
const PATIENCE: Duration = Duration::from_millis(8);
/// Keys that nobody changes.
const CASK_BASE: u64 = 25;
const FIXED_BASE: u64 = 20;

/// A key of a table, and whether a client was told that it is there.
type Told = (String, u64, bool);

fn open(disk: &SimDisk) -> Result<Store, Error> {
    options(false).open_in(env_of(1, disk), ROOT)
}

/// Eight digits, so that keys lie in the order of their numbers.
fn key(n: u64) -> Vec<u8> {
    format!("{n:08}").into_bytes()
}

fn durable() -> WriteOptions {
    WriteOptions::new().durability(Durability::Sync)
}

fn furnish(disk: &SimDisk, variant: u64) -> Result<Store, Error> {
    let store = open(disk)?;
    let cask = store.create_cask("c", &CaskOptions::new().ordered(true))?;
    let other = store.create_cask("d", &CaskOptions::new())?;
    let fixed = store.create_table("f", TableOptions::fixed(8, 100).ordered(true))?;
    store.create_table("g", TableOptions::fixed(8, 16))?;
    for round in 0..3 {
        for n in 0..CASK_BASE {
            cask.put(key(n), vec![round; 300])?;
            other.put(key(n), vec![round; 400])?;
        }
        for n in 0..FIXED_BASE {
            fixed.put(key(n), vec![round; 100])?;
        }
        if variant & 1 == 0 {
            store.rotate()?;
            store.checkpoint()?;
        }
        if variant & 2 == 0 {
            store.rotate()?;
        }
        if variant & 4 == 0 {
            store.poll()?;
        }
    }
    if variant & 8 == 0 {
        store.sync()?;
    }
    Ok(store)
}

/// A client and its tables.
struct Client {
    store: Store,
    cask: CaskTable,
    fixed: Table,
    number: u64,
}

impl Client {
    fn new(store: &Store, number: u64) -> Result<Self, Error> {
        let (cask, fixed) = (store.open_cask("c")?, store.open_table("f")?);
        Ok(Self { store: store.clone(), cask, fixed, number })
    }

    /// Does something; gives what it was told.
    fn act(&self, deed: Deed) -> Result<Vec<Told>, Error> {
        let (store, cask, fixed) = (&self.store, &self.cask, &self.fixed);
        let own = 1000 * (self.number + 1);
        let told = |table: &str, key: u64, there: bool| vec![(table.to_owned(), key, there)];
        let many = |table: &str, count: u64, there: bool| {
            (0..count).map(|n| (table.to_owned(), own + n, there)).collect()
        };
        match deed {
            Deed::Checkpoint => store.checkpoint()?,
            Deed::Rotate => store.rotate()?,
            Deed::Merge => drop(store.merge()?),
            Deed::Poll => drop(store.poll()?),
            Deed::Sync => store.sync()?,
            // Judged by who calls.
            Deed::Read => {}
            Deed::Put => {
                cask.put_with(key(own), vec![5; 700], &durable())?;
                return Ok(told("c", own, true));
            }
            Deed::PutMany => {
                let pairs: Vec<_> = (0..40).map(|n| (key(own + n), vec![5; 500])).collect();
                cask.put_many_with(&pairs, &durable())?;
                return Ok(many("c", 40, true));
            }
            Deed::Delete => {
                cask.put(key(own), vec![5; 70])?;
                cask.delete_with(key(own), &durable())?;
                return Ok(told("c", own, false));
            }
            Deed::Decide => {
                cask.put_if_absent(key(own), vec![5; 70])?;
                cask.update(key(own), |value| value.map(|value| [value, &[1]].concat()))?;
                store.sync()?;
                return Ok(told("c", own, true));
            }
            Deed::Batch => {
                let mut batch = store.batch();
                batch.put(cask, key(own), vec![6; 100])?;
                batch.put(fixed, key(own), vec![6; 100])?;
                batch.delete(cask, key(own + 1))?;
                batch.commit_with(&durable())?;
                let there = ["c", "f"].map(|table| (table.to_owned(), own, true));
                return Ok(there.into_iter().chain(told("c", own + 1, false)).collect());
            }
            Deed::RangeDelete => {
                (0..3).try_for_each(|n| cask.put(key(own + n), vec![5; 70]))?;
                cask.delete_range_with(key(own)..key(own + 10), &durable())?;
                return Ok(many("c", 3, false));
            }
            Deed::Expire => {
                let ttl = durable().ttl(Duration::from_secs(1000));
                cask.put_with(key(own), vec![5; 70], &ttl)?;
                cask.persist(key(own))?;
                store.sync()?;
                return Ok(told("c", own, true));
            }
            Deed::FixedPut => {
                fixed.put_with(key(own), vec![5; 100], &durable())?;
                return Ok(told("f", own, true));
            }
            Deed::FixedGrow => {
                (0..300).try_for_each(|n| fixed.put(key(own + n), vec![5; 100]))?;
                store.sync()?;
                return Ok(many("f", 300, true));
            }
            Deed::FixedRangeDelete => {
                (0..3).try_for_each(|n| fixed.put(key(own + n), vec![5; 100]))?;
                fixed.delete_range_with(key(own)..key(own + 10), &durable())?;
                return Ok(many("f", 3, false));
            }
            Deed::Create => {
                let name = format!("n{}", self.number);
                let table = store.create_table(&name, TableOptions::fixed(8, 8))?;
                table.put_with(key(own), vec![1; 8], &durable())?;
                let cask_name = format!("m{}", self.number);
                let table = store.create_cask(&cask_name, &CaskOptions::new())?;
                table.put_with(key(own), vec![1; 8], &durable())?;
                return Ok([name, cask_name].map(|name| (name, own, true)).to_vec());
            }
            Deed::Drop => store.drop_table("d")?,
            Deed::Clear => {
                store.clear_table("d")?;
                store.clear_table("g")?;
            }
            Deed::Close => store.close()?,
        }
        Ok(Vec::new())
    }
}

/// Whether an error is what a client may be told: the store was closed or the table dropped by the other one, or there is no room.
fn may_be_told(error: &Error) -> bool {
    error.is_out_of_resources()
        || matches!(error, Error::Closed | Error::TableDropped { .. } | Error::NoSuchTable { .. })
}

/// Reads everything: the keys that nobody changes, in every way, and what clients were told.
fn judge(store: &Store, told: &[Told]) -> Result<(), String> {
    match read(store, told) {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(what),
        Err(Error::Closed) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn read(store: &Store, told: &[Told]) -> Result<Option<String>, Error> {
    let (cask, fixed) = (store.open_cask("c")?, store.open_table("f")?);
    for n in 0..CASK_BASE {
        let found = cask.get(key(n))?;
        if found != Some(vec![2; 300]) {
            return Ok(Some(format!("key {n} of c: {found:?}")));
        }
    }
    for n in 0..FIXED_BASE {
        let found = fixed.get(key(n))?;
        if found != Some(vec![2; 100]) {
            return Ok(Some(format!("key {n} of f: {found:?}")));
        }
    }
    let base = |pairs: Vec<(Vec<u8>, Vec<u8>)>| {
        pairs.iter().filter(|(found, value)| found[..] < key(1000)[..] && value[0] == 2).count()
            as u64
    };
    let listed = [
        ("iteration over c", base(cask.iter().collect::<Result<_, _>>()?), CASK_BASE),
        ("a range of c", base(cask.range(..key(1000))?.collect::<Result<_, _>>()?), CASK_BASE),
        ("a range of f", base(fixed.range(..key(1000))?.collect::<Result<_, _>>()?), FIXED_BASE),
    ];
    for (what, found, expected) in listed {
        if found != expected {
            return Ok(Some(format!("{what} finds {found} of {expected} keys")));
        }
    }
    match store.open_cask("d").and_then(|other| other.iter().try_for_each(|pair| pair.map(drop))) {
        Ok(()) | Err(Error::NoSuchTable { .. } | Error::TableDropped { .. }) => {}
        Err(error) => return Err(error),
    }
    for (table, n, there) in told {
        let found = match store.open_cask(table) {
            Ok(table) => table.contains(key(*n))?,
            Err(_) => store.open_table(table)?.contains(key(*n))?,
        };
        if found != *there {
            return Ok(Some(format!("key {n} of {table}: told {there}, found {found}")));
        }
    }
    Ok(None)
}

/// Tries one of `parts` parts of all pairs of deeds, in every place or in every `step`th one. The first violation ends it.
#[must_use]
pub fn run(part: u64, parts: u64, step: u64) -> Tally {
    let mut tally = Tally::default();
    let deeds = Deed::value_variants();
    let pairs = VARIANTS.into_iter().flat_map(|variant| {
        deeds
            .iter()
            .flat_map(move |first| deeds.iter().map(move |second| (variant, *first, *second)))
    });
    for (number, (variant, first, second)) in (0..).zip(pairs) {
        if number % parts != part {
            continue;
        }
        let mut place = number / parts % step;
        loop {
            match meet(variant, first, second, place, &mut tally) {
                Ok(true) => place += step,
                Ok(false) => break,
                Err(what) => {
                    tally.violation = Some(format!(
                        "{second:?} at call {place} of {first:?}, variant {variant}: {what}"
                    ));
                    return tally;
                }
            }
        }
    }
    tally
}

fn do_it(store: &Store, client: &Client, deed: Deed) -> Result<Vec<Told>, String> {
    if deed == Deed::Read {
        return judge(store, &[]).map(|()| Vec::new()).map_err(|what| format!("read: {what}"));
    }
    match client.act(deed) {
        Ok(told) => Ok(told),
        Err(error) if may_be_told(&error) => Ok(Vec::new()),
        Err(error) => Err(format!("{deed:?} failed: {error}")),
    }
}

/// False when the first client makes fewer calls than `place`.
fn meet(
    variant: u64,
    first: Deed,
    second: Deed,
    place: u64,
    tally: &mut Tally,
) -> Result<bool, String> {
    let text = |error: Error| error.to_string();
    let disk = SimDisk::new(SimOptions::default());
    let store = furnish(&disk, variant).map_err(text)?;
    let clients = [Client::new(&store, 0).map_err(text)?, Client::new(&store, 1).map_err(text)?];
    let [one, two] = clients;
    let (sender, receiver) = mpsc::channel();
    let other = store.clone();
    disk.pause_at(disk.calls() + place, move || {
        let (done, end) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let told = do_it(&other, &two, second);
            // Nobody listens any more when this took long.
            let _ = done.send(());
            told
        });
        let waited = end.recv_timeout(PATIENCE).is_err();
        let _ = sender.send((thread, waited));
    });
    let told = do_it(&store, &one, first);
    if disk.unpause() {
        return Ok(false);
    }
    tally.places += 1;
    let (thread, waited) = receiver.recv().map_err(|error| error.to_string())?;
    tally.waited += u64::from(waited);
    let more = thread.join().map_err(|_| format!("{second:?} panicked"))?;
    let told: Vec<Told> = told?.into_iter().chain(more?).collect();
    judge(&store, &told)?;
    let is_closed = [first, second].contains(&Deed::Close);
    for (kept, mut plan) in [("all", CrashPlan::keep_all()), ("nothing", CrashPlan::keep_none())] {
        // What was there before is durable only when it was synced, or everything was.
        if kept == "nothing" && variant & 8 != 0 && !is_closed {
            continue;
        }
        let lost =
            |what: String| format!("a power loss that leaves {kept} of what is pending: {what}");
        let after = open(&disk.crash(&mut plan)).map_err(|error| lost(error.to_string()))?;
        judge(&after, &told).map_err(lost)?;
    }
    // What went wrong may show later.
    if !is_closed {
        let bear = |done: Result<(), Error>| match done {
            Err(error) if !error.is_out_of_resources() => Err(format!("later: {error}")),
            _ => Ok(()),
        };
        for _ in 0..2 {
            bear(store.rotate())?;
            bear(store.checkpoint())?;
        }
        bear(store.merge().map(drop))?;
        judge(&store, &told).map_err(|what| format!("later: {what}"))?;
        bear(store.close())?;
    }
    let again = open(&disk).map_err(|error| format!("opened again: {error}"))?;
    judge(&again, &told).map_err(|what| format!("opened again: {what}"))?;
    Ok(true)
}
