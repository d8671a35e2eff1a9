//! `bench` measures and leaves nothing behind.

use crate::common::{Place, slotcask};

#[test]
fn a_tiny_run_reports_every_phase_and_cleans_up() {
    let place = Place::new();
    let dir = place.path("bench");
    let size = ["--seconds", "0.02", "--keys", "200", "--shards", "1", "--log-size", "16M"];
    let run = slotcask(&[&["--json", "bench", &dir][..], &size[..]].concat()).exits(0);
    let report = run.json();
    let phases = report["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 7);
    for phase in phases {
        assert!(phase["operations"].as_u64().unwrap() > 0, "{phase}");
        assert!(
            ["durable", "buffered", "in memory"].contains(&phase["durability"].as_str().unwrap())
        );
    }
    assert_eq!(phases[5]["threads"], 64);
    assert!(phases[6]["latency_ns"]["p99"].as_u64().unwrap() > 0);
    assert!(!std::path::Path::new(&dir).exists());
}

#[test]
fn a_store_is_not_measured_over() {
    let place = Place::with_table(4, 4);
    slotcask(&["bench", &place.db()]).fails(2).says("is a store");
}
