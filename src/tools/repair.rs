//! Mending what can be mended without guessing.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::{
    SharedLock, Store, keep_closed, lock, look, look_before_lock, undisturbed, write_superblock,
};
use crate::tools::check::check_closed;
use slotcask_format::file_name::SUPERBLOCK;
use slotcask_io::{Env, FileLock};
use std::path::Path;
use std::time::Duration;

/// What [`repair`] would do, or did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairPlan {
    /// What is done, a sentence each; empty when nothing has to be.
    pub actions: Vec<String>,
    /// Damage that cannot be mended from what is there: restore the store, or the shard, from a copy.
    pub beyond_repair: Vec<String>,
}

/// Finds out what can be mended, and mends it unless `plan_only`: a damaged copy of the superblock is written again from the
/// other; a store that was not closed cleanly is recovered and closed. Acknowledged data is never dropped: damage that only
/// dropping data would remove is listed in `beyond_repair`. Keeps the store closed from the first look to the last write.
///
/// # Errors
/// [`Error::Locked`], at once, when the store is open (for a plan: for writing), or was written to meanwhile where it cannot be locked. [`Error::LockMissing`]. When there is no store, or the disk
/// fails.
pub fn repair(env: &Env, root: &Path, plan_only: bool) -> Result<RepairPlan> {
    let held = if plan_only {
        keep_closed(env, root)?
    } else {
        // No lock file is made: neither where no store is, nor for one that lost its own.
        if let Some(found) = look_before_lock(env, root)? {
            found.store(root)?;
            return Err(Error::LockMissing { path: root.to_owned() });
        }
        Some(lock(env, root, Duration::ZERO)?)
    };
    match held.map(SharedLock::new) {
        Some(lock) => mend(env, root, plan_only, Some(lock)),
        None => undisturbed(env, root, || mend(env, root, true, None)),
    }
}

/// As [`repair`], of a store that is kept closed by `held`.
fn mend(env: &Env, root: &Path, plan_only: bool, held: Option<SharedLock>) -> Result<RepairPlan> {
    let mut plan = RepairPlan::default();
    let open = |options: Options| {
        let lock = held.clone().map(|lock| Box::new(lock) as Box<dyn FileLock>);
        Store::open_locked(env.clone(), root, options.background(false), lock)
    };
    let (superblock, damage) = look(env, root)?.store(root)?;
    let report = check_closed(env, root, &mut |_, _| {})?;
    for finding in
        report.findings.iter().filter(|finding| finding.severity == super::Severity::Damage)
    {
        plan.beyond_repair.push(format!(
            "{} at {}: {}",
            finding.path.display(),
            finding.at,
            finding.reason
        ));
    }
    if let Some(reason) = &damage {
        let path = root.join(SUPERBLOCK);
        plan.actions.push(format!("write {} again from its whole copy ({reason})", path.display()));
        if !plan_only {
            write_superblock(env, root, &superblock)?;
        }
    }
    if plan.beyond_repair.is_empty() {
        let store = open(Options::new().read_only(true))?;
        let recovery = store.recovery();
        let is_whole =
            recovery.clean && recovery.shards.iter().all(|shard| shard.ddl_completed == 0);
        store.close()?;
        if !is_whole {
            plan.actions.push("recover the store from its log and close it cleanly".to_owned());
            if !plan_only {
                open(Options::new().create(false))?.close()?;
            }
        }
    }
    Ok(plan)
}
