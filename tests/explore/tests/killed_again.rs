//! A process dies at the last calls of a life, the next one in its recovery; the third one goes on. `slotcask-explore killed` dies at
//! more calls.

use slotcask_explore::killed::run;

#[test]
fn whoever_comes_after_two_dead_processes_goes_on() {
    for cask in [false, true] {
        let tally = run(cask, 3);
        assert!(tally.killed > 50, "{}", tally.killed);
        assert_eq!(tally.violation, None);
    }
}
