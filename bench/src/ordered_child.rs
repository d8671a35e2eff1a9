//! Memory of slotcask's tables with an order and without: each is loaded by a process of its own. `compare` starts itself again
//! with [`ORDERED_CHILD`] as the first argument.

use crate::cask::{CaskEngine, SMALL, Setup};
use crate::child::{number, say};
use crate::engine::{Engine, Mode, Outcome};
use crate::engines::slotcask::Slotcask;
use crate::engines::slotcask_cask::SlotcaskCask;
use crate::engines::slotcask_ordered::{SlotcaskOrdered, SlotcaskOrderedCask};
use crate::machine;
use crate::values::with_value;
use crate::workload::{Key, key, value};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// First argument of a child.
pub const ORDERED_CHILD: &str = "__ordered-child";

/// What tables a child loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Fixed.
    Fixed,
    /// Fixed and ordered.
    FixedOrdered,
    /// Cask.
    Cask,
    /// Cask and ordered.
    CaskOrdered,
}

impl Shape {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Fixed, "fixed"),
        (Self::FixedOrdered, "fixed-ordered"),
        (Self::Cask, "cask"),
        (Self::CaskOrdered, "cask-ordered"),
    ];

    /// Has a child load a table of `keys` keys in `dir`, which is empty; gives the bytes of memory that the child grew by.
    ///
    /// # Errors
    /// When the child fails.
    pub fn memory(self, dir: &Path, keys: u64) -> Outcome<f64> {
        let name = Self::ALL.into_iter().find(|(shape, _)| *shape == self).map_or("", |s| s.1);
        let output = Command::new(std::env::current_exe()?)
            .args([ORDERED_CHILD, name])
            .arg(dir)
            .arg(keys.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("a child that loads {name} ended with {}", output.status).into());
        }
        number(&serde_json::from_slice(&output.stdout)?, "memory")
    }
}

/// Does a child's work: the arguments behind [`ORDERED_CHILD`] are what [`Shape::memory`] writes.
///
/// # Errors
/// When they are not; the engine's.
pub fn perform(mut arguments: impl Iterator<Item = String>) -> Outcome<()> {
    let mut next = || arguments.next().ok_or("a child that loads wants three arguments");
    let name = next()?;
    let shape = Shape::ALL.into_iter().find(|(_, other)| *other == name);
    let (dir, keys) = (PathBuf::from(next()?), next()?.parse()?);
    match shape.ok_or("unknown shape of a table")?.0 {
        Shape::Fixed => fixed::<Slotcask>(&dir, keys, |engine, key| engine.map().delete(key)),
        Shape::FixedOrdered => {
            fixed::<SlotcaskOrdered>(&dir, keys, |engine, key| engine.map().delete(key))
        }
        Shape::Cask => cask::<SlotcaskCask>(&dir, keys, |engine, key| engine.table().delete(key)),
        Shape::CaskOrdered => {
            cask::<SlotcaskOrderedCask>(&dir, keys, |engine, key| engine.table().delete(key))
        }
    }
}

fn fixed<E: Engine>(
    dir: &Path,
    keys: u64,
    delete: impl Fn(&E, &Key) -> slotcask::Result<bool>,
) -> Outcome<()> {
    let before = machine::memory().0;
    let engine = E::open(dir, Mode::Buffered)?;
    churn(
        keys,
        |number| engine.put(&key(number), &value(number, 0)),
        |number| Ok(delete(&engine, &key(number)).map(drop)?),
    )?;
    engine.settle()?;
    let memory = machine::memory().0.saturating_sub(before);
    engine.close()?;
    say(&json!({ "memory": memory }))
}

fn cask<E: CaskEngine>(
    dir: &Path,
    keys: u64,
    delete: impl Fn(&E, &Key) -> slotcask::Result<bool>,
) -> Outcome<()> {
    let before = machine::memory().0;
    let engine = E::open(dir, Setup::of(Mode::Buffered))?;
    let put = |number| with_value(number, 0, SMALL.len, |value| engine.put(&key(number), value));
    churn(keys, put, |number| Ok(delete(&engine, &key(number)).map(drop)?))?;
    engine.settle()?;
    let memory = machine::memory().0.saturating_sub(before);
    engine.close()?;
    say(&json!({ "memory": memory }))
}

/// Loads `keys` keys; then a quarter of them goes, and as many others come.
fn churn(
    keys: u64,
    put: impl Fn(u64) -> Outcome<()>,
    delete: impl Fn(u64) -> Outcome<()>,
) -> Outcome<()> {
    (0..keys).try_for_each(&put)?;
    for number in 0..keys / 4 {
        delete(number * 4)?;
        put(keys + number)?;
    }
    Ok(())
}
