//! Scripts: strings of operations, each known by a number.

use crate::op::{ALL, CASK_ALL, CASK_OPS, OPS, Op};
use crate::random::Random;

/// A string of operations with the seed of its choices.
#[derive(Debug, Clone)]
pub struct Script {
    /// Seed.
    pub seed: u64,
    /// Operations.
    pub ops: Vec<Op>,
    /// Whether there is a cask table.
    pub cask: bool,
}

/// Scripts that are all strings up to length 3.
pub const EXHAUSTIVE: u64 = 1 + 11 + 121 + 1331;

/// Strings that lead to places where the others come late: what follows a recovery that wrote records again, and what vanishes from a
/// data file while an older one knows its key.
pub const DIRECTED: [&[Op]; 21] = {
    use Op::{
        CaskClear, CaskDelete, CaskDrop, CaskExpire, CaskFill, CaskFlood, CaskOverwrite, CaskPut,
        CaskRangeDelete, Checkpoint, Grow, Kill, Merge, Poll, Put, RangeDelete, Rotate, Seal, Sync,
    };
    [
        &[Seal, CaskOverwrite, Merge],
        &[CaskPut, Sync, Kill, Seal, Seal, Kill],
        &[CaskOverwrite, Sync, Kill, Rotate, CaskPut, Checkpoint, Checkpoint, Merge],
        &[Seal, CaskExpire, Seal, Seal],
        &[Seal, CaskOverwrite, CaskExpire, Rotate, Put, Checkpoint, Checkpoint, Merge, Kill],
        &[Seal, CaskClear, CaskPut, Sync, Kill, Seal, Merge],
        &[CaskPut, Seal, Kill, CaskOverwrite, Seal, Kill, Merge],
        &[CaskPut, Seal, CaskRangeDelete, CaskOverwrite, Kill, Seal, Merge, Kill],
        &[CaskFill, Seal, CaskOverwrite, Seal, CaskRangeDelete, Seal, CaskPut, Merge, Kill],
        &[Grow, Checkpoint, RangeDelete, Put, Checkpoint, Kill, RangeDelete, Sync, Kill],
        // A segment that stays and one whose delete it needs leave the log together.
        &[CaskDrop, CaskFill, Rotate, CaskDelete, Put, Rotate, Checkpoint, Checkpoint, Poll, Kill],
        &[CaskFill, Rotate, CaskRangeDelete, Put, Rotate, Checkpoint, Checkpoint, Poll, Kill],
        // Of three values in a row one vanishes at once, one later, one not.
        &[CaskExpire, CaskOverwrite, CaskExpire, CaskOverwrite, CaskExpire, CaskOverwrite, Poll],
        &[CaskExpire, Seal, CaskExpire, Seal, CaskExpire, Seal, Poll, Merge, Kill],
        // The last value has lost its deadline here, and was given one there.
        &[CaskExpire, CaskExpire, CaskExpire, Sync, Kill],
        &[CaskExpire, Sync, Kill],
        // A checkpoint is due in the middle of the merge, and takes deletes out of the log that files of the merge need.
        &[CaskPut, Seal, CaskOverwrite, Seal, CaskFlood, Merge, Kill],
        &[CaskPut, Seal, CaskPut, CaskOverwrite, Seal, CaskDelete, CaskFlood, Merge, Kill],
        &[CaskPut, Seal, CaskOverwrite, Seal, CaskRangeDelete, CaskFlood, Merge, Kill],
        &[Grow, CaskPut, Seal, CaskExpire, Seal, Put, CaskFlood, Merge, Seal, Merge],
        // A segment becomes a data file of which the opening wrote a part.
        &[Seal, CaskFill, Sync, Kill, CaskPut, CaskPut, CaskPut, CaskPut, CaskPut, Seal, Kill],
    ]
};

/// The same without a cask table.
pub const DIRECTED_FIXED: [&[Op]; 8] = {
    use Op::{
        Batch, Checkpoint, Clear, Delete, Drop, Expire, Grow, Kill, Put, Reopen, Rotate, Sync,
    };
    [
        &[Checkpoint, Rotate, Delete],
        &[Batch, Batch],
        &[Drop, Put],
        &[Reopen, Reopen, Put],
        &[Put, Checkpoint],
        // Of three values in a row one vanishes at once, one later, one not.
        &[Expire, Expire, Expire, Sync, Kill],
        &[Expire, Expire, Expire, Expire, Sync, Kill],
        &[Grow, Checkpoint, Clear, Put, Checkpoint, Kill],
    ]
};

/// The directed strings as scripts, with a cask table or without.
pub fn directed(cask: bool) -> impl Iterator<Item = Script> {
    let strings: &[&[Op]] = if cask { &DIRECTED } else { &DIRECTED_FIXED };
    let seed = if cask { 1 << 40 } else { 1 << 39 };
    (seed..).zip(strings).map(move |(seed, ops)| Script { seed, ops: ops.to_vec(), cask })
}

/// The scripts: all strings up to length 3, then random ones without end. A script is known by its number.
#[must_use]
pub fn script(number: u64, cask: bool) -> Script {
    if let Some(script) = directed(cask).find(|script| script.seed == number) {
        return script;
    }
    let strings: &[Op] = if cask { &CASK_OPS } else { &OPS };
    let all: &[Op] = if cask { &CASK_ALL } else { &ALL };
    let base = strings.len() as u64;
    let mut rest = number;
    for len in 0..=3_u32 {
        let count = base.pow(len);
        if rest < count {
            let mut ops = Vec::new();
            for _ in 0..len {
                ops.push(strings[(rest % base) as usize]);
                rest /= base;
            }
            return Script { seed: number, ops, cask };
        }
        rest -= count;
    }
    let mut random = Random(number);
    let len = 4 + random.below(if cask { 24 } else { 14 });
    let ops = (0..len).map(|_| all[random.below(all.len() as u64) as usize]).collect();
    Script { seed: number, ops, cask }
}
