//! Directories, and the changes to them that are not durable yet.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

/// Index of a file in the disk's table.
pub(super) type FileId = usize;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(FileId),
    Dir,
}

/// The names in one directory.
pub(super) type Dir = BTreeMap<Arc<str>, Node>;

/// All directories by path. The root is "", other paths have no slash in front.
#[derive(Debug, Clone)]
pub(super) struct Names {
    dirs: BTreeMap<Arc<str>, Arc<Dir>>,
}

/// One change of a name. Paths as in [`Names`].
#[derive(Debug, Clone)]
pub(super) enum NameOp {
    Create { path: Arc<str>, file: FileId },
    CreateDir { path: Arc<str> },
    Remove { path: Arc<str>, file: FileId },
    Rename { from: Arc<str>, to: Arc<str>, file: FileId, replaced: Option<FileId> },
}

/// `path` as [`Names`] writes it.
pub(super) fn normal(path: &Path) -> Arc<str> {
    let mut normal = String::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => {
                if !normal.is_empty() {
                    normal.push('/');
                }
                normal.push_str(&part.to_string_lossy());
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => panic!("a simulated path has no `..`: {}", path.display()),
        }
    }
    normal.into()
}

/// Directory and name of a path other than the root.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Names {
    pub(super) fn new() -> Self {
        Self { dirs: BTreeMap::from([(Arc::from(""), Arc::default())]) }
    }

    pub(super) fn dir(&self, path: &str) -> Option<&Dir> {
        self.dirs.get(path).map(AsRef::as_ref)
    }

    pub(super) fn get(&self, path: &str) -> Option<Node> {
        if path.is_empty() {
            return Some(Node::Dir);
        }
        let (dir, name) = split(path);
        self.dirs.get(dir)?.get(name).copied()
    }

    /// Names `node`; false when there is no such directory.
    pub(super) fn insert(&mut self, path: &str, node: Node) -> bool {
        let (dir, name) = split(path);
        let Some(dir) = self.dirs.get_mut(dir) else { return false };
        Arc::make_mut(dir).insert(name.into(), node);
        if node == Node::Dir {
            self.ensure_dir(path);
        }
        true
    }

    /// Makes room for the names of a directory, whether or not the directory itself has a durable name yet.
    pub(super) fn ensure_dir(&mut self, path: &str) {
        if !self.dirs.contains_key(path) {
            self.dirs.insert(path.into(), Arc::default());
        }
    }

    /// Removes a name if it stands for `file`; true when it did.
    pub(super) fn remove(&mut self, path: &str, file: FileId) -> bool {
        let (dir, name) = split(path);
        let Some(dir) = self.dirs.get_mut(dir) else { return false };
        if dir.get(name) != Some(&Node::File(file)) {
            return false;
        }
        Arc::make_mut(dir).remove(name);
        true
    }

    /// Does one change, as far as what it changes is there.
    pub(super) fn apply(&mut self, op: &NameOp) {
        match op {
            NameOp::Create { path, file } => {
                self.insert(path, Node::File(*file));
            }
            NameOp::CreateDir { path } => {
                self.insert(path, Node::Dir);
            }
            NameOp::Remove { path, file } => {
                self.remove(path, *file);
            }
            NameOp::Rename { from, to, file, .. } => {
                // A file whose name never reached the disk cannot be renamed there.
                if self.remove(from, *file) {
                    self.insert(to, Node::File(*file));
                }
            }
        }
    }

    /// Drops directories that no longer have a name in theirs.
    pub(super) fn prune(&mut self) {
        let paths: Vec<Arc<str>> = self.dirs.keys().cloned().collect();
        // In order of paths a parent comes before what is in it.
        for path in paths {
            if self.get(&path) != Some(Node::Dir) {
                self.dirs.remove(&path);
            }
        }
    }

    /// Every file with its path, in order of directories and names.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, FileId)> + '_ {
        self.dirs.iter().flat_map(|(dir, names)| {
            names.iter().filter_map(move |(name, node)| match node {
                Node::File(file) if dir.is_empty() => Some((name.to_string(), *file)),
                Node::File(file) => Some((format!("{dir}/{name}"), *file)),
                Node::Dir => None,
            })
        })
    }

    /// Every file, in order of directories and names.
    pub(super) fn file_ids(&self) -> impl Iterator<Item = FileId> + '_ {
        self.dirs.values().flat_map(|names| {
            names.values().filter_map(|node| match node {
                Node::File(file) => Some(*file),
                Node::Dir => None,
            })
        })
    }

    /// Directory paths and their names, in order.
    pub(super) fn dirs(&self) -> impl Iterator<Item = (&str, &Dir)> {
        self.dirs.iter().map(|(path, dir)| (&**path, &**dir))
    }
}

impl NameOp {
    /// The path that the change is about.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Create { path, .. } | Self::CreateDir { path } | Self::Remove { path, .. } => {
                path
            }
            Self::Rename { to, .. } => to,
        }
    }

    /// The file that loses a name for good when the change is durable.
    pub(super) const fn unlinks(&self) -> Option<FileId> {
        match self {
            Self::Remove { file, .. } => Some(*file),
            Self::Rename { replaced, .. } => *replaced,
            Self::Create { .. } | Self::CreateDir { .. } => None,
        }
    }

    /// True when the change is about that file.
    pub(super) fn concerns(&self, id: FileId) -> bool {
        self.unlinks() == Some(id)
            || match self {
                Self::Create { file, .. } | Self::Rename { file, .. } => *file == id,
                Self::CreateDir { .. } | Self::Remove { .. } => false,
            }
    }

    /// Makes the change durable as far as a sync of `dir` does; returns what of it stays pending.
    pub(super) fn commit(self, dir: &str, durable: &mut Names) -> Option<Self> {
        let here = |path: &str| split(path).0 == dir;
        if let Self::Rename { from, to, file, .. } = &self
            && split(from).0 != split(to).0
            && here(to)
        {
            // The new name is durable; the old one goes when its own directory is synced.
            durable.insert(to, Node::File(*file));
            return Some(Self::Remove { path: Arc::clone(from), file: *file });
        }
        let concerned = match &self {
            Self::Rename { from, .. } => here(from),
            other => here(other.path()),
        };
        if !concerned {
            return Some(self);
        }
        durable.apply(&self);
        None
    }
}
