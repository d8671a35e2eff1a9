//! The fuzzer's command line: `cargo run --release -p slotcask-fuzz -- --target all --seconds 60`.

#![forbid(unsafe_code)]

use slotcask_fuzz::{CANARIES, Limits, Outcome, Report, TARGETS, Target, find, fuzz, replay};
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
slotcask-fuzz: runs the decoders of slotcask over changed golden files

  --target NAME|all   what to run (default: all)
  --executions N      most executions a target (default: 1000000)
  --seconds MAX       most time a target, in seconds (default: no limit)
  --seed S            seed of the inputs (default: 1)
  --canaries          run the canaries instead; fails when one is not found
  --input HEX         run one input of --target, and say what it did
  --list              names of targets and canaries

Exit code: 0 nothing found, 1 a target panicked or a canary was not found, 2 wrong arguments.";

struct Options {
    target: String,
    executions: u64,
    seconds: Option<u64>,
    seed: u64,
    canaries: bool,
    input: Option<Vec<u8>>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let targets: Vec<Target> = match (&*options.target, options.canaries) {
        (_, true) => CANARIES.to_vec(),
        ("all", false) => TARGETS.to_vec(),
        (name, false) => match find(name) {
            Some(target) => vec![target],
            None => {
                eprintln!("no target is named {name}; --list names them");
                return ExitCode::from(2);
            }
        },
    };
    if let Some(input) = &options.input {
        return reproduce(&targets, input);
    }
    let good = run(&targets, &options);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs all targets; true when everything is as it should be.
fn run(targets: &[Target], options: &Options) -> bool {
    let limits = Limits {
        executions: options.executions,
        time: options.seconds.map_or(Duration::MAX, Duration::from_secs),
        stop_at_failure: options.canaries,
    };
    println!(
        "{:<24} {:>14} {:>12} {:>9} {:>8}",
        "target", "executions", "exec/s", "accepted", "crashes"
    );
    let mut good = true;
    let mut total = 0;
    for target in targets {
        let report = fuzz(target, options.seed, limits);
        total += report.executions;
        print(target.name, &report);
        good &= report.failures.is_empty() != options.canaries;
        if options.canaries {
            match report.failures.first() {
                Some(failure) => println!("  found after {} executions", failure.execution),
                None => println!("  NOT FOUND"),
            }
            continue;
        }
        for failure in &report.failures {
            println!("  execution {}: {}", failure.execution, failure.message);
            println!("  --target {} --input {}", target.name, hex(&failure.input));
        }
    }
    println!("{total} executions, seed {}", options.seed);
    good
}

fn print(name: &str, report: &Report) {
    let seconds = report.time.as_secs_f64().max(1e-9);
    println!(
        "{name:<24} {:>14} {:>12.0} {:>8.1}% {:>8}",
        report.executions,
        report.executions as f64 / seconds,
        100.0 * report.accepted as f64 / report.executions.max(1) as f64,
        report.crashes
    );
}

fn reproduce(targets: &[Target], input: &[u8]) -> ExitCode {
    let [target] = targets else {
        eprintln!("--input needs one --target");
        return ExitCode::from(2);
    };
    match replay(target, input) {
        Ok(Outcome::Accepted) => println!("{}: accepted", target.name),
        Ok(Outcome::Rejected) => println!("{}: rejected", target.name),
        Err(message) => {
            println!("{}: {message}", target.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        target: "all".to_owned(),
        executions: 1_000_000,
        seconds: None,
        seed: 1,
        canaries: false,
        input: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| {
            text.replace('_', "").parse::<u64>().map_err(|_| format!("{text} is not a number"))
        };
        match &*argument {
            "--target" => options.target = value()?,
            "--executions" => options.executions = number(value()?)?,
            "--seconds" => options.seconds = Some(number(value()?)?),
            "--seed" => options.seed = number(value()?)?,
            "--canaries" => options.canaries = true,
            "--input" => options.input = Some(unhex(&value()?)?),
            "--list" => {
                TARGETS.iter().chain(CANARIES).for_each(|target| println!("{}", target.name));
                return Ok(None);
            }
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(None);
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(Some(options))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string");
        out
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err("--input is an even number of hexadecimal digits".to_owned());
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|error| error.to_string()))
        .collect()
}
