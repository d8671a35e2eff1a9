//! Faults of the medium, and looking behind the curtain. None of this is an event, none of it fails for injected faults.

use super::block::SECTOR;
use super::content::Content;
use super::disk::SimDisk;
use super::file::FileState;
use super::names::{FileId, Node, normal, split};
use super::state::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that `path` names.
fn file_at(state: &State, path: &Path) -> FileId {
    match state.find(&normal(path)) {
        Ok(file) => file,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// All methods here panic when there is no such file, or when an offset lies behind its end: they are called by tests, which know
/// what is there. What they change is changed in what is durable and in what is read alike; pending writes stay pending.
impl SimDisk {
    fn damage(&self, path: &Path, range_end: u64, change: impl Fn(&mut Content)) {
        let mut state = self.state();
        let file = file_at(&state, path);
        let len = state.slot(file).state.live.len();
        assert!(range_end <= len, "{} ends at {len}, not at {range_end}", path.display());
        state.damage(file, change);
    }

    /// Flips one bit.
    pub fn flip_bit(&self, path: &Path, bit_offset: u64) {
        let offset = bit_offset / 8;
        self.damage(path, offset + 1, |content| {
            let mut byte = [0];
            // What is not durable yet may lie behind the durable end.
            if content.read(offset, &mut byte) == 1 {
                content.write(offset, &[byte[0] ^ (1 << (bit_offset % 8))]);
            }
        });
    }

    /// Overwrites bytes, growing the file if needed.
    pub fn write_raw(&self, path: &Path, offset: u64, bytes: &[u8]) {
        self.damage(path, offset, |content| content.write(offset, bytes));
    }

    /// Reads bytes as reads would now.
    #[must_use]
    pub fn read_raw(&self, path: &Path, offset: u64, len: usize) -> Vec<u8> {
        let state = self.state();
        let content = &state.slot(file_at(&state, path)).state.live;
        let mut bytes = vec![0; len];
        let got = content.read(offset, &mut bytes);
        assert_eq!(got, len, "{} ends before", path.display());
        bytes
    }

    /// Copies one sector of 512 bytes over another, in the same or another file: a misdirected write.
    pub fn copy_sector(&self, from: &Path, from_sector: u64, to: &Path, to_sector: u64) {
        let sector = SECTOR as u64;
        let bytes = self.read_raw(from, from_sector * sector, SECTOR);
        self.damage(to, (to_sector + 1) * sector, |content| {
            content.write(to_sector * sector, &bytes);
        });
    }

    /// Fills one sector of 512 bytes with zeros.
    pub fn zero_sector(&self, path: &Path, sector: u64) {
        let offset = sector * SECTOR as u64;
        self.damage(path, offset + SECTOR as u64, |content| content.write(offset, &[0; SECTOR]));
    }

    /// Cuts a file to `len` bytes, which need not be whole blocks.
    pub fn truncate(&self, path: &Path, len: u64) {
        self.damage(path, len, |content| {
            if content.len() > len {
                content.resize(len);
            }
        });
    }

    /// Removes a file at once and for good.
    pub fn delete_file(&self, path: &Path) {
        let mut state = self.state();
        let file = file_at(&state, path);
        let path = normal(path);
        state.damage_names(|names| {
            names.remove(&path, file);
        });
    }

    /// Puts a file with this content in place, durable, with the directories on its way; replaces what was there. With
    /// [`Self::read_all`] it brings back an older version of a file.
    pub fn put_file(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let path = normal(path);
        let mut content = Content::default();
        content.write(0, bytes);
        let file = state.add_file(FileState::settled(Arc::new(content), Arc::clone(&path)));
        state.damage_names(|names| {
            for (at, _) in path.match_indices('/') {
                names.insert(&path[..at], Node::Dir);
            }
            names.insert(&path, Node::File(file));
        });
    }

    /// Every file with its size in bytes as reads see it, in order of paths; paths start at the root.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let with_len = |(path, file): (String, FileId)| {
            (Path::new("/").join(path), state.slot(file).state.live.len())
        };
        state.live.files().map(with_len).collect()
    }

    /// All bytes of a file as reads see them; `None` when there is no such file.
    #[must_use]
    pub fn read_all(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.find(&normal(path)).ok()?;
        let content = &state.slot(file).state.live;
        let mut bytes = vec![0; usize::try_from(content.len()).expect("in memory")];
        content.read(0, &mut bytes);
        Some(bytes)
    }

    /// All bytes of a file as they are on the medium for certain; `None` when its name is not.
    #[must_use]
    pub fn read_durable(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let path = normal(path);
        let Some(Node::File(file)) = state.durable.get(&path) else { return None };
        let content = &state.slot(file).state.durable;
        let mut bytes = vec![0; usize::try_from(content.len()).expect("in memory")];
        content.read(0, &mut bytes);
        Some(bytes)
    }

    /// True when the directory is there.
    #[must_use]
    pub fn has_dir(&self, path: &Path) -> bool {
        let path = normal(path);
        let (dir, _) = split(&path);
        let state = self.state();
        state.live.dir(dir).is_some() && state.live.get(&path) == Some(Node::Dir)
    }
}
