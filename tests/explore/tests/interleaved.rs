//! One operation in the middle of another: the chosen pairs, and some more. `slotcask-explore interleave` and `pairs` try many.

use slotcask_explore::{interleave, pairs};

#[test]
fn an_operation_in_the_middle_of_another_loses_nothing() {
    let tally = interleave::run(0, 1, 250, None);
    assert_eq!(tally.violation, None);
    assert!(tally.judged > 1000, "{}", tally.judged);
    assert!(tally.waited < tally.places, "nothing was ever done in the middle");
}

#[test]
fn two_clients_at_once_are_told_the_truth() {
    let tally = pairs::run(3, 16, 9);
    assert_eq!(tally.violation, None);
    assert!(tally.places > 50, "{}", tally.places);
}
