//! Every shell gets a script that knows the verbs.

use crate::common::slotcask;

#[test]
fn every_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = slotcask(&["completions", shell]).exits(0);
        for word in ["export", "ndjson", "torn-page-protection"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
    }
    slotcask(&["completions", "tcsh"]).fails(2).says("possible values: bash");
    slotcask(&["completions"]).fails(2).says("<SHELL>");
    slotcask(&["--json", "completions", "bash"]).fails(2);
}

#[test]
fn bash_takes_its_script() {
    let place = crate::common::Place::new();
    let script = slotcask(&["completions", "bash"]).exits(0).stdout;
    let file = place.file("slotcask.bash", script.as_bytes());
    match std::process::Command::new("bash").args(["-n", &file]).status() {
        Ok(status) => assert!(status.success()),
        // There is no bash here.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}
