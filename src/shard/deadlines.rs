//! What vanishes when: to be looked at when its time has come.

use std::collections::BTreeMap;

/// Shortest interval by which deadlines are gathered, in milliseconds.
const INTERVAL_MS: u64 = 1024;
/// An interval is at most this part of the time that its deadlines lie ahead: few intervals whatever the deadlines, and what
/// vanished is taken out that much late at most.
const PART: u64 = 256;

/// Places of values (`T`, 8 bytes) by the interval of their deadline. A value that was overwritten stays listed until its time
/// has come; whoever looks then finds that it is not there any more, or vanishes later.
#[derive(Debug)]
pub(crate) struct Deadlines<T> {
    /// By the end of the interval, milliseconds since 1970.
    intervals: BTreeMap<u64, Vec<T>>,
    count: usize,
    /// About now; 0 when nobody has said yet.
    now_ms: u64,
}

/// A slot of a fixed table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotPlace {
    pub table: u32,
    pub slot: u32,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<T> Deadlines<T> {
    /// None yet, and it is about `now_ms`.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { intervals: BTreeMap::new(), count: 0, now_ms }
    }

    /// A value that vanishes.
    pub(crate) fn add(&mut self, deadline_ms: u64, at: T) {
        let ahead = if self.now_ms == 0 { 0 } else { deadline_ms.saturating_sub(self.now_ms) };
        let width = 1 << (ahead / PART).max(INTERVAL_MS).ilog2();
        let end = (deadline_ms / width + 1).saturating_mul(width);
        self.intervals.entry(end).or_default().push(at);
        self.count += 1;
    }

    /// Takes up to `count` values of intervals that are over at `now_ms`.
    pub(crate) fn take_due(&mut self, now_ms: u64, count: usize) -> Vec<T> {
        self.now_ms = now_ms;
        let mut due = Vec::new();
        while due.len() < count {
            let Some(mut first) = self.intervals.first_entry() else { break };
            if *first.key() > now_ms {
                break;
            }
            let places = first.get_mut();
            let rest = places.len().saturating_sub(count - due.len());
            due.extend(places.drain(rest..));
            if rest == 0 {
                first.remove();
            }
        }
        self.count -= due.len();
        due
    }

    /// Values listed, those included that were overwritten.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Values of intervals that are over at `now_ms`.
    pub(crate) fn due(&self, now_ms: u64) -> impl Iterator<Item = &T> {
        self.intervals.range(..=now_ms).flat_map(|(_, places)| places)
    }

    /// Takes all of them.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        self.count = 0;
        std::mem::take(&mut self.intervals).into_values().flatten().collect()
    }

    /// Keeps those that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.intervals.retain(|_, places| {
            places.retain(&keep);
            places.shrink_to_fit();
            !places.is_empty()
        });
        self.count = self.intervals.values().map(Vec::len).sum();
    }

    /// Takes those of another list in.
    pub(crate) fn append(&mut self, other: Self) {
        self.count += other.count;
        for (end, places) in other.intervals {
            self.intervals.entry(end).or_default().extend(places);
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let places: usize = self.intervals.values().map(Vec::capacity).sum();
        (places * size_of::<T>()) as u64
    }
}

impl Deadlines<SlotPlace> {
    /// A slot that was written, and what its deadline was before, 0 for none. Where an earlier look is listed nothing is added:
    /// that look finds the later deadline. So a slot whose deadline is moved on and on is listed once.
    pub(crate) fn replace(&mut self, before_ms: u64, deadline_ms: u64, at: SlotPlace) {
        if before_ms == 0 || before_ms > deadline_ms {
            self.add(deadline_ms, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_taken_once_and_in_order() {
        let mut deadlines = Deadlines::default();
        for at in 0..10_u32 {
            deadlines.add(u64::from(at) * INTERVAL_MS, at);
        }
        assert_eq!(deadlines.take_due(INTERVAL_MS - 1, 100), []);
        assert_eq!(deadlines.take_due(3 * INTERVAL_MS, 2), [0, 1]);
        assert_eq!(deadlines.take_due(3 * INTERVAL_MS, 2), [2]);
        assert_eq!(deadlines.len(), 7);
        assert_eq!(deadlines.take_due(u64::MAX, 100), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((deadlines.len(), deadlines.take_due(u64::MAX, 1)), (0, Vec::new()));
    }

    #[test]
    fn what_is_kept_stays_due_at_its_time() {
        let mut deadlines = Deadlines::default();
        for at in 0..10_u32 {
            deadlines.add(u64::from(at) * INTERVAL_MS, at);
        }
        let mut rest = std::mem::take(&mut deadlines);
        deadlines.add(0, 10);
        rest.retain(|at| at % 2 == 0);
        assert_eq!(rest.len(), 5);
        deadlines.append(rest);
        assert_eq!(deadlines.len(), 6);
        assert_eq!(deadlines.take_due(3 * INTERVAL_MS, 9), [10, 0, 2]);
    }

    #[test]
    fn few_intervals_hold_deadlines_of_any_distance_and_none_is_due_early_or_very_late() {
        let start = 1 << 40;
        let mut deadlines = Deadlines::new(start);
        for at in 0..1_000_000_u64 {
            deadlines.add(start + at * 31_536, at);
        }
        assert!(deadlines.intervals.len() < 8000, "{}", deadlines.intervals.len());
        for (end, places) in &deadlines.intervals {
            for at in places {
                let ahead = at * 31_536;
                let late = end - (start + ahead);
                assert!(late > 0 && late <= (ahead / PART).max(INTERVAL_MS), "{late} of {ahead}");
            }
        }
        deadlines.add(u64::MAX, 0);
    }

    #[test]
    fn a_deadline_that_moves_on_is_listed_once() {
        let mut deadlines = Deadlines::default();
        let at = SlotPlace { table: 1, slot: 2 };
        deadlines.replace(0, 5000, at);
        for later in 1..1000 {
            deadlines.replace(5000 * later, 5000 * (later + 1), at);
        }
        assert_eq!(deadlines.len(), 1);
        deadlines.replace(5_000_000, 1000, at);
        assert_eq!(deadlines.len(), 2);
    }
}
