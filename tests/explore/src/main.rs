//! The command line of the explorer.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;
use slotcask_explore::crash::{self, Budget, Tally};
use slotcask_explore::cuts::replay;
use slotcask_explore::{
    catalogue, damage, interleave, io_error, kill, killed, lengths, manifest, mutants, pairs, race,
    resurrect,
};
use slotcask_io::sim::Profile;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// An exploration of so many states comes to every row of the end of the log that a crash can leave.
const ROWS_FROM: u64 = 50_000;

/// Explores what slotcask does when power, media, calls and processes fail. Exit code 0 without violations, 1 with.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example: slotcask-explore crash --states 100000")]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Medium {
    /// A sector of 512 bytes in flight is old or new.
    #[value(name = "512")]
    Sector,
    /// A block of 4096 bytes in flight may be garbage; needs torn page protection.
    #[value(name = "4k")]
    Block,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Component {
    /// Fixed tables.
    Fixed,
    /// Cask tables beside fixed ones.
    Cask,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Power loss at every I/O call, with every legal remainder, and again inside the recovery.
    Crash {
        /// Distinct states at least; all strings of up to three operations are explored in any case.
        #[arg(long, default_value_t = 100_000)]
        states: u64,
        /// Longest time.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// Seed of the random lives.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// What the medium writes as a whole.
        #[arg(long, value_enum, default_value = "512")]
        profile: Medium,
        /// Turn torn page protection on.
        #[arg(long)]
        protected: bool,
        /// Which tables the lives have.
        #[arg(long, value_enum, default_value = "fixed")]
        component: Component,
        /// Replays SCRIPT:EVENT as a violation names it.
        #[arg(long)]
        reproduce: Option<String>,
    },
    /// Single flipped bits in every kind of file.
    Bitflip {
        /// Flips.
        #[arg(long, default_value_t = 10_000)]
        flips: u64,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Misdirected, swapped, stale, zeroed sectors; truncated, missing, foreign files.
    Misplace {
        /// Faults.
        #[arg(long, default_value_t = 10_000)]
        faults: u64,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Every call fails in turn.
    IoError {
        /// Scripts, spread over all strings of up to three operations.
        #[arg(long, default_value_t = 20)]
        scripts: u64,
        /// Lives at most.
        #[arg(long, default_value_t = u64::MAX)]
        lives: u64,
        /// Which tables the lives have.
        #[arg(long, value_enum, default_value = "fixed")]
        component: Component,
    },
    /// Real processes, killed.
    Kill {
        /// Kills.
        #[arg(long, default_value_t = 100)]
        cycles: u64,
        /// Which tables the processes write.
        #[arg(long, value_enum, default_value = "fixed")]
        component: Component,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Simulated processes that die one after the other at every call, and then the power goes.
    Killed {
        /// Last calls of each life at which a process dies.
        #[arg(long, default_value_t = 25)]
        calls: usize,
        /// Which tables the lives have.
        #[arg(long, value_enum, default_value = "fixed")]
        component: Component,
    },
    /// Changes of the catalogue over two shards, cut short everywhere.
    Catalogue,
    /// Lengths of compressed values that lie.
    Lengths,
    /// The process that `kill` kills.
    #[command(hide = true)]
    KillChild {
        dir: PathBuf,
        #[arg(long)]
        from: u64,
        #[arg(long)]
        sync: bool,
    },
    /// Overwrites, deletes, expiries, range deletes and merges of one key in every order, and every way to reopen: nothing comes back.
    Resurrect {
        /// Longest sequence.
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=8))]
        steps: u32,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// Only this sequence.
        #[arg(long)]
        reproduce: Option<u64>,
    },
    /// Manifests that lost their last records.
    Manifest {
        /// Random scripts.
        #[arg(long, default_value_t = 20)]
        scripts: u64,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// A writer beside merges, with real threads.
    Race {
        /// Writes.
        #[arg(long, default_value_t = 100_000)]
        writes: u64,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// One operation in the middle of another, at every call of the disk, with real threads.
    Interleave {
        /// Places at least.
        #[arg(long, default_value_t = 20_000)]
        places: u64,
        /// First pair; the first few are chosen, the others random.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// Replays PAIR:PLACE as a violation names it.
        #[arg(long, value_parser = pair_of)]
        reproduce: Option<(u64, u64)>,
    },
    /// Two clients at once, each with keys of its own: at every call of the disk that one makes, the other does something.
    Pairs {
        /// Takes every Nth call.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        step: u64,
        /// Threads.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
        threads: u64,
    },
    /// Planted bugs; needs a build with RUSTFLAGS="--cfg slotcask_mutants".
    Mutants {
        /// Takes every Nth.
        #[arg(long, default_value_t = 1)]
        every: usize,
        /// Takes the one with this name.
        #[arg(long)]
        only: Option<String>,
        /// Longest time of each crash exploration.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
}

/// Runs the parts of something in as many threads.
fn in_parts<T: Send>(threads: u64, run: impl Fn(u64, u64) -> T + Sync) -> Vec<T> {
    let run = &run;
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            (0..threads).map(|part| scope.spawn(move || run(part, threads))).collect();
        parts.into_iter().map(|part| part.join().expect("a violation is no panic")).collect()
    })
}

fn pair_of(text: &str) -> Result<(u64, u64), String> {
    let (pair, place) = text.split_once(':').ok_or("PAIR:PLACE is asked for, such as 12:34")?;
    let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    Ok((number(pair)?, number(place)?))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let started = Instant::now();
    // Panics inside an explored store are findings: they are reported with what led to them.
    std::panic::set_hook(Box::new(|info| {
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            eprintln!("{info}");
        }
    }));
    let (figures, violations) = match args.command {
        Command::Crash {
            states,
            seconds,
            seed,
            threads,
            profile,
            protected,
            component,
            reproduce,
        } => {
            let profile =
                if profile == Medium::Sector { Profile::Sector512 } else { Profile::Block4k };
            let budget = Budget {
                states,
                time: Duration::from_secs(seconds),
                seed,
                profile,
                protected,
                part: (0, 1),
                cask: component == Component::Cask,
            };
            run_crash(&budget, threads.max(1), reproduce.as_deref())
        }
        Command::Bitflip { flips, seed } => run_damage(flips, seed, false),
        Command::Misplace { faults, seed } => run_damage(faults, seed, true),
        Command::IoError { scripts, lives, component } => {
            let tally = io_error::run(scripts, lives, component == Component::Cask);
            (
                json!({"lives": tally.lives, "faults met": tally.fired, "poisoned": tally.poisoned, "refused": tally.refused}),
                tally.violations,
            )
        }
        Command::Kill { cycles, component, seed } => {
            match kill::run(cycles, seed, component == Component::Cask) {
                Ok(tally) => (
                    json!({"cycles": tally.cycles, "acknowledged": tally.acknowledged, "unacknowledged tails lost": tally.lost_tails}),
                    tally.violations,
                ),
                Err(error) => (json!({}), vec![error.to_string()]),
            }
        }
        Command::KillChild { dir, from, sync } => {
            return match kill::child(&dir, from, sync) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            };
        }
        Command::Killed { calls, component } => {
            let tally = killed::run(component == Component::Cask, calls);
            (
                json!({"processes killed": tally.killed, "distinct states": tally.states}),
                tally.violation.into_iter().collect(),
            )
        }
        Command::Catalogue => {
            let (opened, violation) = catalogue::run();
            (json!({"stores opened": opened}), violation.into_iter().collect())
        }
        Command::Lengths => {
            let (tried, violation) = lengths::run();
            (json!({"lengths tried": tried}), violation.into_iter().collect())
        }
        Command::Resurrect { steps, threads, reproduce } => {
            let (tried, judged, violations) = resurrect::run(steps, threads, reproduce);
            (json!({"sequences": tried, "openings judged": judged}), violations)
        }
        Command::Manifest { scripts, seed } => {
            let tally = manifest::run(scripts, 1, seed);
            (
                json!({"manifests cut": tally.tried, "refused": tally.refused}),
                tally.violation.into_iter().collect(),
            )
        }
        Command::Race { writes, seed } => {
            let (merges, violation) = race::run(writes, seed);
            (json!({"merges": merges, "writes": writes}), violation.into_iter().collect())
        }
        Command::Interleave { places, seed, threads, reproduce } => {
            let tallies = match reproduce {
                Some((pair, place)) => vec![interleave::run(pair, 1, 1, Some(place))],
                None => in_parts(threads.max(1), |part, threads| {
                    interleave::run(seed + part, threads, places.div_ceil(threads), None)
                }),
            };
            let sum = |count: fn(&interleave::Tally) -> u64| tallies.iter().map(count).sum::<u64>();
            (
                json!({
                    "pairs": sum(|tally| tally.trials),
                    "places": sum(|tally| tally.places),
                    "had to wait": sum(|tally| tally.waited),
                    "openings judged": sum(|tally| tally.judged),
                }),
                tallies.iter().filter_map(|tally| tally.violation.clone()).collect(),
            )
        }
        Command::Pairs { step, threads } => {
            let tallies = in_parts(threads, |part, threads| pairs::run(part, threads, step));
            let sum = |count: fn(&pairs::Tally) -> u64| tallies.iter().map(count).sum::<u64>();
            (
                json!({"places": sum(|tally| tally.places), "had to wait": sum(|tally| tally.waited)}),
                tallies.iter().filter_map(|tally| tally.violation.clone()).collect(),
            )
        }
        Command::Mutants { every, only, seconds } => {
            if !mutants::pick(None) {
                eprintln!(
                    "this build has no planted bugs; build with RUSTFLAGS=\"--cfg slotcask_mutants\" and a target directory of its own"
                );
                return ExitCode::from(2);
            }
            let outcomes = mutants::run(every, only.as_deref(), seconds, |outcome| {
                let by = outcome.caught_by.as_deref().unwrap_or("NOT CAUGHT");
                let by: String = by.chars().take(140).collect();
                eprintln!("{:28} {:5.1} s  {by}", outcome.name, outcome.elapsed.as_secs_f64());
            });
            let missed: Vec<String> = outcomes
                .iter()
                .filter(|outcome| outcome.caught_by.is_none())
                .map(|outcome| format!("{} was not caught", outcome.name))
                .collect();
            let caught = |cask| {
                let of_it = || outcomes.iter().filter(|outcome| outcome.cask == cask);
                let caught = of_it().filter(|outcome| outcome.caught_by.is_some()).count();
                format!("{caught} / {}", of_it().count())
            };
            let all = format!("{} / {}", outcomes.len() - missed.len(), outcomes.len());
            (
                json!({"caught / planted": all, "durable core": caught(false), "cask tables": caught(true)}),
                missed,
            )
        }
    };
    finish(args.json, figures, &violations, started)
}

fn finish(
    as_json: bool,
    mut figures: serde_json::Value,
    violations: &[String],
    started: Instant,
) -> ExitCode {
    figures["violations"] = json!(violations.len());
    figures["seconds"] = json!((started.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    if as_json {
        figures["details"] = json!(violations);
        println!("{figures}");
    } else {
        for violation in violations {
            println!("VIOLATION {violation}");
        }
        let text: Vec<String> = figures
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        println!("{}", text.join(", "));
    }
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn run_crash(
    budget: &Budget,
    threads: u64,
    reproduce: Option<&str>,
) -> (serde_json::Value, Vec<String>) {
    let started = Instant::now();
    let mut tally = Tally::default();
    if let Some(case) = reproduce {
        let (script, event) = case.split_once(':').unwrap_or((case, ""));
        let (number, event) = (script.parse().unwrap_or(0), event.parse().ok());
        let script = crash::script(number, budget.cask);
        let cut = replay(&script, event.unwrap_or(u64::MAX), budget.profile, budget.protected);
        eprintln!(
            "script {:?}, {} events, trace {:016x}",
            script.ops,
            cut.disk.io_count(),
            cut.disk.trace_hash()
        );
        tally = crash::reproduce(number, event, budget);
    } else {
        let show = std::io::stderr().is_terminal();
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..threads)
                .map(|part| {
                    let budget = Budget { part: (part, threads), ..*budget };
                    scope.spawn(move || {
                        let mut directed = match part {
                            0 => crash::directed_whole(&budget),
                            _ => Tally::default(),
                        };
                        let explored = crash::explore(&budget, |tally| {
                            if show && part == 0 && tally.lives % 50 == 0 {
                                eprint!(
                                    "\r{} lives, {} states",
                                    tally.lives * threads,
                                    tally.states * threads
                                );
                            }
                        });
                        directed.merge(explored);
                        directed
                    })
                })
                .collect();
            for part in parts {
                tally.merge(part.join().expect("a violation is no panic"));
            }
        });
    }
    let legal: Vec<&str> =
        slotcask_log::recovery::ROWS.iter().filter(|row| row.legal).map(|row| row.name).collect();
    let missing: Vec<&str> =
        legal.iter().copied().filter(|row| !tally.rows.contains(row)).collect();
    if tally.states >= ROWS_FROM {
        let missed = |row| format!("nothing came to the row {row:?} of the end of the log");
        tally.violations.extend(missing.iter().map(missed));
    }
    let figures = json!({
        "distinct states": tally.states,
        "states per second": (tally.states as f64 / started.elapsed().as_secs_f64()).round(),
        "by a second crash": tally.second,
        "lives": tally.lives,
        "rows hit": tally.rows,
        "legal rows not hit": missing,
        "trace": format!("{:016x}", tally.trace),
    });
    (figures, tally.violations)
}

fn run_damage(count: u64, seed: u64, misplace: bool) -> (serde_json::Value, Vec<String>) {
    let tally = damage::run(count, seed, misplace);
    let figures = json!({
        "faults": tally.tried,
        "refused": tally.refused,
        "reported": tally.reported,
        "harmless": tally.harmless,
        "silent": tally.silent.len(),
        "files": tally.files,
    });
    (figures, tally.silent)
}
