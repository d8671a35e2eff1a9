//! Power loss: from what is durable and what is pending to a disk that comes back.

use super::block::{self, SECTORS};
use super::choose::{CrashChooser, PendingName, PendingSize, PendingWrite, UnitFate, WriteFate};
use super::content::Content;
use super::disk::SimDisk;
use super::file::{FileState, Pending};
use super::names::{NameOp, Names};
use super::rng::mix;
use super::state::{Profile, SimOptions, Slot, State};
use crate::retry::BLOCK;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const B: u64 = BLOCK as u64;

/// A pending write as an enumerator of crashes sees it.
#[derive(Debug, Clone)]
pub struct WriteSummary {
    /// Its file.
    pub path: Arc<str>,
    /// Where, bytes.
    pub offset: u64,
    /// How many units it can be torn into.
    pub units: usize,
}

/// What a power loss now would have to decide.
#[derive(Debug, Clone, Default)]
pub struct PendingSummary {
    /// Pending writes in order of time; the place is [`PendingWrite::index`].
    pub writes: Vec<WriteSummary>,
    /// Paths of pending changes of names in order of time; the place is [`PendingName::index`].
    pub names: Vec<Arc<str>>,
    /// Files whose size is not durable.
    pub sizes: usize,
}

impl Profile {
    const fn units_per_block(self) -> usize {
        match self {
            Self::Sector512 => SECTORS,
            Self::Block4k => 1,
        }
    }
}

impl SimDisk {
    /// The disk as it comes back after a power loss now, everything undecided decided by `choice`. This disk is left as it is.
    /// On the new one nothing is pending, locked or injected, and events count from 0.
    ///
    /// # Panics
    /// When `choice` asks for what its input says it may not: garbage where a unit is old or new, a size out of range.
    #[must_use]
    pub fn crash(&self, choice: &mut dyn CrashChooser) -> Self {
        let state = self.state();
        let names = crash_names(&state, choice);
        let order = order_of_writes(&state);
        let mut files: Vec<Option<Slot>> = Vec::with_capacity(state.files.len());
        files.resize_with(state.files.len(), || None);
        for file in names.file_ids() {
            let known = &state.slot(file).state;
            let image = if known.is_settled() {
                Arc::clone(known)
            } else {
                Arc::new(crash_file(known, &order, state.options.profile, choice))
            };
            files[file] = Some(Slot::of_image(image));
        }
        let seed = mix(state.options.seed ^ state.trace_hash);
        let options = SimOptions { seed, ..state.options.clone() };
        Self::of_state(State::new(options, names, files))
    }

    /// What [`Self::crash`] would ask for now.
    #[must_use]
    pub fn pending_summary(&self) -> PendingSummary {
        let state = self.state();
        let per_block = state.options.profile.units_per_block();
        let mut writes = Vec::new();
        let mut sizes = 0;
        for slot in state.files.iter().flatten() {
            let file = &slot.state;
            sizes += usize::from(file.durable.len() != file.live.len());
            writes.extend(file.pending.iter().map(|pending| {
                let summary = WriteSummary {
                    path: Arc::clone(&file.path),
                    offset: pending.op.first * B,
                    units: pending.op.blocks.len() * per_block,
                };
                (pending.op.event, summary)
            }));
        }
        writes.sort_by_key(|(event, _)| *event);
        PendingSummary {
            writes: writes.into_iter().map(|(_, summary)| summary).collect(),
            names: state.pending_names.iter().map(|op| op.path().into()).collect(),
            sizes,
        }
    }

    /// A hash of everything that is durable: names, sizes, content. Blocks remember their hash, so it is cheap to ask again.
    #[must_use]
    pub fn image_hash(&self) -> u64 {
        let state = self.state();
        let mut names = Arc::clone(&state.durable);
        if !state.pending_names.is_empty() {
            Arc::make_mut(&mut names).prune();
        }
        let mut hash = 0;
        for (dir, entries) in names.dirs() {
            hash = mix(hash ^ xxh3_64(dir.as_bytes()));
            for (name, node) in entries {
                hash = mix(hash ^ xxh3_64(name.as_bytes()));
                if let super::names::Node::File(file) = node {
                    hash = mix(hash ^ state.slot(*file).state.durable.hash());
                }
            }
        }
        hash
    }
}

/// Events of all pending writes, sorted: the place of an event is the index of its write.
fn order_of_writes(state: &State) -> Vec<u64> {
    let files = state.files.iter().flatten();
    let mut order: Vec<u64> =
        files.flat_map(|slot| slot.state.pending.iter().map(|pending| pending.op.event)).collect();
    order.sort_unstable();
    order
}

fn crash_names(state: &State, choice: &mut dyn CrashChooser) -> Arc<Names> {
    if state.pending_names.is_empty() {
        return Arc::clone(&state.durable);
    }
    let mut names = Names::clone(&state.durable);
    for (index, op) in state.pending_names.iter().enumerate() {
        if choice.name(&PendingName { index, path: op.path() }) {
            names.apply(op);
        }
    }
    if state.pending_names.iter().any(|op| matches!(op, NameOp::CreateDir { .. })) {
        names.prune();
    }
    Arc::new(names)
}

/// Which sectors of the blocks behind the durable size were written.
struct Covered {
    first: u64,
    masks: Vec<u8>,
}

impl Covered {
    fn add(&mut self, block: u64, mask: u8) {
        if let Some(at) = block.checked_sub(self.first)
            && let Some(covered) = usize::try_from(at).ok().and_then(|at| self.masks.get_mut(at))
        {
            *covered |= mask;
        }
    }
}

fn crash_file(
    file: &FileState,
    order: &[u64],
    profile: Profile,
    choice: &mut dyn CrashChooser,
) -> FileState {
    let mut content = Content::clone(&file.durable);
    let (durable, current) = (content.len(), file.live.len());
    let grown = usize::try_from((current - durable).div_ceil(B)).expect("in memory");
    let mut covered = Covered { first: durable.div_ceil(B), masks: vec![0; grown] };
    let mut kept_end = durable;
    for pending in &file.pending {
        let index = order.binary_search(&pending.op.event).expect("listed from the same files");
        let write = PendingWrite {
            index,
            path: &file.path,
            offset: pending.op.first * B,
            units: pending.op.blocks.len() * profile.units_per_block(),
            garbage_allowed: profile == Profile::Block4k,
        };
        let fate = choice.write(&write);
        if fate == WriteFate::Drop {
            continue;
        }
        for at in 0..pending.op.blocks.len() {
            let mask = match fate {
                WriteFate::Keep => keep_block(pending, at, &mut content),
                _ => tear_block(pending, at, &mut content, &write, choice),
            };
            if mask != 0 {
                let block = pending.op.first + at as u64;
                covered.add(block, mask);
                kept_end = kept_end.max((block + 1) * B);
            }
        }
    }
    if current != durable {
        let fate = choice.size(&PendingSize { path: &file.path, durable, current, kept_end });
        assert!(
            (durable..=current).contains(&fate.len),
            "a size of {} is not from {durable} to {current}",
            fate.len
        );
        if let Some(seed) = fate.garbage {
            for (at, mask) in covered.masks.iter().enumerate() {
                let block = covered.first + at as u64;
                content.merge(block, &block::garbage(seed ^ mix(block)), !mask);
            }
        }
        content.resize(fate.len);
    } else {
        content.resize(durable);
    }
    FileState::settled(Arc::new(content), Arc::clone(&file.path))
}

/// Applies what is alive of one block of a write; returns the sectors.
fn keep_block(pending: &Pending, at: usize, content: &mut Content) -> u8 {
    let mask = pending.mask(at);
    content.merge(pending.op.first + at as u64, &pending.op.blocks[at], mask);
    mask
}

/// Applies what `choice` wants of one block of a write; returns the sectors that changed.
fn tear_block(
    pending: &Pending,
    at: usize,
    content: &mut Content,
    write: &PendingWrite<'_>,
    choice: &mut dyn CrashChooser,
) -> u8 {
    let block = pending.op.first + at as u64;
    if write.garbage_allowed {
        return match choice.unit(write, at) {
            UnitFate::New => keep_block(pending, at, content),
            UnitFate::Old => 0,
            UnitFate::Garbage(seed) => {
                content.merge(block, &block::garbage(seed), u8::MAX);
                u8::MAX
            }
        };
    }
    let mut mask = 0;
    for sector in 0..SECTORS {
        match choice.unit(write, at * SECTORS + sector) {
            UnitFate::New => mask |= 1 << sector,
            UnitFate::Old => {}
            UnitFate::Garbage(_) => panic!("a sector of 512 bytes is old or new, never garbage"),
        }
    }
    let mask = mask & pending.mask(at);
    content.merge(block, &pending.op.blocks[at], mask);
    mask
}
