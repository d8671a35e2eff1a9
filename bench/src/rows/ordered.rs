//! The rows of ordered tables: ranges beside the peers', gets and puts beside tables without an order, memory.

use super::{Place, in_turns};
use crate::args::Args;
use crate::bars::OURS;
use crate::cask::{CaskEngine, SMALL, Setup};
use crate::engine::{Engine, Mode, Outcome};
use crate::engines::slotcask::Slotcask;
use crate::engines::slotcask_cask::SlotcaskCask;
use crate::engines::slotcask_ordered::{SlotcaskOrdered, SlotcaskOrderedCask};
use crate::measure::{get_hits, ns_each};
use crate::ordered::{RANGE, RangeReader};
use crate::ordered_child::Shape;
use crate::report::Report;
use crate::rows::cask::data::{gets, load, warm};
use crate::values::with_value;
use crate::workload::{Key, Order, Random, key, value};
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Duration;

/// How often the two sides of a comparison take turns in a round.
const TURNS: u32 = 4;
/// Ranges of a round at most.
const RANGES: usize = 1 << 20;

/// An engine whose type is not known here: virtual at the level of rows, never inside one.
pub trait OrderedRunner {
    /// The engine's name.
    fn name(&self) -> &'static str;
    /// One round of the ranges.
    ///
    /// # Errors
    /// The engine's.
    fn scan_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()>;
}

struct OfFixed<E>(PhantomData<E>);
struct OfCask<E>(PhantomData<E>);

impl<E: Engine> OrderedRunner for OfFixed<E>
where
    for<'a> E::Reader<'a>: RangeReader,
{
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn scan_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        let keys = (args.keys / E::SHARE).max(RANGE as u64);
        let place = Place::new(args, E::NAME)?;
        let engine: E = place.open(Mode::Buffered)?;
        (0..keys).try_for_each(|number| engine.put(&key(number), &value(number, 0)))?;
        engine.settle()?;
        {
            let reader = engine.reader()?;
            let (pairs, alone) = ranges(&reader, keys, args, round)?;
            report.add("range of 100, fixed", E::NAME, pairs);
            report.add("range of 100, fixed, keys", E::NAME, alone);
        }
        engine.close()
    }
}

impl<E: CaskEngine> OrderedRunner for OfCask<E>
where
    for<'a> E::Reader<'a>: RangeReader,
{
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn scan_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        // As many for all engines: a smaller table would lie in the processor's caches.
        let keys = args.keys.max(RANGE as u64);
        let place = Place::new(args, E::NAME)?;
        let engine: E = place.open_cask(Setup::cached(Mode::Buffered, cache(keys)))?;
        load(&engine, keys, SMALL.len)?;
        engine.settle()?;
        warm(&engine, keys, SMALL.len)?;
        {
            let reader = engine.reader()?;
            let (pairs, alone) = ranges(&reader, keys, args, round)?;
            report.add("range of 100", E::NAME, pairs);
            report.add("range of 100, keys", E::NAME, alone);
        }
        engine.close()
    }
}

/// Cache for all values of a table, twice over.
fn cache(keys: u64) -> u64 {
    2 * keys * (SMALL.len as u64 + 256) + (64 << 20)
}

/// Microseconds a range with values, and without.
fn ranges<R: RangeReader>(reader: &R, keys: u64, args: &Args, round: u64) -> Outcome<(f64, f64)> {
    let mut sorted: Vec<Key> = (0..keys).map(key).collect();
    sorted.sort_unstable();
    let mut random = Random::new(args.seed + round);
    let starts = keys - RANGE as u64 + 1;
    let starts: Vec<u32> = (0..RANGES).map(|_| random.below(starts) as u32).collect();
    let bounds = |start: u64| (&sorted[start as usize], &sorted[start as usize + RANGE - 1]);
    let check = |from: &Key, to: &Key, seen: usize, ends: u8| {
        // All in it, both ends among them.
        let wanted = usize::from(from[15]) + usize::from(to[15]);
        if seen == RANGE && usize::from(ends) == wanted % 256 {
            return Ok(());
        }
        Err(format!("a range of {RANGE} keys has {seen}, or other ones"))
    };
    let pairs = ns_each(&starts, args.time_max(), |start| {
        let (from, to) = bounds(start);
        let (mut seen, mut ends, mut bytes) = (0, 0_u8, 0_u8);
        reader.pairs(from, to, |key, value| {
            if seen == 0 || seen == RANGE - 1 {
                ends = ends.wrapping_add(key[15]);
            }
            bytes ^= value[0] ^ value[value.len() - 1];
            seen += 1;
        })?;
        black_box(bytes);
        Ok(check(from, to, seen, ends)?)
    })?;
    let alone = ns_each(&starts, args.time_max(), |start| {
        let (from, to) = bounds(start);
        let (mut seen, mut ends, mut bytes) = (0, 0_u8, 0_u8);
        reader.keys(from, to, |key| {
            if seen == 0 || seen == RANGE - 1 {
                ends = ends.wrapping_add(key[15]);
            }
            bytes ^= key[0];
            seen += 1;
        })?;
        black_box(bytes);
        Ok(check(from, to, seen, ends)?)
    })?;
    Ok((pairs / 1e3, alone / 1e3))
}

/// All engines that are built in and have an order, slotcask first. Two of ours have one name: one fixed, one cask.
#[must_use]
pub fn runners() -> Vec<Box<dyn OrderedRunner>> {
    #[cfg(feature = "peers")]
    use crate::engines::*;
    vec![
        Box::new(OfFixed::<SlotcaskOrdered>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(OfFixed::<armdb::ArmdbFixedTree>(PhantomData)),
        Box::new(OfCask::<SlotcaskOrderedCask>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(OfCask::<armdb_var::ArmdbVarTree>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(OfCask::<fjall_var::FjallVar>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(OfCask::<redb_var::RedbVar>(PhantomData)),
    ]
}

/// The groups that are wanted. `tell` is told what begins.
///
/// # Errors
/// The engines', or a child's.
pub fn run(
    args: &Args,
    runners: &[Box<dyn OrderedRunner>],
    report: &mut Report,
    tell: &dyn Fn(&str, u64),
) -> Outcome<()> {
    for round in 0..if args.wants("ordered-scan") { args.rounds } else { 0 } {
        for runner in runners {
            tell(&format!("ranges of {}", runner.name()), round);
            runner.scan_round(args, round, report)?;
        }
    }
    if !runners.iter().any(|runner| runner.name() == OURS) {
        return Ok(());
    }
    for round in 0..if args.wants("ordered-data") { args.rounds } else { 0 } {
        tell("tables with and without an order", round);
        fixed_round(args, round, report)?;
        cask_round(args, round, report)?;
    }
    for round in 0..if args.wants("ordered-memory") { args.rounds } else { 0 } {
        tell("memory of orders", round);
        memory_round(args, report)?;
    }
    Ok(())
}

/// One round of puts and gets of fixed tables with and without an order, in turns.
///
/// # Errors
/// The engine's.
pub fn fixed_round(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let places = [Place::new(args, "hashed")?, Place::new(args, "ordered")?];
    let hashed: Slotcask = places[0].open(Mode::Buffered)?;
    let ordered: SlotcaskOrdered = places[1].open(Mode::Buffered)?;
    let all: Vec<u32> = (0..args.keys as u32).collect();
    let order = Order::new(args.keys, args.seed + round);
    let time_max = args.time_max();
    let mut both = |id: &str, visits: &[&[u32]], writing: u64, time_max| -> Outcome<()> {
        let (without, with) = in_turns(
            TURNS,
            |turn| {
                ns_each(visits[turn as usize], time_max, |number| {
                    hashed.put(&key(number), &value(number, writing))
                })
            },
            |turn| {
                ns_each(visits[turn as usize], time_max, |number| {
                    ordered.put(&key(number), &value(number, writing))
                })
            },
        )?;
        report.add(&format!("{id} beside ordered"), OURS, without);
        report.add(&format!("{id}, ordered"), OURS, with);
        Ok(())
    };
    both("new key", &quarters(&all), 0, Duration::MAX)?;
    both("put", &order.parts(TURNS as usize), round + 1, time_max)?;
    hashed.settle()?;
    ordered.settle()?;
    let (without, with) = in_turns(
        TURNS,
        |turn| get_hits(&&hashed, order.parts(TURNS as usize)[turn as usize], time_max),
        |turn| get_hits(&&ordered, order.parts(TURNS as usize)[turn as usize], time_max),
    )?;
    report.add("get beside ordered", OURS, without);
    report.add("get, ordered", OURS, with);
    hashed.close()?;
    ordered.close()
}

/// As [`fixed_round`], of cask tables.
///
/// # Errors
/// The engine's.
pub fn cask_round(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let places = [Place::new(args, "hashed")?, Place::new(args, "ordered")?];
    let setup = Setup::cached(Mode::Buffered, cache(args.keys));
    let hashed: SlotcaskCask = places[0].open_cask(setup)?;
    let ordered: SlotcaskOrderedCask = places[1].open_cask(setup)?;
    let all: Vec<u32> = (0..args.keys as u32).collect();
    let order = Order::new(args.keys, args.seed + round);
    let time_max = args.time_max();
    let len = SMALL.len;
    let mut both = |id: &str, visits: &[&[u32]], writing: u64, time_max| -> Outcome<()> {
        let (without, with) = in_turns(
            TURNS,
            |turn| {
                ns_each(visits[turn as usize], time_max, |number| {
                    with_value(number, writing, len, |value| hashed.put(&key(number), value))
                })
            },
            |turn| {
                ns_each(visits[turn as usize], time_max, |number| {
                    with_value(number, writing, len, |value| ordered.put(&key(number), value))
                })
            },
        )?;
        report.add(&format!("{id} beside ordered"), OURS, without);
        report.add(&format!("{id}, ordered"), OURS, with);
        Ok(())
    };
    both("cask new key", &quarters(&all), 0, Duration::MAX)?;
    both("cask put", &order.parts(TURNS as usize), round + 1, time_max)?;
    hashed.settle()?;
    ordered.settle()?;
    warm(&hashed, args.keys, len)?;
    warm(&ordered, args.keys, len)?;
    let (without, with) = in_turns(
        TURNS,
        |turn| gets(&&hashed, order.parts(TURNS as usize)[turn as usize], len, time_max),
        |turn| gets(&&ordered, order.parts(TURNS as usize)[turn as usize], len, time_max),
    )?;
    report.add("cask get beside ordered", OURS, without);
    report.add("cask get, ordered", OURS, with);
    hashed.close()?;
    ordered.close()
}

fn quarters(all: &[u32]) -> Vec<&[u32]> {
    let turns = TURNS as usize;
    (0..turns).map(|at| &all[all.len() * at / turns..all.len() * (at + 1) / turns]).collect()
}

fn memory_round(args: &Args, report: &mut Report) -> Outcome<()> {
    for (id, without, with) in [
        ("memory, order adds", Shape::Fixed, Shape::FixedOrdered),
        ("cask memory, order adds", Shape::Cask, Shape::CaskOrdered),
    ] {
        let of = |shape: Shape| -> Outcome<f64> {
            let place = Place::new(args, OURS)?;
            std::fs::create_dir_all(place.store())?;
            shape.memory(&place.store(), args.keys)
        };
        let without = of(without)?;
        report.add(id, OURS, (of(with)? - without) / args.keys as f64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_without_children_runs_small() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args {
            keys: 500,
            rounds: 1,
            slice: Duration::from_millis(2),
            dir: dir.path().to_owned(),
            ..Args::full()
        };
        let mut report = Report::default();
        for runner in runners() {
            runner.scan_round(&args, 0, &mut report).unwrap();
        }
        fixed_round(&args, 0, &mut report).unwrap();
        cask_round(&args, 0, &mut report).unwrap();
        let without_child = |group: &str| group != "ordered-memory";
        for row in crate::ordered_bars::ORDERED.iter().filter(|row| without_child(row.group)) {
            assert!(report.median(row.id, OURS).is_some(), "{}", row.id);
        }
    }
}
