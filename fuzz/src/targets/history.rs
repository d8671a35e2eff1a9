//! The history file.

use crate::place::{SHARD_COUNT, STORE, kind_seed, seal};
use crate::target::Outcome;
use slotcask_format::history::{HISTORY_MAGIC, History};

/// What is accepted comes back from what it is written as, and its filter is monotonic in the sequence.
pub fn target(data: &[u8]) -> Outcome {
    let Ok(history) = History::decode_file(data, STORE, SHARD_COUNT) else {
        return Outcome::Rejected;
    };
    let epoch_size = 29 + 8 * usize::from(SHARD_COUNT);
    assert!(history.epochs.len() * epoch_size <= data.len());
    assert!(history.epochs.is_sorted_by_key(|epoch| epoch.number));
    for epoch in &history.epochs {
        for shard in 0..SHARD_COUNT {
            let cut = epoch.cuts[usize::from(shard)];
            assert!(
                epoch.number == 1
                    || !history.holds(shard, epoch.number - 1, cut.saturating_add(1))
                    || cut == u64::MAX
            );
            if history.holds(shard, epoch.number, cut) {
                assert!(history.holds(shard, epoch.number, cut / 2));
            }
        }
    }
    let again = history.encode_file(STORE, SHARD_COUNT);
    if again.len() == data.len() {
        assert!(again == data, "a history changed when it was written again");
    }
    assert_eq!(History::decode_file(&again, STORE, SHARD_COUNT).as_ref(), Ok(&history));
    Outcome::Accepted
}

/// Repairs the checksum.
pub fn reseal(data: &mut [u8]) {
    seal(kind_seed(HISTORY_MAGIC), data);
}
