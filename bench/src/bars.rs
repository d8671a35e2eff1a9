//! The rows that `compare` prints and the bars that they are held to. `docs/BENCHMARKS.md` explains each.

use crate::engines::slotcask::LOG_SIZE;
use crate::raw::arena::LAYOUT;

/// Which way a row is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Times, sizes.
    Lower,
    /// Rates, gains.
    Higher,
}

/// What a bar compares slotcask's figure with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The peer with the best median in the row.
    BestPeer,
    /// The best of these peers: those that are of slotcask's kind.
    BestOf(&'static [&'static str]),
    /// This engine, or this raw loop, in the row.
    Column(&'static str),
    /// slotcask in that row; both rows are of the same unit.
    Row(&'static str),
    /// Nothing: the figure itself is held to the limit.
    Itself,
}

/// One bar. Against something it is a ratio in which more is better for slotcask, at least `limit`; against
/// nothing it is the figure, at most `limit` where lower is better, at least `limit` where higher is.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// What is compared with.
    pub against: Against,
    /// The limit.
    pub limit: f64,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name.
    pub id: &'static str,
    /// Group, as `--only` names it.
    pub group: &'static str,
    /// Unit of its figures.
    pub unit: &'static str,
    /// Which way it is good.
    pub better: Better,
    /// When its writes are acknowledged; empty for rows that do not write.
    pub durability: &'static str,
    /// What it is held to; none for rows that explain others.
    pub bars: &'static [Bar],
}

/// Column of slotcask.
pub const OURS: &str = "slotcask";
/// Column of the raw loop of the row, where there is one.
pub const RAW: &str = "raw";

pub(crate) const fn at_least(limit: f64, against: Against) -> Bar {
    Bar { against, limit }
}

pub(crate) const fn at_most(limit: f64) -> Bar {
    Bar { against: Against::Itself, limit }
}

/// Bytes of a page that one slot of the workload answers for.
pub const SLOT_PACKED: f64 = LAYOUT.page_size as f64 / LAYOUT.slots_per_page as f64;

/// Bytes on disk that a table of `keys` keys may take: slots with a tenth more, and the configured log.
#[must_use]
pub fn disk_allowed(keys: u64) -> f64 {
    1.1 * SLOT_PACKED * keys as f64 + LOG_SIZE as f64
}

macro_rules! rows {
    ($rows:ident: $($id:literal $group:literal $unit:literal $better:ident $durability:literal [$($bar:expr),*];)*) => {
        pub(crate) const $rows: &[Row] = &[$(Row {
            id: $id,
            group: $group,
            unit: $unit,
            better: Better::$better,
            durability: $durability,
            bars: &[$($bar),*],
        }),*];
    };
}

rows! { FIXED:
    "load" "data" "ns/op" Lower "buffered" [at_least(1.6, Against::BestPeer)];
    "get hit, 1 thread" "data" "ns/op" Lower "" [at_least(2.0, Against::BestPeer)];
    "get hit, 2 threads" "data" "k/s" Higher "" [];
    "gain of 2 threads" "data" "times" Higher "" [at_least(0.9, Against::Column(RAW))];
    "get miss" "data" "ns/op" Lower "" [at_least(1.3, Against::BestPeer)];
    "get beside get_many" "data" "ns/op" Lower "" [];
    "get_many(64)" "data" "ns/op" Lower "" [at_least(2.0, Against::Row("get beside get_many"))];
    "update" "data" "ns/op" Lower "buffered" [at_least(1.4, Against::BestPeer)];
    "put beside put_many" "data" "ns/op" Lower "buffered" [];
    "put_many(64)" "data" "ns/op" Lower "buffered" [at_least(2.0, Against::Row("put beside put_many"))];
    "sync put, 1 thread" "sync" "k/s" Higher "sync" [at_least(0.85, Against::Column(RAW))];
    "sync put, 16 threads" "sync" "k/s" Higher "sync" [];
    "sync put, 64 threads" "sync" "k/s" Higher "sync" [
        at_least(0.85, Against::Column(RAW)),
        at_least(3.5, Against::BestPeer)
    ];
    "put beside tickets" "tickets" "k/s" Higher "buffered" [];
    "1024 tickets in flight" "tickets" "k/s" Higher "sync" [at_least(0.5, Against::Row("put beside tickets"))];
    "sustained updates" "stalls" "k/s" Higher "buffered" [];
    "stalls, p99.9" "stalls" "us" Lower "buffered" [at_most(20.0)];
    "stalls, p99.99" "stalls" "us" Lower "buffered" [at_most(2000.0)];
    "stalls, longest" "stalls" "us" Lower "buffered" [];
    "longest by longest raw sync" "stalls" "times" Lower "buffered" [at_most(3.0)];
    "behind schedule, p99.9" "stalls" "us" Lower "buffered" [];
    "open after close" "open" "s" Lower "" [at_least(7.0, Against::Column("armdb-fixed"))];
    "open after kill -9" "open" "s" Lower "buffered" [at_least(4.0, Against::Column("armdb-fixed"))];
    "memory, 2 M keys" "memory" "bytes/key" Lower "buffered" [at_most(SLOT_PACKED + 16.0)];
    "memory, 3.1 M keys" "memory" "bytes/key" Lower "buffered" [at_most(SLOT_PACKED + 16.0)];
    "disk, part of 1.1 slots + log" "memory" "times" Lower "buffered" [at_most(1.0)];
}

pub(crate) use rows;

/// All rows, in the order of the report: those of fixed tables, of cask tables, of ordered tables.
pub fn all() -> impl Iterator<Item = &'static Row> + Clone {
    FIXED.iter().chain(crate::cask_bars::CASK).chain(crate::ordered_bars::ORDERED)
}

/// The row of that name.
#[must_use]
pub fn row(id: &str) -> Option<&'static Row> {
    all().find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_name_rows_that_are_there() {
        for bar in all().flat_map(|row| row.bars) {
            if let Against::Row(other) = bar.against {
                assert!(row(other).is_some(), "{other}");
            }
        }
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let names: std::collections::HashSet<_> = all().map(|row| row.id).collect();
        assert_eq!(names.len(), all().count());
    }
}
