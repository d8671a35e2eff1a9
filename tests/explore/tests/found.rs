//! Cuts at which the explorer once found a violation.

use slotcask_explore::crash::{Budget, reproduce};
use slotcask_io::sim::Profile;
use std::time::Duration;

#[test]
fn flushes_without_records_in_a_row_are_void_together() {
    // A restart without records, then a torn flush without records behind it in the next segment; the next opening continues neither, and
    // is cut short itself.
    let budget = Budget {
        states: 1,
        time: Duration::from_secs(600),
        seed: 1,
        profile: Profile::Sector512,
        protected: false,
        part: (0, 1),
        cask: true,
    };
    let tally = reproduce(1_050_058, Some(196), &budget);
    assert_eq!(tally.violations, Vec::<String>::new());
    assert!(tally.second > 100, "{}", tally.second);
}
