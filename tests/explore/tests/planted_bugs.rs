//! The table of planted bugs in `docs/TESTING.md` is the list in the code, and each of them is planted somewhere.

use slotcask_explore::mutants::catcher;
use slotcask_format::mutants::{CASK, CORE, all};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/TESTING.md");

#[test]
fn the_table_is_the_list() {
    let rows: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
    let rows: Vec<&str> = rows
        .into_iter()
        .filter(|row| all().any(|(name, _)| row.starts_with(&format!("| `{name}` |"))))
        .collect();
    let expected: Vec<String> = all()
        .map(|(name, breaks)| format!("| `{name}` | {breaks} | `{}` |", catcher(name).command()))
        .collect();
    if std::env::var_os("SLOTCASK_PRINT_TABLE").is_some() {
        println!("{}", expected.join("\n"));
    }
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    assert_eq!(rows.len(), expected.len());
    let listed = PAGE.split("## Planted bugs").nth(1).unwrap().lines();
    let listed = listed.filter(|line| line.starts_with("| `")).count();
    assert_eq!(listed, expected.len(), "the table names a bug that is not in the code");
}

#[test]
fn there_are_enough_and_each_has_one_name() {
    assert!(CORE.len() >= 25 && CASK.len() >= 20, "{} and {}", CORE.len(), CASK.len());
    let names: BTreeSet<&str> = all().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all().count());
}

#[test]
fn each_is_planted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rooms = ["src", "log/src", "fixed/src", "cask/src", "format/src", "ordered/src"];
    let mut dirs: Vec<PathBuf> = rooms.iter().map(|room| root.join(room)).collect();
    let mut sources = String::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                sources += &std::fs::read_to_string(&path).unwrap();
            }
        }
    }
    for (name, _) in all() {
        assert!(sources.contains(&format!("active(\"{name}\")")), "{name} is planted nowhere");
    }
}
