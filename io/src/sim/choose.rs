//! What a power loss leaves behind: the choices, and plans that make them.

use super::rng::{Rng, mix};

/// A write that was not durable when the power failed.
#[derive(Debug, Clone, Copy)]
pub struct PendingWrite<'a> {
    /// Its place among all pending writes of the disk, by time.
    pub index: usize,
    /// Its file.
    pub path: &'a str,
    /// Where, bytes.
    pub offset: u64,
    /// How many units it has.
    pub units: usize,
    /// True when a unit may be left as garbage ([`super::Profile::Block4k`]).
    pub garbage_allowed: bool,
}

/// What becomes of a pending write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFate {
    /// All of it is on the medium.
    Keep,
    /// None of it is.
    Drop,
    /// [`CrashChooser::unit`] is asked for each unit.
    EachUnit,
}

/// What becomes of one unit of a pending write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitFate {
    /// It is on the medium.
    New,
    /// It is not; what earlier writes left shows.
    Old,
    /// Garbage that depends on the number. Only where [`PendingWrite::garbage_allowed`].
    Garbage(u64),
}

/// A change of a name that was not durable.
#[derive(Debug, Clone, Copy)]
pub struct PendingName<'a> {
    /// Its place among all pending changes, by time.
    pub index: usize,
    /// The path that it makes or removes.
    pub path: &'a str,
}

/// A file whose size had changed since its last sync.
#[derive(Debug, Clone, Copy)]
pub struct PendingSize<'a> {
    /// The file.
    pub path: &'a str,
    /// The size that is certain, bytes.
    pub durable: u64,
    /// The size that it had, bytes; never below `durable`.
    pub current: u64,
    /// The size that all kept writes need, bytes.
    pub kept_end: u64,
}

/// The size that a file comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeFate {
    /// Bytes, from `durable` to `current`. What was kept beyond it is cut off.
    pub len: u64,
    /// Grown space without a kept write is garbage of this number; zeros when `None`.
    pub garbage: Option<u64>,
}

/// Makes the choices of one power loss. Names are asked for first, then file by file the writes in order of time and then
/// the size.
pub trait CrashChooser {
    /// Whether a change of a name is on the medium. Changes that depend on one that is not have no effect.
    fn name(&mut self, name: &PendingName<'_>) -> bool;
    /// What becomes of a write.
    fn write(&mut self, write: &PendingWrite<'_>) -> WriteFate;
    /// What becomes of unit `unit` of a write; asked after [`WriteFate::EachUnit`] only.
    fn unit(&mut self, write: &PendingWrite<'_>, unit: usize) -> UnitFate;
    /// What size a file has.
    fn size(&mut self, size: &PendingSize<'_>) -> SizeFate;
}

/// What becomes of the writes besides the one that a plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// All are lost.
    None,
    /// Earlier ones are kept, later ones lost: a disk that writes in order.
    Before,
    /// All are kept.
    All,
}

/// Which pending writes are kept. Indexes are those of [`PendingWrite::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePlan {
    /// None.
    None,
    /// All.
    All,
    /// One.
    Only(usize),
    /// All but one.
    Except(usize),
    /// The first `units` units of one write, or when `suffix` all but those.
    Tear {
        /// Which write.
        index: usize,
        /// Units before the tear.
        units: usize,
        /// Keep what lies behind the tear instead.
        suffix: bool,
        /// The other writes.
        others: Others,
    },
    /// One write is kept but for one unit of garbage.
    Garbage {
        /// Which write.
        index: usize,
        /// Which of its units.
        unit: usize,
        /// The other writes.
        others: Others,
    },
    /// By chance, unit by unit.
    Random,
}

/// Which pending changes of names are kept. Indexes are those of [`PendingName::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamePlan {
    /// None.
    None,
    /// All.
    All,
    /// One.
    Only(usize),
    /// All but one.
    Except(usize),
    /// The first so many.
    Prefix(usize),
    /// By chance.
    Random,
}

/// Which size files come back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizePlan {
    /// As last synced.
    Durable,
    /// As at the moment of the power loss.
    Current,
    /// As large as the kept writes need.
    Fitting,
    /// By chance, and garbage or zeros in the rest.
    Random,
}

/// The usual choosers, one part for writes, one for names, one for sizes.
#[derive(Debug, Clone)]
pub struct CrashPlan {
    /// Writes.
    pub writes: WritePlan,
    /// Names.
    pub names: NamePlan,
    /// Sizes.
    pub sizes: SizePlan,
    rng: Rng,
}

impl CrashPlan {
    /// A plan of its parts; `seed` feeds chance and garbage.
    #[must_use]
    pub const fn new(writes: WritePlan, names: NamePlan, sizes: SizePlan, seed: u64) -> Self {
        Self { writes, names, sizes, rng: Rng::new(mix(seed)) }
    }

    /// Only what is certain is there.
    #[must_use]
    pub const fn keep_none() -> Self {
        Self::new(WritePlan::None, NamePlan::None, SizePlan::Durable, 0)
    }

    /// Everything is there, as after the death of the process alone.
    #[must_use]
    pub const fn keep_all() -> Self {
        Self::new(WritePlan::All, NamePlan::All, SizePlan::Current, 0)
    }

    /// One pending write is there; all names.
    #[must_use]
    pub const fn keep_only(index: usize) -> Self {
        Self::new(WritePlan::Only(index), NamePlan::All, SizePlan::Fitting, 0)
    }

    /// All pending writes but one are there; all names.
    #[must_use]
    pub const fn drop_only(index: usize) -> Self {
        Self::new(WritePlan::Except(index), NamePlan::All, SizePlan::Current, 0)
    }

    /// Of one write the first `units` units are there, and all of the earlier writes, and all names.
    #[must_use]
    pub const fn tear_write(index: usize, units: usize) -> Self {
        let writes = WritePlan::Tear { index, units, suffix: false, others: Others::Before };
        Self::new(writes, NamePlan::All, SizePlan::Current, 0)
    }

    /// Of one write all but the first `units` units are there, and all of the earlier writes, and all names.
    #[must_use]
    pub const fn tear_suffix(index: usize, units: usize) -> Self {
        let writes = WritePlan::Tear { index, units, suffix: true, others: Others::Before };
        Self::new(writes, NamePlan::All, SizePlan::Current, 0)
    }

    /// One unit of one write is garbage ([`super::Profile::Block4k`] only); earlier writes and all names are there.
    #[must_use]
    pub const fn garbage_unit(index: usize, unit: usize, seed: u64) -> Self {
        let writes = WritePlan::Garbage { index, unit, others: Others::Before };
        Self::new(writes, NamePlan::All, SizePlan::Current, seed)
    }

    /// Everything by chance.
    #[must_use]
    pub const fn random(seed: u64) -> Self {
        Self::new(WritePlan::Random, NamePlan::Random, SizePlan::Random, seed)
    }

    const fn other(others: Others, index: usize, this: usize) -> WriteFate {
        match others {
            Others::All => WriteFate::Keep,
            Others::Before if index < this => WriteFate::Keep,
            Others::Before | Others::None => WriteFate::Drop,
        }
    }
}

const fn keep_if(keep: bool) -> WriteFate {
    if keep { WriteFate::Keep } else { WriteFate::Drop }
}

impl CrashChooser for CrashPlan {
    fn name(&mut self, name: &PendingName<'_>) -> bool {
        match self.names {
            NamePlan::None => false,
            NamePlan::All => true,
            NamePlan::Only(index) => name.index == index,
            NamePlan::Except(index) => name.index != index,
            NamePlan::Prefix(count) => name.index < count,
            NamePlan::Random => self.rng.coin(),
        }
    }

    fn write(&mut self, write: &PendingWrite<'_>) -> WriteFate {
        match self.writes {
            WritePlan::None => WriteFate::Drop,
            WritePlan::All => WriteFate::Keep,
            WritePlan::Only(index) => keep_if(write.index == index),
            WritePlan::Except(index) => keep_if(write.index != index),
            WritePlan::Tear { index, others, .. } | WritePlan::Garbage { index, others, .. } => {
                if write.index == index {
                    WriteFate::EachUnit
                } else {
                    Self::other(others, write.index, index)
                }
            }
            WritePlan::Random => match self.rng.below(4) {
                0 => WriteFate::Keep,
                1 => WriteFate::Drop,
                _ => WriteFate::EachUnit,
            },
        }
    }

    fn unit(&mut self, write: &PendingWrite<'_>, unit: usize) -> UnitFate {
        match self.writes {
            WritePlan::Tear { units, suffix, .. } => {
                if (unit < units) != suffix {
                    UnitFate::New
                } else {
                    UnitFate::Old
                }
            }
            WritePlan::Garbage { unit: bad, .. } if unit == bad => {
                UnitFate::Garbage(self.rng.next())
            }
            WritePlan::Random => match self.rng.below(5) {
                0 | 1 => UnitFate::Old,
                2 if write.garbage_allowed => UnitFate::Garbage(self.rng.next()),
                _ => UnitFate::New,
            },
            _ => UnitFate::New,
        }
    }

    fn size(&mut self, size: &PendingSize<'_>) -> SizeFate {
        const BLOCK: u64 = crate::retry::BLOCK as u64;
        let len = match self.sizes {
            SizePlan::Durable => size.durable,
            SizePlan::Current => size.current,
            SizePlan::Fitting => size.kept_end.clamp(size.durable, size.current),
            SizePlan::Random => {
                let blocks = (size.current - size.durable).div_ceil(BLOCK);
                let grown = match self.rng.below(4) {
                    0 => 0,
                    1 => blocks,
                    _ => self.rng.below(blocks + 1),
                };
                (size.durable + grown * BLOCK).min(size.current)
            }
        };
        let garbage = match self.sizes {
            SizePlan::Random if self.rng.coin() => Some(self.rng.next()),
            _ => None,
        };
        SizeFate { len, garbage }
    }
}
