//! `compare`: one workload over slotcask and its peers in one run; prints ratios and bars, writes JSON.

#![forbid(unsafe_code)]

use serde_json::{Value, json};
use slotcask_bench::args::{Args, HELP};
use slotcask_bench::bars::OURS;
use slotcask_bench::cask_child::{CASK_CHILD, CaskTask};
use slotcask_bench::child::{CHILD, Task};
use slotcask_bench::engine::Outcome;
use slotcask_bench::ordered_child::ORDERED_CHILD;
use slotcask_bench::report::Report;
use slotcask_bench::rows::cask::CaskRunner;
use slotcask_bench::rows::ordered::OrderedRunner;
use slotcask_bench::rows::{Runner, cask, open, ordered, ours, runners, stalls, sync};
use slotcask_bench::{machine, ordered_child, workload};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<ExitCode> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == CHILD).is_some() {
        let task = Task::parse(arguments)?;
        let runner = runners().into_iter().find(|runner| runner.name() == task.engine);
        runner.ok_or("unknown engine")?.perform(&task)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.next_if(|first| first == CASK_CHILD).is_some() {
        let task = CaskTask::parse(arguments)?;
        let runner = cask::runners().into_iter().find(|runner| runner.name() == task.engine);
        runner.ok_or("unknown engine")?.perform(&task)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.next_if(|first| first == ORDERED_CHILD).is_some() {
        ordered_child::perform(arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    let args = Args::parse(arguments)?;
    if args.help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(&args.dir)?;
    let engines = selected(&args)?;
    let Engines { fixed, casks, ordered: _ } = &engines;
    let machine = machine::facts(&args.dir);
    eprintln!("{machine:#}");
    let start = Instant::now();
    let report = measure(&args, &engines, start)?;
    // Only an empty directory is removed: the rows took their own subdirectories away.
    let _ = std::fs::remove_dir(&args.dir);

    print!("{}", report.table());
    let verdicts = report.verdicts();
    let short = verdicts.iter().filter(|(_, verdict)| !verdict.met).count();
    println!("{} bars judged, {short} short, {} s", verdicts.len(), start.elapsed().as_secs());
    let document = json!({
        "benchmark": "compare",
        "version": env!("CARGO_PKG_VERSION"),
        "unix_time": SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        "seconds": start.elapsed().as_secs(),
        "machine": machine,
        "parameters": {
            "keys": args.keys,
            "stall_keys": args.stall_keys,
            "cask_keys": args.cask_keys,
            "key_len": size_of::<workload::Key>(),
            "value_len": size_of::<workload::Value>(),
            "rounds": args.rounds,
            "seed": args.seed,
            "slice_ms": args.slice.as_millis() as u64,
            "engines": engines.names().into_iter().collect::<Vec<_>>(),
            "keys_by_engine": keys_by_engine(fixed.iter().map(|r| (r.name(), r.keys(args.keys)))),
            "cask_keys_by_engine": keys_by_engine(casks.iter().map(|r| (r.name(), r.keys(args.cask_keys)))),
        },
        "rows": report.json(),
    });
    std::fs::write(&args.json, format!("{document:#}\n"))?;
    println!("written to {}", args.json.display());
    Ok(if args.strict && short > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What takes part, by kinds of tables.
struct Engines {
    fixed: Vec<Box<dyn Runner>>,
    casks: Vec<Box<dyn CaskRunner>>,
    ordered: Vec<Box<dyn OrderedRunner>>,
}

impl Engines {
    fn names(&self) -> BTreeSet<&'static str> {
        let fixed = self.fixed.iter().map(|runner| runner.name());
        let casks = self.casks.iter().map(|runner| runner.name());
        fixed.chain(casks).chain(self.ordered.iter().map(|runner| runner.name())).collect()
    }
}

fn keys_by_engine(keys: impl Iterator<Item = (&'static str, u64)>) -> Value {
    keys.map(|(name, keys)| (name.to_owned(), json!(keys)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn selected(args: &Args) -> Outcome<Engines> {
    let mut engines =
        Engines { fixed: runners(), casks: cask::runners(), ordered: ordered::runners() };
    let known = engines.names();
    if let Some(unknown) = args.engines.iter().find(|name| !known.contains(name.as_str())) {
        return Err(format!("{unknown} is not built in; see --help").into());
    }
    let wanted = |name: &str| args.engines.is_empty() || args.engines.iter().any(|e| e == name);
    engines.fixed.retain(|runner| wanted(runner.name()));
    engines.casks.retain(|runner| wanted(runner.name()));
    engines.ordered.retain(|runner| wanted(runner.name()));
    Ok(engines)
}

fn measure(args: &Args, engines: &Engines, start: Instant) -> Outcome<Report> {
    let runners = &engines.fixed;
    let mut report = Report::default();
    let with_ours = runners.iter().any(|runner| runner.name() == OURS);
    let tell = |what: &str, round: u64| {
        eprintln!("[{:>4} s] {what}, round {}", start.elapsed().as_secs(), round + 1);
    };
    if args.wants("data") {
        for round in 0..args.rounds {
            for runner in runners {
                tell(&format!("data of {}", runner.name()), round);
                runner.data_round(args, round, &mut report)?;
            }
            if with_ours {
                tell("get_many, put_many and the raw probe", round);
                ours::data_round(args, round, &mut report)?;
            }
        }
    }
    if args.wants("sync") {
        for round in 0..args.rounds {
            if with_ours {
                tell("sync puts and the raw loops", round);
                sync::round_beside_raw(args, round, &mut report)?;
            }
            for runner in runners.iter().filter(|r| r.name() != OURS && r.syncs()) {
                tell(&format!("sync puts of {}", runner.name()), round);
                runner.sync_round(args, round, &mut report)?;
            }
        }
    }
    if args.wants("tickets") && with_ours {
        for round in 0..args.rounds {
            tell("tickets", round);
            ours::ticket_round(args, round, &mut report)?;
        }
    }
    if args.wants("stalls") && with_ours {
        tell("stalls", 0);
        stalls::run(args, &mut report)?;
    }
    if args.wants("open") {
        tell("open", 0);
        open::open_rows(args, runners, &mut report)?;
    }
    if args.wants("memory") {
        tell("memory", 0);
        open::memory_rows(args, runners, &mut report)?;
    }
    cask::run(args, &engines.casks, &mut report, &tell)?;
    ordered::run(args, &engines.ordered, &mut report, &tell)?;
    Ok(report)
}
