//! What each state of the disk means. The tables below are the rules; loading, redo and settling ask them, and a test goes
//! through each row.
//!
//! A crash during checkpoint N + 1 leaves the pages that it wrote old, new, or mixed by sectors, while the manifest still
//! names checkpoint N. All that differs between N and N + 1 was changed by records that the log holds (they are at or above
//! the redo start of N, and no page is written before its log). So a damaged slot or a page that the map does not know is
//! innocent exactly when the redo range explains it, and corruption otherwise.
//!
//! What this cannot see: a write of checkpoint N that was lost, on a page on which the redo range changed another slot. The
//! map shows that the page is not N's image; the redo record is a good reason for that.
//!
//! Other cases, decided where they are met:
//!
//! | case | decision |
//! | --- | --- |
//! | one of the two headers of a file is damaged | go on, counted |
//! | both headers are damaged, or the file is missing or too short | corrupt |
//! | a header names another store, shard, table or layout | foreign, refused |
//! | anything was written by a newer version | newer, refused |
//! | a map block has a copy newer than the checkpoint | it was cut short by a crash: the other copy counts, the next checkpoint writes over it |
//! | a map block has no valid copy, or the root does not match | corrupt |
//! | a record names a slot or a length that the table cannot have | corrupt |
//! | the same key in two live slots | corrupt |

/// What is known about one slot when redo is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotCase {
    /// Its bytes on the disk matched its checksum.
    pub good: bool,
    /// A record of the redo range wrote it.
    pub redone: bool,
    /// The table was cleared: at or after its sequence, or, for a damaged slot, by a record of the redo range.
    pub cleared: bool,
    /// Its sequence is at most the last one of the log.
    pub in_log: bool,
    /// Its epoch is one of the history, or older.
    pub in_epochs: bool,
    /// Its epoch and sequence are part of the history.
    pub in_history: bool,
}

impl SlotCase {
    /// A good slot that a checkpoint wrote and nothing has voided.
    pub(crate) const CHECKPOINTED: Self = Self {
        good: true,
        redone: false,
        cleared: false,
        in_log: true,
        in_epochs: true,
        in_history: true,
    };
}

/// What becomes of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotDecision {
    /// It counts.
    Keep,
    /// It holds nothing.
    Free,
    /// Damage that no crash explains.
    Bad,
    /// A slot from a future that the log never had.
    BeyondLog,
    /// A slot of an epoch that the history never had: the history is an older one.
    BeyondHistory,
}

/// One row: predicates (`None`: either) and the decision. The first row that fits counts.
#[derive(Debug, Clone, Copy)]
pub struct SlotRule {
    /// Name of the case.
    pub name: &'static str,
    /// [`SlotCase::good`].
    pub good: Option<bool>,
    /// [`SlotCase::redone`].
    pub redone: Option<bool>,
    /// [`SlotCase::cleared`].
    pub cleared: Option<bool>,
    /// [`SlotCase::in_log`].
    pub in_log: Option<bool>,
    /// [`SlotCase::in_epochs`].
    pub in_epochs: Option<bool>,
    /// [`SlotCase::in_history`].
    pub in_history: Option<bool>,
    /// What becomes of the slot.
    pub decision: SlotDecision,
}

const fn slot_rule(
    name: &'static str,
    cells: [Option<bool>; 6],
    decision: SlotDecision,
) -> SlotRule {
    let [good, redone, cleared, in_log, in_epochs, in_history] = cells;
    SlotRule { name, good, redone, cleared, in_log, in_epochs, in_history, decision }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);
const ANY: Option<bool> = None;

/// Rules for slots. Cells: good, redone, cleared, in log, in epochs, in history.
pub const SLOT_RULES: &[SlotRule] = &[
    slot_rule("written by redo", [ANY, YES, ANY, ANY, ANY, ANY], SlotDecision::Keep),
    slot_rule("torn, then cleared", [NO, NO, YES, ANY, ANY, ANY], SlotDecision::Free),
    slot_rule("damaged", [NO, NO, NO, ANY, ANY, ANY], SlotDecision::Bad),
    slot_rule("older than the clear", [YES, NO, YES, ANY, ANY, ANY], SlotDecision::Free),
    slot_rule("beyond the log", [YES, NO, NO, NO, ANY, ANY], SlotDecision::BeyondLog),
    slot_rule("beyond history", [YES, NO, NO, YES, NO, ANY], SlotDecision::BeyondHistory),
    slot_rule("cut from history", [YES, NO, NO, YES, YES, NO], SlotDecision::Free),
    slot_rule("checkpointed", [YES, NO, NO, YES, YES, YES], SlotDecision::Keep),
];

/// What becomes of a slot.
///
/// # Panics
/// Never: the rules cover all cases, which a test shows.
#[must_use]
pub fn decide_slot(case: SlotCase) -> SlotDecision {
    let fits = |cell: Option<bool>, is: bool| cell.is_none_or(|want| want == is);
    SLOT_RULES
        .iter()
        .find(|rule| {
            fits(rule.good, case.good)
                && fits(rule.redone, case.redone)
                && fits(rule.cleared, case.cleared)
                && fits(rule.in_log, case.in_log)
                && fits(rule.in_epochs, case.in_epochs)
                && fits(rule.in_history, case.in_history)
        })
        .expect("the rules cover all cases")
        .decision
}

/// What becomes of a page that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageDecision {
    /// It is what the checkpoint wrote.
    Keep,
    /// It is not, and redo explains why: the next checkpoint writes it again.
    Rewrite,
    /// A write was lost, or went to a wrong place, or the page rotted.
    Bad,
}

/// One row for pages: (name, matches the map, touched by a record, cleared, decision).
pub type PageRule = (&'static str, Option<bool>, Option<bool>, Option<bool>, PageDecision);

/// Rules for pages. The first row that fits counts.
pub const PAGE_RULES: &[PageRule] = &[
    ("touched by redo", ANY, YES, ANY, PageDecision::Rewrite),
    ("as the checkpoint wrote it", YES, NO, ANY, PageDecision::Keep),
    ("of a life before the clear", NO, NO, YES, PageDecision::Rewrite),
    ("not as the checkpoint wrote it", NO, NO, NO, PageDecision::Bad),
];

/// What becomes of a page.
///
/// # Panics
/// Never: the rules cover all cases, which a test shows.
#[must_use]
pub fn decide_page(matches_map: bool, touched: bool, cleared: bool) -> PageDecision {
    let fits = |cell: Option<bool>, is: bool| cell.is_none_or(|want| want == is);
    PAGE_RULES
        .iter()
        .find(|rule| fits(rule.1, matches_map) && fits(rule.2, touched) && fits(rule.3, cleared))
        .expect("the rules cover all cases")
        .4
}

/// What redo does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedoDecision {
    /// Write it to its slot.
    Write,
    /// The slot has it, or what came after it.
    Leave,
}

/// What redo does with a record for a slot. A damaged slot counts as one that never was written; either way the page
/// is written again by the next checkpoint.
#[must_use]
#[inline]
pub fn decide_redo(slot_good: bool, slot_sequence: u64, record_sequence: u64) -> RedoDecision {
    match (slot_good, slot_sequence < record_sequence) {
        (false, _) | (true, true) => RedoDecision::Write,
        (true, false) => RedoDecision::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(bits: u32) -> SlotCase {
        SlotCase {
            good: bits & 1 != 0,
            redone: bits & 2 != 0,
            cleared: bits & 4 != 0,
            in_log: bits & 8 != 0,
            in_epochs: bits & 16 != 0,
            in_history: bits & 32 != 0,
        }
    }

    #[test]
    fn every_slot_case_fits_exactly_one_rule() {
        let mut used = vec![false; SLOT_RULES.len()];
        for bits in 0..64 {
            let case = case(bits);
            let is = [
                case.good,
                case.redone,
                case.cleared,
                case.in_log,
                case.in_epochs,
                case.in_history,
            ];
            let fitting: Vec<usize> = (0..SLOT_RULES.len())
                .filter(|at| {
                    let rule = &SLOT_RULES[*at];
                    let cells = [
                        rule.good,
                        rule.redone,
                        rule.cleared,
                        rule.in_log,
                        rule.in_epochs,
                        rule.in_history,
                    ];
                    cells.iter().zip(is).all(|(cell, is)| cell.is_none_or(|want| want == is))
                })
                .collect();
            assert_eq!(fitting.len(), 1, "{case:?} fits {fitting:?}");
            used[fitting[0]] = true;
            assert_eq!(decide_slot(case), SLOT_RULES[fitting[0]].decision);
        }
        assert!(used.iter().all(|used| *used), "a rule that nothing fits: {used:?}");
    }

    #[test]
    fn slots_are_lost_in_two_cases_alone() {
        let torn = SlotCase { good: false, ..SlotCase::CHECKPOINTED };
        assert_eq!(decide_slot(torn), SlotDecision::Bad);
        assert_eq!(decide_slot(SlotCase { redone: true, ..torn }), SlotDecision::Keep);
        assert_eq!(decide_slot(SlotCase { cleared: true, ..torn }), SlotDecision::Free);
        let good = SlotCase { good: true, ..torn };
        assert_eq!(decide_slot(good), SlotDecision::Keep);
        assert_eq!(decide_slot(SlotCase { in_log: false, ..good }), SlotDecision::BeyondLog);
        let outside = SlotCase { in_log: false, in_history: false, ..good };
        assert_eq!(decide_slot(outside), SlotDecision::BeyondLog);
        assert_eq!(decide_slot(SlotCase { in_history: false, ..good }), SlotDecision::Free);
        let unknown = SlotCase { in_epochs: false, in_history: false, ..good };
        assert_eq!(decide_slot(unknown), SlotDecision::BeyondHistory);
    }

    #[test]
    fn every_page_case_fits_exactly_one_rule() {
        for bits in 0..8 {
            let is = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
            let fitting: Vec<&PageRule> = PAGE_RULES
                .iter()
                .filter(|rule| {
                    let cells = [rule.1, rule.2, rule.3];
                    cells.iter().zip(is).all(|(cell, is)| cell.is_none_or(|want| want == is))
                })
                .collect();
            assert_eq!(fitting.len(), 1, "{is:?}");
            assert_eq!(decide_page(is[0], is[1], is[2]), fitting[0].4);
        }
        assert_eq!(decide_page(false, false, false), PageDecision::Bad);
        assert_eq!(decide_page(false, true, false), PageDecision::Rewrite);
        assert_eq!(decide_page(true, false, false), PageDecision::Keep);
    }

    #[test]
    fn redo_never_goes_back() {
        assert_eq!(decide_redo(true, 7, 8), RedoDecision::Write);
        assert_eq!(decide_redo(true, 8, 8), RedoDecision::Leave);
        assert_eq!(decide_redo(true, 9, 8), RedoDecision::Leave);
        assert_eq!(decide_redo(false, 9, 8), RedoDecision::Write);
    }
}
