//! The loop of `load`: read, parse, write in batches, sync, report.

use super::lines::{Lines, Next};
use super::report::{Report, Stopped};
use super::row::{Encoding, Row, RowParser};
use crate::commands::load::{LoadArgs, When};
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, Lengths};
use crate::output::Output;
use crate::signals::Interrupt;
use crate::text::number;
use indicatif::{ProgressBar, ProgressStyle};
use slotcask::{Error, Store, WriteOptions};
use std::time::Instant;

/// Rows of one batch take at most about this much memory, whatever `--batch` says.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Loads the input into the table and reports, whatever happens on the way.
pub fn run(args: &LoadArgs, output: &mut Output) -> Result<Exit, Failure> {
    let lines = Lines::open(args.file.as_deref())?;
    // Whoever says what the table is like wants it made, and the store with it.
    let may_create = args.shape.is_given();
    let store = opening::for_loading(&args.at.dir, may_create, output.wait())?;
    let (table, table_created) = open_table(args, &store)?;
    let encoding = match (output.is_hex(), args.escaped) {
        (true, _) => Encoding::Hex,
        (false, true) => Encoding::Escaped,
        (false, false) => Encoding::Plain,
    };
    let lengths = table.lengths();
    let parser = RowParser { key_from: args.key, encoding, lengths, pad: args.pad };
    let batch_len = if lengths.exact {
        args.batch.get().min(BATCH_BYTES_MAX / (lengths.key + lengths.value).max(1))
    } else {
        args.batch.get()
    };
    let mut loader = Loader {
        table: &table,
        options: WriteOptions::new().durability(args.durability.durability()),
        bar: progress(&lines),
        lines,
        parser,
        batch: Vec::new(),
        batch_bytes: 0,
        batch_len: batch_len.max(1),
        acknowledged: 0,
    };
    let start = Instant::now();
    let mut ended = loader.load(&Interrupt::install());
    let durable = loader.make_durable(&store, args.durability, &mut ended);
    loader.bar.finish_and_clear();

    let report = Report {
        acknowledged: loader.acknowledged,
        durable,
        bytes: loader.lines.bytes(),
        elapsed: start.elapsed(),
        durability: args.durability.name(),
        table_rows: table.len(),
        table_created,
        stopped: ended
            .as_ref()
            .err()
            .map(|failure| Stopped { line: loader.lines.number(), reason: failure.what.clone() }),
    };
    output.result(&report.object(), &report.text())?;
    ended?;
    store.close()?;
    Ok(Exit::Done)
}

/// Opens the table; makes it when it is not there and its lengths are given.
fn open_table(args: &LoadArgs, store: &Store) -> Result<(AnyTable, bool), Failure> {
    let wanted = args.shape.lengths();
    match AnyTable::open(store, &args.at.table) {
        Ok(table) => {
            let found = table.lengths();
            match wanted.map(|(key, value)| Lengths { key, value, exact: found.exact }) {
                Some(wanted) if wanted != found => Err(Failure::usage(
                    format!(
                        "table {} has keys of {} and values of {} bytes, not {} and {}",
                        args.at.table, found.key, found.value, wanted.key, wanted.value
                    ),
                    "leave out --key-len and --value-len, or load another table",
                )),
                _ => Ok((table, false)),
            }
        }
        Err(error @ Error::NoSuchTable { .. }) => {
            if args.shape.create(store, &args.at.table)? {
                return Ok((AnyTable::open(store, &args.at.table)?, true));
            }
            let mut failure = Failure::from(error);
            failure.help =
                "give --key-len and --value-len, or --kind cask, to create it".to_owned();
            Err(failure)
        }
        Err(error) => Err(error.into()),
    }
}

/// A bar on a terminal; nothing where standard error is no terminal.
fn progress(lines: &Lines) -> ProgressBar {
    let (bar, template) = match lines.size() {
        Some(size) => {
            (ProgressBar::new(size), "load {bytes} of {total_bytes} {wide_bar} {msg} {eta}")
        }
        None => (ProgressBar::new_spinner(), "load {bytes} {msg} {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

struct Loader<'a> {
    table: &'a AnyTable,
    options: WriteOptions,
    bar: ProgressBar,
    lines: Lines,
    parser: RowParser,
    batch: Vec<Row>,
    batch_bytes: usize,
    batch_len: usize,
    acknowledged: u64,
}

impl Loader<'_> {
    /// Reads to the end or to the first line that cannot be loaded. All lines before that one are written.
    fn load(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        let mut line = Vec::new();
        loop {
            if interrupt.is_requested() {
                self.write()?;
                return Err(Failure::new(
                    Exit::Interrupted,
                    format!(
                        "interrupted after line {} of {}",
                        self.lines.number(),
                        self.lines.name()
                    ),
                    "run the same load again to complete it",
                ));
            }
            match self.next_row(&mut line) {
                Ok(Some(row)) => {
                    self.batch_bytes += row.0.len() + row.1.len();
                    self.batch.push(row);
                }
                Ok(None) => return self.write(),
                Err(failure) => {
                    self.write()?;
                    return Err(failure);
                }
            }
            if self.batch.len() >= self.batch_len || self.batch_bytes >= BATCH_BYTES_MAX {
                self.write()?;
            }
        }
    }

    fn next_row(&mut self, line: &mut Vec<u8>) -> Result<Option<Row>, Failure> {
        let limit = self.parser.line_len_max();
        let next = self.lines.next(line, limit);
        match next.map_err(|error| Failure::stream(self.lines.name(), &error))? {
            Next::End => Ok(None),
            Next::TooLong => Err(self
                .bad_line(&format!("it has over {limit} bytes, more than any row of the table"))),
            Next::Line => {
                let row = self.parser.parse(self.lines.number(), line);
                row.map(Some).map_err(|reason| self.bad_line(&reason))
            }
        }
    }

    fn bad_line(&self, reason: &str) -> Failure {
        let escapes = if self.parser.encoding == Encoding::Plain {
            "; a file that export wrote needs --escaped"
        } else {
            ""
        };
        Failure::usage(
            format!("{} line {}: {reason}", self.lines.name(), self.lines.number()),
            format!(
                "correct the line and run the same load again; the lines before it are loaded{escapes}"
            ),
        )
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.table.put_many(&self.batch, &self.options)?;
        self.acknowledged += self.batch.len() as u64;
        self.batch.clear();
        self.batch_bytes = 0;
        self.bar.set_position(self.lines.bytes());
        self.bar.set_message(format!("{} rows", number(self.acknowledged)));
        Ok(())
    }

    /// Syncs what was acknowledged, also after a failure; returns how many rows are known to be durable. The first
    /// failure is the one to report.
    fn make_durable(&self, store: &Store, when: When, ended: &mut Result<(), Failure>) -> u64 {
        match store.sync() {
            Ok(()) => self.acknowledged,
            Err(error) => {
                if ended.is_ok() {
                    *ended = Err(error.into());
                }
                if when == When::Sync { self.acknowledged } else { 0 }
            }
        }
    }
}
