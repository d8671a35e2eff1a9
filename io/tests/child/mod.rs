//! Tests that change a limit of their process take a process of their own.

use std::process::Command;

const CHILD: &str = "SLOTCASK_TEST_CHILD";

/// Runs `test` in a child of this process, in which the test `name`, the caller, runs alone.
pub fn in_child(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    assert!(child.status.success() && said.contains("1 passed"), "{}: {said}", child.status);
}
