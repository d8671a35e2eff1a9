//! The directory that a measurement makes and removes.

use crate::errors::Failure;
use slotcask_format::file_name::SUPERBLOCK;
use std::path::{Path, PathBuf};

/// A directory of our own, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    made_parent: Option<PathBuf>,
}

impl Directory {
    /// Makes a directory under `parent`, and `parent` itself when it is not there.
    ///
    /// # Errors
    /// When `parent` is a store, or cannot be written.
    pub fn make(parent: &Path) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| Failure::stream(&parent.display().to_string(), error);
        if parent.join(SUPERBLOCK).is_file() {
            return Err(Failure::usage(
                format!("{} is a store", parent.display()),
                "name another directory on the same disk; bench makes a store of its own there",
            ));
        }
        let is_new = !parent.exists();
        if is_new {
            std::fs::create_dir(parent).map_err(|error| failed(&error))?;
        }
        let made_parent = is_new.then(|| parent.to_owned());
        let path = parent.join(format!("slotcask-bench-{}", std::process::id()));
        let directory = Self { path, made_parent };
        std::fs::create_dir(&directory.path).map_err(|error| failed(&error))?;
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir_all(&self.path);
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("slotcask: {} could not be removed: {error}", self.path.display());
            eprintln!("  help: remove it by hand");
        }
        if let Some(parent) = &self.made_parent {
            // Whatever else was put there meanwhile keeps it.
            let _ = std::fs::remove_dir(parent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_nothing_behind() {
        let outer = tempfile::tempdir().unwrap();
        let parent = outer.path().join("new");
        let directory = Directory::make(&parent).unwrap();
        std::fs::create_dir(directory.path().join("shard")).unwrap();
        drop(directory);
        assert!(!parent.exists());
    }

    #[test]
    fn never_writes_into_a_store() {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("store"), b"superblock").unwrap();
        assert!(Directory::make(outer.path()).is_err());
        assert!(outer.path().join("store").exists());
    }
}
