//! Opening what a fault left, and judging it.

use crate::contents::contents;
use crate::life::{ROOT, options};
use crate::model::{Model, State};
use slotcask::{Options, RecoveryReport, Store};
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
    open_with(disk, options(protected))
}

fn open_with(disk: &SimDisk, options: Options) -> Result<Opened, Refused> {
    let clock = SimClock::new();
    // Whatever was to vanish in the life has vanished.
    clock.advance(Duration::from_secs(100_000));
    let env = Env { clock: Arc::new(clock), ..env_of(99, disk) };
    let opened = catch_unwind(AssertUnwindSafe(|| options.open_in(env, ROOT)));
    let store = match opened {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => return Err(Refused::Error(error.to_string())),
        Err(_) => return Err(Refused::Contradiction("the opening panicked".to_owned())),
    };
    let state = contents(&store)?;
    let report = store.recovery().clone();
    Ok(Opened { _power: PowerOff(disk.clone()), store, state, report })
}

/// What an opening for reading finds, which must not change a byte; None where there is no store yet.
fn read(disk: &SimDisk, protected: bool) -> Result<Option<State>, String> {
    let copy = disk.fork();
    let image = || {
        let pending = copy.pending_summary();
        (copy.image_hash(), pending.writes.len(), pending.names.len())
    };
    let before = image();
    let options = options(protected).read_only(true);
    match open_with(&copy, options) {
        Ok(opened) if image() == before => Ok(Some(opened.state.clone())),
        Ok(_) => Err("an opening for reading changed the disk".to_owned()),
        Err(Refused::Error(_)) => Ok(None),
        Err(Refused::Contradiction(what)) => Err(format!("opened for reading: {what}")),
    }
}

/// One image in so many is opened for reading too.
const READ: u64 = 4;

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
    // Openings for reading are compared on one image in so many: they take as long as recoveries.
    let read = match disk.image_hash().is_multiple_of(READ) {
        true => Some(read(disk, protected)?),
        false => None,
    };
    match open(disk, protected) {
        Ok(opened) => {
            model.judge(&opened.state)?;
            match read {
                Some(None) if !opened.report.created => {
                    return Err(
                        "an opening for reading was refused, one for writing was not".to_owned()
                    );
                }
                Some(Some(state)) if state != opened.state => {
                    return Err(format!(
                        "an opening for reading found {state:?}, one for writing {:?}",
                        opened.state
                    ));
                }
                _ => {}
            }
            Ok(opened)
        }
        Err(Refused::Error(error)) => Err(format!("refused after a legal crash: {error}")),
        Err(Refused::Contradiction(what)) => Err(what),
    }
}
