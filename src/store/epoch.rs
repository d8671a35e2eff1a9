//! Epochs: the first append after an opening begins one.

use crate::error::{Error, Result};
use crate::store::StoreInner;
use slotcask_format::file_name::{HISTORY, TEMPORARY};
use slotcask_format::history::{Epoch, EpochKind, HISTORY_FILE_SIZE_MAX, History};
use slotcask_format::{StoreId, mutants};
use slotcask_io::{AlignedBuf, Env, OpenMode};
use std::path::Path;

/// The history, and the epoch that the next append begins.
#[derive(Debug)]
pub(crate) struct EpochState {
    pub history: History,
    /// Kind of the epoch that this opening begins; None when it has begun.
    pub pending: Option<EpochKind>,
}

impl StoreInner {
    /// Begins the epoch of this opening. The replacement of the history file is its commit point; nothing of the epoch is
    /// appended before.
    ///
    /// # Errors
    /// When the history cannot be written: no write is accepted then, and the next one tries again.
    #[cold]
    pub(crate) fn begin_epoch(&self) -> Result<()> {
        let mut state = self.epoch.lock();
        self.check_open()?;
        let Some(kind) = state.pending else { return Ok(()) };
        let mut id = [0; 16];
        self.env.entropy.fill(&mut id);
        let cuts = self.shards.iter().map(|shard| shard.lock().last_sequence()).collect();
        let number = state.history.last().checked_add(1).ok_or_else(|| Error::Limit {
            reason: "the store has begun as many epochs as have a number".to_owned(),
        })?;
        let epoch = Epoch { number, kind, id, time_ms: self.env.clock.wall_ms(), cuts };
        let mut history = state.history.clone();
        history.epochs.push(epoch);
        let shards = self.shard_count as u8;
        let write = || write_history(&self.env, &self.root, self.id, &history, shards);
        if let Err(error) = write() {
            // On a full disk the few blocks come from what is held for merges.
            let bytes = history.encode_file(self.id, shards).len() as u64;
            // Who merges into that gives it back when the merge ends.
            let lend = |waits| self.shards.iter().any(|shard| shard.lend_reserve(bytes, waits));
            let lent = error.is_out_of_resources() && (lend(false) || lend(true));
            if !lent {
                return Err(error);
            }
            write()?;
        }
        state.history = history;
        for shard in &self.shards {
            *shard.history.lock() = state.history.clone();
            let mut guard = shard.lock();
            if !mutants::active("reissue_sequence") {
                guard.set_epoch(number);
            }
            guard.state().epoch_open = true;
        }
        // Not before: writers of a shard that was not told come back here for as long as there is anything to begin.
        state.pending = None;
        Ok(())
    }
}

/// Replaces the history file.
pub(crate) fn write_history(
    env: &Env,
    root: &Path,
    store: StoreId,
    history: &History,
    shards: u8,
) -> Result<()> {
    let path = root.join(HISTORY);
    let temporary = root.join(format!("{HISTORY}{TEMPORARY}"));
    if env.disk.stat(&temporary)?.is_some() {
        env.disk.remove(&temporary)?;
    }
    let bytes = AlignedBuf::copy_of(&history.encode_file(store, shards));
    if bytes.len() as u64 > HISTORY_FILE_SIZE_MAX {
        let reason = format!("the history of epochs is longer than {HISTORY_FILE_SIZE_MAX} bytes");
        return Err(Error::Limit { reason });
    }
    let write = || {
        let file = env.disk.open(&temporary, OpenMode::Create)?;
        file.write_at(0, &bytes)?;
        file.sync()
    };
    if let Err(error) = write() {
        let _ = env.disk.remove(&temporary);
        return Err(Error::of_io(error, 0));
    }
    env.disk.rename(&temporary, &path)?;
    env.disk.sync_dir(root)?;
    Ok(())
}

/// Reads the history file.
pub(crate) fn read_history(env: &Env, root: &Path, store: StoreId, shards: u8) -> Result<History> {
    let path = root.join(HISTORY);
    let file = env.disk.open(&path, OpenMode::Read).map_err(|error| match error.kind {
        slotcask_io::IoErrorKind::NotFound => {
            Error::corrupt(&path, 0, "the history of epochs is not there")
        }
        _ => Error::Io(error),
    })?;
    let bytes = crate::tools::read_whole(file.as_ref(), &path, HISTORY_FILE_SIZE_MAX)?;
    History::decode_file(&bytes, store, shards)
        .map_err(|reason| crate::tools::refuse(&path, 0, reason))
}
