//! Every target over a few thousand changed inputs, and the seeds unchanged.

use slotcask_fuzz::{CANARIES, Limits, Outcome, TARGETS, fuzz, replay};
use std::collections::HashSet;
use std::time::Duration;

fn limits(executions: u64) -> Limits {
    Limits { executions, time: Duration::MAX, stop_at_failure: false }
}

#[test]
fn seeds_are_accepted() {
    for target in TARGETS.iter().chain(CANARIES) {
        for seed in (target.seeds)() {
            assert_eq!(replay(target, &seed), Ok(Outcome::Accepted), "{}", target.name);
        }
    }
}

#[test]
fn sealing_a_seed_changes_nothing() {
    for target in TARGETS {
        if let Some(reseal) = target.reseal {
            for seed in (target.seeds)() {
                let mut sealed = seed.clone();
                reseal(&mut sealed);
                let at = sealed.iter().zip(&seed).position(|(a, b)| a != b);
                assert!(sealed == seed, "{} at {at:?} of {}", target.name, seed.len());
            }
        }
    }
}

#[test]
fn sealing_takes_any_bytes() {
    for target in TARGETS {
        let Some(reseal) = target.reseal else { continue };
        for seed in (target.seeds)() {
            for len in (0..seed.len().min(600)).chain(seed.len() - 40..seed.len()) {
                reseal(&mut seed[..len].to_vec());
            }
        }
        for fill in [0, 0x7f, 0xff] {
            for len in 0..600 {
                reseal(&mut vec![fill; len]);
            }
        }
    }
}

#[test]
fn targets_hold() {
    for target in TARGETS {
        let report = fuzz(target, 7, limits(5_000));
        assert_eq!(report.executions, 5_000);
        assert!(report.failures.is_empty(), "{}: {:?}", target.name, report.failures[0]);
        // A target that never accepts a changed input tests the checksum and nothing else.
        assert!(report.accepted > 0, "{} accepted nothing", target.name);
        assert!(report.accepted < report.executions || target.name == "reader");
    }
}

#[test]
fn one_seed_gives_one_run() {
    for target in TARGETS {
        let run = |seed| fuzz(target, seed, limits(2_000)).accepted;
        assert_eq!(run(1), run(1), "{}", target.name);
    }
}

#[test]
fn names_are_unique() {
    let mut names = HashSet::new();
    for target in TARGETS.iter().chain(CANARIES) {
        assert!(names.insert(target.name), "{} stands twice", target.name);
    }
}
