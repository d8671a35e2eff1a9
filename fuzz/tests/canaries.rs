//! The fuzzer finds what was planted, and what it reports can be reproduced.

use slotcask_fuzz::{CANARIES, Limits, fuzz, replay};
use std::time::Duration;

#[test]
fn every_canary_is_found_and_reproduced() {
    for canary in CANARIES {
        let limits = Limits { executions: 2_000_000, time: Duration::MAX, stop_at_failure: true };
        let report = fuzz(canary, 3, limits);
        let failure = report.failures.first();
        let failure = failure.unwrap_or_else(|| panic!("{} was not found", canary.name));
        assert!(failure.message.contains("canary"), "{}: {}", canary.name, failure.message);
        assert_eq!(replay(canary, &failure.input), Err(failure.message.clone()));
        assert_eq!(report.crashes, 1);
    }
}

#[test]
fn canaries_hide_from_seeds_that_are_cut() {
    // A planted panic that any damage reaches would prove nothing about sealing.
    for canary in CANARIES {
        for seed in (canary.seeds)() {
            for at in (0..seed.len().min(64)).filter(|_| canary.reseal.is_some()) {
                let mut seed = seed.clone();
                seed[at] ^= 0x20;
                assert!(replay(canary, &seed).is_ok(), "{} at {at}", canary.name);
            }
        }
    }
}
