//! One operation in the middle of another: the chosen pairs, and some more. `slotcask-explore interleave` tries many.

use slotcask_explore::interleave::run;

#[test]
fn an_operation_in_the_middle_of_another_loses_nothing() {
    let tally = run(0, 1, 250, None);
    assert_eq!(tally.violation, None);
    assert!(tally.judged > 1000, "{}", tally.judged);
    assert!(tally.waited < tally.places, "nothing was ever done in the middle");
}
