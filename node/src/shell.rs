//! From arguments to an exit code: parsing, logging, signals, the verb, and what is said when it fails.

use crate::args::{Cli, Command, Global};
use crate::commands;
use crate::errors::{Exit, Failure};
use crate::output::Output;
use crate::signals;
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Runs the binary with these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error, asks_for_json(&arguments)),
    };
    say_panics_in_one_line();
    start_logging();
    signals::survive_file_size_limit();

    let mut output = Output::new(cli.global);
    let command = AssertUnwindSafe(|| {
        let exit = dispatch(&cli.command, &mut output)?;
        output.finish()?;
        Ok(exit)
    });
    // The hook has already said what happened.
    let result = catch_unwind(command).unwrap_or(Ok(Exit::Io));
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => explain(&failure, &mut output),
    }
}

fn dispatch(command: &Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Create(args) => commands::create::run(args, output),
        Command::Put(args) => commands::put::run(args, output),
        Command::Get(args) => commands::get::run(args, output),
        Command::Ttl(args) => commands::ttl::run(args, output),
        Command::Del(args) => commands::del::run(args, output),
        Command::Scan(args) => commands::scan::run(args, output),
        Command::Load(args) => commands::load::run(args, output),
        Command::Export(args) => commands::export::run(args, output),
        Command::Merge(args) => commands::merge::run(args, output),
        Command::Stat(args) => commands::stat::run(args, output),
        Command::Check(args) => commands::check::run(args, output),
        Command::Dump(args) => commands::dump::run(args, output),
        Command::Repair(args) => commands::repair::run(args, output),
        Command::Bench(args) => commands::bench::run(args, output),
        Command::Completions(args) => commands::completions::run(args, output),
    }
}

/// Says what failed and what to do about it. A reader that went away is not a failure: it has what it wanted.
fn explain(failure: &Failure, output: &mut Output) -> ExitCode {
    if failure.reader_went_away {
        output.abandon();
        return Exit::Done.into();
    }
    output.failure(failure);
    complain(&failure.what, &failure.help);
    failure.exit.into()
}

/// Whether arguments that could not be understood ask for JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}

fn refuse_usage(error: &clap::Error, json: bool) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asked_for {
        // Nobody is left to tell when the terminal is gone.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
    }
    let (what, tip) = first_paragraphs(&error.render().to_string());
    let help = tip.unwrap_or_else(|| "see slotcask --help, slotcask VERB --help".to_owned());
    let failure = Failure::usage(what, help);
    if json {
        Output::new(Global { json, hex: false, wait: Duration::ZERO }).failure(&failure);
    }
    complain(&failure.what, &failure.help);
    failure.exit.into()
}

/// The first paragraph of what clap says, on one line, and its tip when there is one.
fn first_paragraphs(message: &str) -> (String, Option<String>) {
    let mut paragraphs = message.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let tip = paragraphs.find_map(|paragraph| paragraph.trim_start().strip_prefix("tip: "));
    (one_line(first), tip.map(one_line))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One line that says what, and one that says what to do, on standard error.
pub fn complain(what: &str, help: &str) {
    let mut stderr = std::io::stderr().lock();
    // A failure to complain cannot be complained about.
    let _ = writeln!(stderr, "slotcask: {}", one_line(what));
    if !help.is_empty() {
        let _ = writeln!(stderr, "  help: {}", one_line(help));
    }
}

/// Whoever runs the binary gets a sentence and not a backtrace, on whatever thread it happens.
fn say_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        complain(
            &format!("internal error at {}: {text}", place.unwrap_or_default()),
            "this is a bug; please report it with the command that led here. The store recovers at its next opening",
        );
    }));
}

fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_becomes_one_line() {
        let error = Cli::try_parse_from(["slotcask", "get", "dir"]).unwrap_err();
        let (what, tip) = first_paragraphs(&error.render().to_string());
        assert_eq!(what, "the following required arguments were not provided: <TABLE> <KEY>");
        assert_eq!(tip, None);
        let error = Cli::try_parse_from(["slotcask", "get", "--jso"]).unwrap_err();
        let (what, tip) = first_paragraphs(&error.render().to_string());
        assert_eq!(what, "unexpected argument '--jso' found");
        assert_eq!(tip.as_deref(), Some("a similar argument exists: '--json'"));
    }
}
