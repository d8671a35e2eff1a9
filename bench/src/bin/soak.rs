//! `soak`: a store under a steady mix for a long time; says whether memory and disk stay flat and the log within its bound.

#![forbid(unsafe_code)]

use slotcask_bench::engine::Outcome;
use slotcask_bench::soak::{Soak, run};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Overwrites, deletes, lets vanish, scans and merges fixed and cask tables; memory and disk must stay flat, the log within its bound.

usage: soak [options]
  --seconds N   length of the mixed part (default 1200); the part that fills the log takes a tenth more
  --keys N      keys of the fixed table, ten times those of the cask table (default 1000000)
  --dir DIR     where the store is made, in a subdirectory that is removed again (default: soak.tmp)
  --json FILE   all samples

Exit code: 0 flat, 1 not flat, 2 wrong arguments or a failure.
example: soak --seconds 60 --keys 100000
";

fn main() -> ExitCode {
    match soak() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn soak() -> Outcome<ExitCode> {
    let mut soak = Soak {
        time: Duration::from_secs(1200),
        keys: 1_000_000,
        dir: "soak.tmp".into(),
        sample: Duration::from_secs(1),
    };
    let mut json = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--seconds" => soak.time = Duration::from_secs(next()?.parse()?),
            "--keys" => soak.keys = next()?.parse::<u64>()?.clamp(1, 1 << 31),
            "--dir" => soak.dir = next()?.into(),
            "--json" => json = Some(next()?),
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(format!("unknown argument {other}; see --help").into()),
        }
    }
    let show = std::io::stderr().is_terminal();
    let found = run(&soak, |line| {
        if show {
            eprint!("\r\x1b[K{line}");
        }
    })?;
    if show {
        eprintln!();
    }
    let _ = std::fs::remove_dir(&soak.dir);
    let all = found.json();
    if let Some(file) = json {
        std::fs::write(file, format!("{all:#}\n"))?;
    }
    for name in ["memory_bytes", "disk_bytes", "log_bytes"] {
        println!("{name:16} {}", all[name]);
    }
    let [fixed_puts, cask_puts, deletes, expired, scanned, merges] = found.counts;
    println!(
        "{fixed_puts} fixed puts, {cask_puts} cask writes, {deletes} of them deletes, {expired} vanished, {scanned} rows scanned, {merges} merges"
    );
    let faults = found.faults();
    for fault in &faults {
        println!("NOT FLAT: {fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
