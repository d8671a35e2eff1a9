//! A cut taken while a script is played is what is left when the script is played again and the power goes there.

use slotcask_explore::cuts::{Cut, cuts_of, play, replay};
use slotcask_explore::model::{Model, State};
use slotcask_explore::script::{EXHAUSTIVE, script};
use slotcask_explore::verdict::open;
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, Profile};

/// Everything that an exploration sees of a disk.
fn facts(disk: &SimDisk) -> (u64, u64, Vec<u64>, String) {
    let mut plans = vec![CrashPlan::keep_none(), CrashPlan::keep_all()];
    plans.extend((0..4).map(CrashPlan::random));
    let images = plans.iter_mut().map(|plan| disk.crash(plan).image_hash()).collect();
    (disk.io_count(), disk.trace_hash(), images, format!("{:?}", disk.pending_summary()))
}

/// The durable state is the same. A call that the power loss interrupts returns an error in a replay, and then what it was
/// about was refused, or later calls are attempted in vain: accepted states differ at the end, and nowhere else. `next` is what was
/// durable after that call.
fn assert_same(cut: &Cut, replayed: &Cut, next: usize, what: &str) {
    assert_eq!(facts(&cut.disk), facts(&replayed.disk), "{what}");
    let ((durable, accepted), (expected, attempted)) =
        (cut.model.position(), replayed.model.position());
    // A drop and a checkpoint are acknowledged although the power fails where files are removed.
    assert!([durable, next].contains(&expected), "{what}: {durable} or {next}, {expected}");
    assert!(attempted + 1 >= accepted, "{what}: {accepted} accepted, {attempted} in the replay");
}

#[test]
fn every_cut_of_a_script_is_a_replay_that_stops_there() {
    for (number, cask, profile, protected) in [
        (0, false, Profile::Sector512, false),
        (EXHAUSTIVE - 1, false, Profile::Sector512, false),
        (EXHAUSTIVE + 3, false, Profile::Block4k, true),
        (EXHAUSTIVE + 5, true, Profile::Sector512, false),
    ] {
        let script = script(number, cask);
        let played = play(&script, profile, protected);
        assert!(played.cuts.len() > 20);
        for (stop, cut) in played.cuts.iter().enumerate() {
            let replayed = replay(&script, stop as u64, profile, protected);
            let durable = |cut: &Cut| cut.model.position().0;
            let mut later = played.cuts[stop..].iter().map(durable);
            let next = later.find(|next| *next > durable(cut)).unwrap_or(durable(cut));
            assert_same(cut, &replayed, next, &format!("script {number}, stop {stop}"));
        }
    }
}

#[test]
fn every_cut_of_a_recovery_is_an_opening_that_stops_there() {
    let script = script(EXHAUSTIVE + 1, false);
    let played = play(&script, Profile::Sector512, false);
    let cut = &played.cuts[played.cuts.len() / 2];
    let image = cut.disk.crash(&mut CrashPlan::keep_all());
    let model = Model::new(State::default());
    let disk = image.fork();
    let (cuts, opened) = cuts_of(&disk, &model, || open(&disk, false));
    assert!(opened.is_ok());
    assert!(cuts.len() > 5);
    for (stop, cut) in (0..).zip(&cuts) {
        let stopped = image.fork();
        stopped.stop_after(stop);
        assert!(open(&stopped, false).is_err());
        assert_eq!(facts(&cut.disk), facts(&stopped), "stop {stop} of the recovery");
    }
}
