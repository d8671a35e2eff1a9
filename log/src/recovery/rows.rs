//! The recovery table: what is true of the end of a log, and what is done then. The first row that matches decides.

/// What the scan found out about the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// A valid header, of a flush or of a segment, names a manifest record that the manifest does not have.
    pub manifest_short: bool,
    /// The log ends before its watermark.
    pub below_watermark: bool,
    /// A valid flush of the same generation stands beyond the end.
    pub flush_beyond: bool,
    /// A later segment holds flushes that do not continue the chain.
    pub segment_beyond: bool,
    /// The manifest says that the log was closed cleanly.
    pub clean: bool,
    /// The log ends where the manifest says that it was closed.
    pub clean_end_matches: bool,
    /// Traces of a flush that did not become whole stand at the end.
    pub torn: bool,
    /// Records were accepted above the watermark.
    pub above_watermark: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The log is refused: corruption.
    Refuse,
    /// The log is taken as it is.
    Accept,
    /// The log is taken; what lies beyond its end is dropped and counted.
    Truncate,
}

/// One row: a pattern over [`Facts`] (`None` matches both) and a decision.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Name, as reports show it.
    pub name: &'static str,
    /// `manifest_short, below_watermark, flush_beyond, segment_beyond, clean, clean_end_matches, torn, above_watermark`.
    pub pattern: [Option<bool>; 8],
    /// What is done.
    pub decision: Decision,
    /// True when a power failure or a kill alone can lead here.
    pub legal: bool,
    /// Why.
    pub why: &'static str,
}

const Y: Option<bool> = Some(true);
const N: Option<bool> = Some(false);
const X: Option<bool> = None;

/// The table. Every combination of facts matches a row.
pub const ROWS: &[Row] = &[
    Row {
        name: "manifest-short",
        pattern: [Y, X, X, X, X, X, X, X],
        decision: Decision::Refuse,
        legal: false,
        why: "a flush or a segment's header carries the number of a manifest record only after that record was synced, so the manifest lost it",
    },
    Row {
        name: "below-watermark",
        pattern: [N, Y, X, X, X, X, X, X],
        decision: Decision::Refuse,
        legal: false,
        why: "a watermark names what was synced before it was written, so records that were acknowledged are gone",
    },
    Row {
        name: "flush-beyond",
        pattern: [N, N, Y, X, X, X, X, X],
        decision: Decision::Refuse,
        legal: false,
        why: "one flush is in flight at a time, so a valid one further on proves that the damaged one was synced",
    },
    Row {
        name: "segment-beyond",
        pattern: [N, N, N, Y, X, X, X, X],
        decision: Decision::Refuse,
        legal: false,
        why: "a segment's first flush is written after the last flush of the segment before was synced",
    },
    Row {
        name: "clean-end-lost",
        pattern: [N, N, N, N, Y, N, X, X],
        decision: Decision::Refuse,
        legal: false,
        why: "the manifest named the end of the log after the last flush was synced, and the log ends elsewhere",
    },
    Row {
        name: "clean",
        pattern: [N, N, N, N, Y, Y, X, X],
        decision: Decision::Accept,
        legal: true,
        why: "the store was closed",
    },
    Row {
        name: "torn-tail",
        pattern: [N, N, N, N, N, X, Y, N],
        decision: Decision::Truncate,
        legal: true,
        why: "the flush in flight did not become whole; it was not acknowledged",
    },
    Row {
        name: "torn-tail-behind-unproven",
        pattern: [N, N, N, N, N, X, Y, Y],
        decision: Decision::Truncate,
        legal: true,
        why: "as torn-tail, and the flush before it was whole but not yet proven: it is written again",
    },
    Row {
        name: "unproven-tail",
        pattern: [N, N, N, N, N, X, N, Y],
        decision: Decision::Accept,
        legal: true,
        why: "the last flush is whole, but nothing proves that it was synced: it is written again before the shard serves",
    },
    Row {
        name: "proven-tail",
        pattern: [N, N, N, N, N, X, N, N],
        decision: Decision::Accept,
        legal: true,
        why: "everything that is there is known to be durable",
    },
];

impl Facts {
    /// The row that decides.
    ///
    /// # Panics
    /// Never: the table covers every combination, as a test shows.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        let facts = [
            self.manifest_short,
            self.below_watermark,
            self.flush_beyond,
            self.segment_beyond,
            self.clean,
            self.clean_end_matches,
            self.torn,
            self.above_watermark,
        ];
        ROWS.iter()
            .find(|row| {
                row.pattern.iter().zip(facts).all(|(want, is)| want.is_none_or(|want| want == is))
            })
            .expect("the table covers every combination")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_matches_a_row() {
        let mut used = std::collections::BTreeSet::new();
        for bits in 0..256_u32 {
            let bit = |at: u32| bits & (1 << at) != 0;
            let facts = Facts {
                manifest_short: bit(0),
                below_watermark: bit(1),
                flush_beyond: bit(2),
                segment_beyond: bit(3),
                clean: bit(4),
                clean_end_matches: bit(5),
                torn: bit(6),
                above_watermark: bit(7),
            };
            let row = facts.row();
            used.insert(row.name);
            let damaged = bit(0) || bit(1) || bit(2) || bit(3);
            assert!(
                !damaged || row.decision == Decision::Refuse,
                "{facts:?} is accepted by {}",
                row.name
            );
            assert!(damaged || !row.legal || row.decision != Decision::Refuse);
        }
        assert_eq!(used.len(), ROWS.len(), "a row can never match");
    }
}
