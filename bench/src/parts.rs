//! What the criterion benches share: a size, and a loaded store in a directory that is removed again.

use crate::engine::{Engine, Mode, Outcome};
use crate::engines::slotcask::Slotcask;
use std::path::{Path, PathBuf};

/// Keys of a measuring run.
const KEYS: u64 = 1_000_000;
/// Keys of a run that only shows that the bench works.
const KEYS_TINY: u64 = 2_000;

/// Keys to load: few unless criterion measures, which `cargo bench` asks for with `--bench`, and `-- --test` takes back.
#[must_use]
pub fn keys() -> u64 {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    if has("--bench") && !has("--test") { KEYS } else { KEYS_TINY }
}

/// A store of [`keys`] keys in a directory of its own under the system's place for temporary files.
pub struct Loaded {
    engine: Option<Slotcask>,
    dir: PathBuf,
    /// Keys in the table.
    pub keys: u64,
}

impl Loaded {
    /// Makes and loads a store.
    ///
    /// # Errors
    /// The engine's.
    pub fn new(name: &str, mode: Mode) -> Outcome<Self> {
        let dir = std::env::temp_dir().join(format!("slotcask-{name}-{}", std::process::id()));
        crate::child::fresh(&dir)?;
        let mut loaded = Self { engine: None, dir, keys: keys() };
        let engine = Slotcask::open(&loaded.dir, mode)?;
        engine.load_buffered(loaded.keys)?;
        loaded.engine = Some(engine);
        Ok(loaded)
    }

    /// The store.
    ///
    /// # Panics
    /// After [`Self::close`].
    #[must_use]
    pub fn engine(&self) -> &Slotcask {
        self.engine.as_ref().expect("the store is open")
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Closes the store and keeps its directory.
    ///
    /// # Errors
    /// The engine's.
    pub fn close(&mut self) -> Outcome<()> {
        self.engine.take().map_or(Ok(()), Engine::close)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // The store is closed before its directory goes; what cannot be removed is left to be seen.
        self.engine = None;
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
