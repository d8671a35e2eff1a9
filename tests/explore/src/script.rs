//! Scripts: strings of operations, each known by a number.

use crate::life::{ALL, CASK_ALL, CASK_OPS, OPS, Op};
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
pub const DIRECTED: [&[Op]; 9] = {
    use Op::{
        CaskClear, CaskExpire, CaskFill, CaskOverwrite, CaskPut, CaskRangeDelete, Checkpoint, Grow,
        Kill, Merge, Put, RangeDelete, Rotate, Seal, Sync,
    };
    [
        &[CaskPut, Sync, Kill, Seal, Seal, Kill],
        &[CaskOverwrite, Sync, Kill, Rotate, CaskPut, Checkpoint, Checkpoint, Merge],
        &[Seal, CaskExpire, Seal, Seal],
        &[Seal, CaskOverwrite, CaskExpire, Rotate, Put, Checkpoint, Checkpoint, Merge, Kill],
        &[Seal, CaskClear, CaskPut, Sync, Kill, Seal, Merge],
        &[CaskPut, Seal, Kill, CaskOverwrite, Seal, Kill, Merge],
        &[CaskPut, Seal, CaskRangeDelete, CaskOverwrite, Kill, Seal, Merge, Kill],
        &[CaskFill, Seal, CaskOverwrite, Seal, CaskRangeDelete, Seal, CaskPut, Merge, Kill],
        &[Grow, Checkpoint, RangeDelete, Put, Checkpoint, Kill, RangeDelete, Sync, Kill],
    ]
};

/// The directed strings as scripts.
pub fn directed() -> impl Iterator<Item = Script> {
    let seed = 1 << 40;
    (seed..).zip(DIRECTED).map(|(seed, ops)| Script { seed, ops: ops.to_vec(), cask: true })
}

/// The scripts: all strings up to length 3, then random ones without end. A script is known by its number.
#[must_use]
pub fn script(number: u64, cask: bool) -> Script {
    if let Some(script) = directed().find(|script| script.seed == number) {
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
