//! Work that needs a process of its own: memory is read before and after, opening starts with nothing in memory, and
//! kill -9 is a real one. `compare` starts itself again with [`CHILD`] as the first argument.

use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::machine;
use crate::workload::{Random, key, value};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

/// First argument of a child.
pub const CHILD: &str = "__child";
/// Keys that a child reads after opening, to see that they are there.
const KEYS_CHECKED: u64 = 1000;

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Loads a table, closes it cleanly, reports memory and disk after loading.
    Load,
    /// Loads a table, makes it as dirty as it gets, reports memory and disk, closes it.
    LoadAndChurn,
    /// As `LoadAndChurn`, but waits to be killed instead of closing.
    LoadAndWait,
    /// Opens a table, reports how long that took until the first get was answered, closes it.
    Open,
}

impl Work {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Load, "load"),
        (Self::LoadAndChurn, "load-and-churn"),
        (Self::LoadAndWait, "load-and-wait"),
        (Self::Open, "open"),
    ];
}

/// A child's orders.
#[derive(Debug, Clone)]
pub struct Task {
    /// What to do.
    pub work: Work,
    /// Engine, by name.
    pub engine: String,
    /// Directory of the store.
    pub dir: PathBuf,
    /// Keys in the table.
    pub keys: u64,
    /// Seed.
    pub seed: u64,
}

impl Task {
    /// Reads the arguments behind [`CHILD`].
    ///
    /// # Errors
    /// When they are not what [`Task::run`] writes.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut next = || arguments.next().ok_or("a child wants five arguments");
        let name = next()?;
        let work = Work::ALL.into_iter().find(|(_, other)| *other == name);
        Ok(Self {
            work: work.ok_or("unknown work of a child")?.0,
            engine: next()?,
            dir: next()?.into(),
            keys: next()?.parse()?,
            seed: next()?.parse()?,
        })
    }

    /// Starts a child and waits for what it says. A child that waits is killed (SIGKILL) then.
    ///
    /// # Errors
    /// When the child fails.
    pub fn run(&self) -> Outcome<Value> {
        let name = Work::ALL.into_iter().find(|(work, _)| *work == self.work).map_or("", |w| w.1);
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CHILD)
            .args([name, &self.engine])
            .arg(&self.dir)
            .args([self.keys.to_string(), self.seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = self.hear(&mut child);
        if self.work == Work::LoadAndWait || said.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        let said = said?;
        if self.work != Work::LoadAndWait && !status.success() {
            return Err(format!("{name} of {} ended with {status}", self.engine).into());
        }
        Ok(said)
    }

    fn hear(&self, child: &mut Child) -> Outcome<Value> {
        let stdout = child.stdout.take().ok_or("a child has no output")?;
        let stdin: Option<ChildStdin> = child.stdin.take();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if self.work == Work::LoadAndWait {
            // The child reads its input until it is killed; it stays open for that long.
            child.stdin = stdin;
        }
        let said = serde_json::from_str(&line);
        said.map_err(|_| format!("a child of {} said {line:?}", self.engine).into())
    }

    /// Does the work, in the child, and says what came of it.
    ///
    /// # Errors
    /// The engine's.
    pub fn perform<E: Engine>(&self) -> Outcome<()> {
        match self.work {
            Work::Open => self.open::<E>(),
            Work::Load | Work::LoadAndChurn | Work::LoadAndWait => self.load::<E>(),
        }
    }

    fn load<E: Engine>(&self) -> Outcome<()> {
        let before = machine::memory().0;
        let engine = E::open(&self.dir, Mode::Buffered)?;
        for number in 0..self.keys {
            engine.put(&key(number), &value(number, 0))?;
        }
        engine.settle()?;
        let (mut memory, mut disk) = (machine::memory().0, machine::disk_used(&self.dir)?);
        if self.work != Work::Load {
            engine.make_dirty(self.keys, self.seed)?;
            memory = memory.max(machine::memory().0);
            disk = disk.max(machine::disk_used(&self.dir)?);
        }
        let facts = json!({
            "memory": memory.saturating_sub(before),
            "memory_peak": machine::memory().1.saturating_sub(before),
            "disk": disk,
        });
        if self.work == Work::LoadAndWait {
            say(&facts)?;
            std::io::stdin().read_to_end(&mut Vec::new())?;
            return Err("a child that waits to be killed was not".into());
        }
        engine.close()?;
        say(&facts)
    }

    fn open<E: Engine>(&self) -> Outcome<()> {
        let start = Instant::now();
        let engine = E::open(&self.dir, Mode::Buffered)?;
        let reader = engine.reader()?;
        let first = reader.get(&key(0))?;
        let seconds = start.elapsed().as_secs_f64();
        let mut random = Random::new(self.seed);
        let numbers = (0..KEYS_CHECKED).map(|_| random.below(self.keys));
        for (number, found) in std::iter::once((0, first))
            .map(Ok)
            .chain(numbers.map(|number| reader.get(&key(number)).map(|found| (number, found))))
            .collect::<Outcome<Vec<_>>>()?
        {
            if found.is_none_or(|found| found[..8] != number.to_le_bytes()) {
                return Err(format!("key {number} did not survive").into());
            }
        }
        drop(reader);
        engine.close()?;
        say(&json!({ "open_s": seconds }))
    }
}

pub(crate) fn say(facts: &Value) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{facts}")?;
    Ok(out.flush()?)
}

/// The number of that name in what a child said.
///
/// # Errors
/// When there is none.
pub fn number(said: &Value, name: &str) -> Outcome<f64> {
    said[name].as_f64().ok_or_else(|| format!("a child did not say {name}").into())
}

/// Removes a directory with all that is in it, and makes it anew.
///
/// # Errors
/// As the operating system says.
pub fn fresh(dir: &Path) -> Outcome<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(std::fs::create_dir_all(dir)?)
}
