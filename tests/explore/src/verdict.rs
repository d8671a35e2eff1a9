//! Opening what a fault left, and judging it.

use crate::contents::contents;
use crate::life::{ROOT, options};
use crate::model::{Model, State};
use slotcask::{RecoveryReport, Store};
use slotcask_io::sim::{SimClock, env_of};
use slotcask_io::{Env, SimDisk};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What an opening came to.
pub struct Opened {
    /// Goes first: nothing of what a store does when it is dropped matters, and it takes time.
    _power: PowerOff,
    /// The store.
    pub store: Store,
    /// What it holds.
    pub state: State,
    /// What recovery said.
    pub report: RecoveryReport,
}

/// Takes the power from a disk when it is dropped.
struct PowerOff(SimDisk);

impl Drop for PowerOff {
    fn drop(&mut self) {
        self.0.stop_after(0);
    }
}

/// Opens the store on `disk` and reads it. When the result is dropped the disk loses its power: whoever wants to use it further takes a
/// fork or an image before.
///
/// # Errors
/// The error of the opening, or what contradicts itself. A panic is a contradiction.
pub fn open(disk: &SimDisk, protected: bool) -> Result<Opened, Refused> {
    let clock = SimClock::new();
    // Whatever was to vanish in the life has vanished.
    clock.advance(Duration::from_secs(100_000));
    let env = Env { clock: Arc::new(clock), ..env_of(99, disk) };
    let opened = catch_unwind(AssertUnwindSafe(|| options(protected).open_in(env, ROOT)));
    let store = match opened {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => return Err(Refused::Error(error.to_string())),
        Err(_) => return Err(Refused::Contradiction("the opening panicked".to_owned())),
    };
    let state = contents(&store)?;
    let report = store.recovery().clone();
    Ok(Opened { _power: PowerOff(disk.clone()), store, state, report })
}

/// Why nothing could be read.
#[derive(Debug)]
pub enum Refused {
    /// An error that the store named.
    Error(String),
    /// Something that must never be.
    Contradiction(String),
}

/// Recovery after a legal crash must succeed and hold what the model asks for.
///
/// # Errors
/// Describes the violation.
pub fn judge(disk: &SimDisk, protected: bool, model: &Model) -> Result<Opened, String> {
    match open(disk, protected) {
        Ok(opened) => {
            model.judge(&opened.state)?;
            Ok(opened)
        }
        Err(Refused::Error(error)) => Err(format!("refused after a legal crash: {error}")),
        Err(Refused::Contradiction(what)) => Err(what),
    }
}
