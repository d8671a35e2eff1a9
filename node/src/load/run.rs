//! The loop of `load`: read, parse, write in batches, sync, report.

use super::input::Input;
use super::key::KeyFrom;
use super::report::{Report, Stopped};
use super::row::{Encoding, Row, RowParser};
use super::source::Source;
use crate::commands::load::{LoadArgs, When};
use crate::errors::{Exit, Failure};
use crate::formats::Format;
use crate::opening::{self, AnyTable, Lengths};
use crate::output::Output;
use crate::signals::Interrupt;
use crate::text::number;
use indicatif::{ProgressBar, ProgressStyle};
use slotcask::{Durability, Error, Store, WriteOptions};
use std::num::NonZeroU64;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Rows of one batch take at most about this much memory, whatever `--batch` says.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Loads the input into the table and reports, whatever happens on the way.
pub fn run(args: &LoadArgs, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.format.of(args.file.as_deref());
    args.format.check(format, args.escaped.then_some("--escaped"))?;
    if format == Format::Ndjson && args.key.is_some() {
        return Err(Failure::usage(
            "--key is about lines and columns; the objects of NDJSON name their keys",
            "leave out --key, or take whole lines as values: --format tsv --key line",
        ));
    }
    args.shape.check()?;
    let input = Input::open(args.file.as_deref())?;
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
    let key_from = args.key.unwrap_or(KeyFrom::Column(0));
    let parser = RowParser { key_from, encoding, lengths, pad: args.pad };
    let batch_len = if lengths.exact {
        args.batch.get().min(BATCH_BYTES_MAX / (lengths.key + lengths.value).max(1))
    } else {
        args.batch.get()
    };
    let mut loader = Loader {
        table: &table,
        store: &store,
        durability: args.durability.durability(),
        bar: progress(&input),
        source: Source::new(input, format, args.format.header, parser),
        batch: Vec::new(),
        runs: Vec::new(),
        batch_bytes: 0,
        batch_len: batch_len.max(1),
        acknowledged: 0,
        refused: None,
    };
    let start = Instant::now();
    let mut ended = loader.load(&Interrupt::install());
    let durable = loader.make_durable(&store, args.durability, &mut ended);
    loader.bar.finish_and_clear();

    let report = Report {
        acknowledged: loader.acknowledged,
        durable,
        bytes: loader.source.input().bytes(),
        elapsed: start.elapsed(),
        durability: args.durability.name(),
        table_rows: table.len(),
        table_created,
        stopped: ended.as_ref().err().map(|failure| Stopped {
            line: loader.refused.unwrap_or(loader.source.number()),
            reason: failure.what.clone(),
        }),
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
            args.shape.check_kind(&args.at.table, !found.exact)?;
            args.shape.check_there(&table.info())?;
            let up_to = if found.exact { "" } else { "at most " };
            match wanted.map(|(key, value)| Lengths { key, value, exact: found.exact }) {
                Some(wanted) if wanted != found => Err(Failure::usage(
                    format!(
                        "table {} has keys of {up_to}{} and values of {up_to}{} bytes, not {} and {}",
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
fn progress(input: &Input) -> ProgressBar {
    let (bar, template) = match input.size() {
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
    store: &'a Store,
    durability: Durability,
    bar: ProgressBar,
    source: Source,
    batch: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rows of the batch that are written with the same options, in order.
    runs: Vec<Run>,
    batch_bytes: usize,
    batch_len: usize,
    acknowledged: u64,
    /// The line whose row the table did not take.
    refused: Option<u64>,
}

/// Rows of a batch that have the same time to live.
#[derive(Debug, Clone)]
struct Run {
    /// Their places in the batch.
    rows: Range<usize>,
    /// The line of the first.
    line: u64,
    ttl_ms: Option<NonZeroU64>,
}

impl Loader<'_> {
    /// Reads to the end or to the first line that cannot be loaded. All lines before that one are written.
    fn load(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        loop {
            if interrupt.is_requested() {
                self.write()?;
                return Err(Failure::new(
                    Exit::Interrupted,
                    format!(
                        "interrupted after line {} of {}",
                        self.source.number(),
                        self.source.input().name()
                    ),
                    "run the same load again to complete it",
                ));
            }
            match self.source.next() {
                Ok(Some(row)) => match self.table.check_pair(&row.key, &row.value) {
                    Ok(()) => self.push(row),
                    Err(error) => {
                        self.write()?;
                        let line = self.source.number();
                        self.refused = Some(line);
                        return Err(self.source.bad_line(line, &error.to_string()));
                    }
                },
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

    fn push(&mut self, row: Row) {
        let Row { key, value, ttl_ms } = row;
        let index = self.batch.len();
        self.batch_bytes += key.len() + value.len();
        self.batch.push((key, value));
        match self.runs.last_mut() {
            Some(run) if run.ttl_ms == ttl_ms => run.rows.end = index + 1,
            _ => {
                let line = self.source.number();
                self.runs.push(Run { rows: index..index + 1, line, ttl_ms });
            }
        }
    }

    /// Writes the batch.
    fn write(&mut self) -> Result<(), Failure> {
        let runs = std::mem::take(&mut self.runs);
        // A sync for the whole batch, not one for each time to live.
        let many = runs.len() > 1;
        let durability = if many { Durability::Buffered } else { self.durability };
        let mut written = 0;
        let mut outcome = Ok(());
        for run in &runs {
            outcome = self.write_run(run, durability);
            if outcome.is_err() {
                break;
            }
            written += run.rows.len() as u64;
        }
        if many && self.durability == Durability::Sync {
            let synced = self.store.sync().map_err(Failure::from);
            if synced.is_err() {
                written = 0;
            }
            outcome = outcome.and(synced);
        }
        self.acknowledged += written;
        self.batch.clear();
        self.batch_bytes = 0;
        self.bar.set_position(self.source.input().bytes());
        self.bar.set_message(format!("{} rows", number(self.acknowledged)));
        outcome
    }

    fn write_run(&mut self, run: &Run, durability: Durability) -> Result<(), Failure> {
        let mut options = WriteOptions::new().durability(durability);
        if let Some(ttl_ms) = run.ttl_ms {
            options = options.ttl(Duration::from_millis(ttl_ms.get()));
        }
        self.table.put_many(&self.batch[run.rows.clone()], &options).map_err(|error| {
            let failure = Failure::from(error);
            // Lengths were looked at before: what is wrong with the rows is their time to live.
            if failure.exit == Exit::Usage && run.ttl_ms.is_some() {
                self.refused = Some(run.line);
                return self.source.bad_line(run.line, &failure.what);
            }
            failure
        })
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
