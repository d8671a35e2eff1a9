//! A process runs out of descriptors while it writes: what needs one is refused, nothing is poisoned, and writes work again when
//! descriptors come back.

use slotcask::Options;
use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;

const CHILD: &str = "SLOTCASK_TEST_DESCRIPTORS";

/// Runs the test `name` in a child that may have 100 descriptors.
fn limited(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 100; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    assert!(child.status.success() && said.contains("1 passed"), "{}: {said}", child.status);
}

#[test]
fn writes_work_again_when_descriptors_come_back() {
    limited("writes_work_again_when_descriptors_come_back", || {
        for (free, background) in [(0, true), (0, false), (1, true), (1, false), (2, false)] {
            refused_for_a_while(free, background);
        }
    });
}

/// Writes many times the log with `free` descriptors left.
fn refused_for_a_while(free: usize, background: bool) {
    let dir = tempfile::tempdir().unwrap();
    let options = || {
        let options = Options::new().shards(1).segment_size(64 << 10).log_size(512 << 10);
        options.background(background)
    };
    let store = options().open(dir.path()).unwrap();
    let cask = store.cask("c").unwrap();
    let mut model = BTreeMap::new();
    let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    held.truncate(held.len() - free);
    for n in 0..300_u64 {
        let (key, value) = (n % 50, vec![n as u8; 10_000]);
        match cask.put(key.to_be_bytes(), &value) {
            Ok(()) => drop(model.insert(key, value)),
            Err(error) => {
                assert!(error.is_out_of_resources(), "{free} free: {error}");
            }
        }
    }
    drop(held);
    cask.put("after", "x").unwrap_or_else(|error| panic!("{free} free, {background}: {error}"));
    drop(cask);
    store.close().unwrap();
    let cask = options().open(dir.path()).unwrap().cask("c").unwrap();
    for (key, value) in &model {
        assert_eq!(cask.get(key.to_be_bytes()).unwrap().as_deref(), Some(&value[..]), "{key}");
    }
}
