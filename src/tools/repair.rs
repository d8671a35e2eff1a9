//! Mending what can be mended without guessing.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::{Found, look, write_superblock};
use crate::tools::check::check;
use slotcask_format::file_name::{LOCK, SUPERBLOCK};
use slotcask_io::{Env, IoErrorKind};
use std::path::Path;

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
/// dropping data would remove is listed in `beyond_repair`.
///
/// # Errors
/// When there is no store, it is open, or the disk fails.
pub fn repair(env: &Env, root: &Path, plan_only: bool) -> Result<RepairPlan> {
    let mut plan = RepairPlan::default();
    let (superblock, damage) = match look(env, root)? {
        Found::Store(superblock, damage) => (superblock, damage),
        Found::HalfCreated => return Err(Error::HalfCreated { path: root.to_owned() }),
        Found::Nothing => {
            return Err(Error::NotAStore {
                path: root.to_owned(),
                reason: "there is no store".to_owned(),
            });
        }
    };
    let report = check(env, root, &mut |_, _| {})?;
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
            let _lock = env.disk.lock(&root.join(LOCK)).map_err(|error| match error.kind {
                IoErrorKind::Locked => Error::Locked { path: root.to_owned() },
                _ => Error::Io(error),
            })?;
            write_superblock(env, root, &superblock)?;
        }
    }
    if plan.beyond_repair.is_empty() {
        let clean = Options::new().read_only(true).background(false).open_in(env.clone(), root);
        match clean {
            Ok(store) => store.close()?,
            Err(Error::ReadOnlyNeedsCleanStore { .. }) => {
                plan.actions.push("recover the store from its log and close it cleanly".to_owned());
                if !plan_only {
                    Options::new()
                        .create(false)
                        .background(false)
                        .open_in(env.clone(), root)?
                        .close()?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(plan)
}
