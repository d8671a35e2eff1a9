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
    // It was 191; a call of the disk more or less moves it.
    let mut second = 0;
    for stop in 184..=204 {
        let tally = reproduce(1_050_058, Some(stop), &budget);
        assert_eq!(tally.violations, Vec::<String>::new());
        second += tally.second;
    }
    assert!(second > 500, "{second}");
}
