//! `SAFETY.md` lists the files that hold `unsafe`, all of them and no others; every other crate forbids it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Crates that may hold it.
const ALLOWED: [&str; 2] = ["io/", "index/"];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// All Rust sources of the workspace, and its documents of the root, by their path from there.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !name.starts_with("target") {
                    dirs.push(path);
                }
            } else if name.ends_with(".rs") {
                let short = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((short, read(&path)));
            }
        }
    }
    assert!(found.len() > 100, "the sources are not where they were");
    found
}

/// True for code that opens an unsafe block, or declares something that is.
fn holds_unsafe(text: &str) -> bool {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        ["{", "fn", "impl", "trait", "extern"]
            .iter()
            .any(|what| line.contains(&format!("un{} {what}", "safe")))
    })
}

#[test]
fn the_list_is_that_of_the_files() {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("SAFETY.md"));
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once(" | "))
        .flat_map(|(files, _)| files.split(", "))
        .map(|file| file.trim_matches('`'))
        .collect();
    let sources = sources();
    let found: BTreeSet<&str> = sources
        .iter()
        .filter(|(_, text)| holds_unsafe(text))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(listed, found);
    for path in found {
        assert!(ALLOWED.iter().any(|room| path.starts_with(room)), "{path} holds unsafe code");
    }
}

#[test]
fn all_other_crates_forbid_it() {
    let is_root = |path: &str| {
        path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path.contains("src/bin/")
    };
    let mut roots = 0;
    for (path, text) in sources() {
        if is_root(&path) && !ALLOWED.iter().any(|room| path.starts_with(room)) {
            roots += 1;
            let forbids = text.lines().any(|line| line == "#![forbid(unsafe_code)]");
            assert!(forbids, "{path} does not forbid unsafe code");
        }
    }
    assert!(roots >= 8, "{roots}");
}

#[test]
fn what_is_looked_for_is_found() {
    let word = format!("un{}", "safe");
    assert!(holds_unsafe(&format!("    let x = {word} {{ y() }};")));
    assert!(holds_unsafe(&format!("{word} impl Send for X {{}}")));
    assert!(!holds_unsafe(&format!("// {word} {{ y() }}\n#![forbid({word}_code)]")));
}
