//! Runs the binary and looks at what it did.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// What a run of the binary left behind.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn from_output(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }

    /// Asserts the exit code; shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts the code and the form of a failure: one line that says what, one that says what to do.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        let run = self.exits(code);
        let lines: Vec<&str> = run.stderr.lines().filter(|line| !line.contains(" WARN ")).collect();
        assert_eq!(lines.len(), 2, "{run:#?}");
        assert!(lines[0].starts_with("slotcask: "), "{run:#?}");
        assert!(lines[1].starts_with("  help: "), "{run:#?}");
        run
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:#?}");
        self
    }

    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "{text:?} is not in {self:#?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

/// The binary with these arguments.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slotcask"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

pub fn slotcask(arguments: &[&str]) -> Run {
    Run::from_output(command(arguments).output().expect("the binary starts"))
}

pub fn slotcask_with_input(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = spawn(arguments);
    let mut stdin = child.stdin.take().expect("it is piped");
    // A run that ends before the end of its input closes the pipe; its exit code says why.
    let _ = stdin.write_all(input);
    drop(stdin);
    finish(child)
}

/// Starts the binary with pipes on all three streams.
pub fn spawn(arguments: &[&str]) -> Child {
    command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

pub fn finish(child: Child) -> Run {
    Run::from_output(child.wait_with_output().expect("it can be waited for"))
}

/// Runs the binary behind a shell command such as `ulimit -f 64`.
pub fn slotcask_after(shell: &str, arguments: &[&str]) -> Run {
    let script = format!("{shell} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_slotcask")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the shell starts");
    Run::from_output(output)
}

/// A directory for a store and the files around it.
pub struct Place {
    outer: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { outer: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A place with a store of one shard and the table `t`.
    pub fn with_table(key_len: usize, value_len: usize) -> Self {
        let place = Self::new();
        place.create_table("t", key_len, value_len);
        place
    }

    fn create_table(&self, name: &str, key_len: usize, value_len: usize) {
        let (key_len, value_len) = (key_len.to_string(), value_len.to_string());
        let db = self.db();
        let store = ["create", &db, "--shards", "1", "--log-size", "16M"];
        let table = ["--table", name, "--key-len", &key_len, "--value-len", &value_len];
        slotcask(&[&store[..], &table[..]].concat()).exits(0);
    }

    /// The store's directory, as an argument.
    pub fn db(&self) -> String {
        self.path("db")
    }

    /// A path in this place, as an argument.
    pub fn path(&self, name: &str) -> String {
        self.outer.path().join(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// Writes a file; returns its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the file can be written");
        path
    }
}

/// `count` lines of key, tab, value, with keys of 8 and values of 16 bytes.
pub fn tsv(count: usize) -> String {
    (0..count).map(|index| format!("k{index:07}\tvalue-{index:010}\n")).collect()
}

/// The lines of a text, sorted.
pub fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The files below `dir` whose names end so, sorted.
pub fn files_ending(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).expect("the directory can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                left.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Changes one bit of a file.
pub fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).expect("the file can be read");
    bytes[offset] ^= 0x10;
    std::fs::write(path, bytes).expect("the file can be written");
}

/// Runs a command until it finds nothing (exit code 1), as a value's time has come; fails when that takes a minute.
#[track_caller]
pub fn wait_until_gone(arguments: &[&str]) {
    let start = std::time::Instant::now();
    loop {
        let run = slotcask(arguments);
        if run.code == Some(1) {
            return;
        }
        let run = run.exits(0);
        assert!(
            start.elapsed() < std::time::Duration::from_secs(60),
            "it is still there: {run:#?}"
        );
    }
}
