//! `export`: all rows of a table, in the format asked for.

use crate::errors::{Exit, Failure};
use crate::formats::{Format, FormatArgs};
use crate::opening::{self, AnyTable, TableArgs};
use crate::output::Output;
use crate::rows::{Layout, RowFormat, RowWriter, Written};
use crate::shell::complain;
use crate::text::{Style, count};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Formats:
  tsv     key, tab, value, one line a row. What a line cannot hold is escaped: \\t \\n \\r \\0 \\\\, and \
\\xNN for other control characters and bytes that are not UTF-8; `load --escaped` reads them back. \
--raw writes no escapes: then a tab or newline inside a row makes the line ambiguous.
  csv     key, comma, value. Fields with a comma, quote or line end are in quotes (RFC 4180); all other \
bytes stand as they are, UTF-8 or not. With --hex, hex digits.
  ndjson  {\"key\": \"..\", \"value\": \"..\"}, one object a line; key_hex and value_hex with hex digits \
where bytes are not UTF-8, or always with --hex; ttl_ms, the milliseconds that are left, where a value \
has a time to live. The other formats leave that out, and say so.

Whatever the bytes, `load` reads back exactly what export wrote (of tsv with --escaped). \
Rows come in no particular order. \
The store is held while its rows are written: to load them into the same store, go by a file. A file is complete and synced when the exit code is 0.

Examples:
  slotcask export db users --unpad > users.tsv
  slotcask export db users --output users.tsv
  slotcask export db users --output users.csv --header --unpad
  slotcask export db pages --format ndjson | slotcask load copy pages --format ndjson --kind cask
  slotcask export db users | slotcask load copy users --escaped
  slotcask --hex export db users | sort";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    #[command(flatten)]
    at: TableArgs,
    /// Write to this new file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    /// Write keys and values without the zeros at their ends
    #[arg(long)]
    unpad: bool,
    /// Write bytes as they are, without escapes (tsv)
    #[arg(long, conflicts_with_all = ["json", "hex"])]
    raw: bool,
}

/// Writes the rows.
pub fn run(args: &ExportArgs, output: &mut Output) -> Result<Exit, Failure> {
    let format = format(args, output)?;
    let store = opening::for_reading(&args.at.dir, output.wait())?;
    let table = AnyTable::open(&store, &args.at.table)?;
    let written = match &args.output {
        Some(path) => to_file(&table, path, format, output)?,
        None => write_rows(&table, &mut *output, format, Failure::stdout)?.0,
    };
    store.close()?;
    if written.ttl_left_out > 0 {
        output.finish()?;
        complain(
            &format!(
                "{} had a time to live, which is left out: tsv and csv have no place for it",
                count(written.ttl_left_out, "row")
            ),
            "--format ndjson keeps it",
        );
    }
    Ok(Exit::Done)
}

/// How rows are written. `--json` makes one array of them, unless a format was asked for.
fn format(args: &ExportArgs, output: &Output) -> Result<RowFormat, Failure> {
    let path = args.output.as_deref();
    let layout = match args.format.format.or_else(|| path.and_then(Format::of)) {
        Some(format) if output.is_json() && path.is_none() => {
            return Err(Failure::usage(
                format!("--json prints one array, --format {} does not", format.name()),
                "choose one of them; --format ndjson prints one object a line",
            ));
        }
        Some(format) => Layout::from(format),
        None if output.is_json() => Layout::Array,
        None if path.and_then(Path::extension).is_some_and(|ending| ending == "json") => {
            return Err(Failure::usage(
                "the ending .json does not say whether it is to be one array or an object a line",
                "give --json for an array, or --format ndjson",
            ));
        }
        None => Layout::Tsv,
    };
    match layout {
        Layout::Array if args.format.header => {
            return Err(Failure::usage("a JSON array has no header", "leave out --header"));
        }
        Layout::Array => {}
        _ => args.format.check(args.format.of(path), args.raw.then_some("--raw"))?,
    }
    let style = if args.raw { Style::Raw } else { output.style() };
    Ok(RowFormat { layout, header: args.format.header, style, unpad: args.unpad })
}

fn write_rows<W: Write>(
    table: &AnyTable,
    out: W,
    format: RowFormat,
    failed: impl Fn(&std::io::Error) -> Failure,
) -> Result<(Written, W), Failure> {
    let mut rows = RowWriter::begin(out, format).map_err(|error| failed(&error))?;
    for row in table.rows() {
        rows.row(&row?).map_err(|error| failed(&error))?;
    }
    rows.end().map_err(|error| failed(&error))
}

fn to_file(
    table: &AnyTable,
    path: &Path,
    format: RowFormat,
    output: &mut Output,
) -> Result<Written, Failure> {
    let name = path.display().to_string();
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| Failure::stream(&name, &error))?;
    match fill(table, &file, &name, format) {
        Ok(written) => {
            let text = format!("wrote {} to {name}", count(written.rows, "row"));
            output.result(&json!({ "rows": written.rows, "file": name }), &text)?;
            Ok(written)
        }
        Err(failure) => {
            // Half a file under the name of a whole one would be taken for it.
            let _ = std::fs::remove_file(path);
            Err(failure)
        }
    }
}

fn fill(table: &AnyTable, file: &File, name: &str, format: RowFormat) -> Result<Written, Failure> {
    let failed = |error: &std::io::Error| Failure::stream(name, error);
    let (written, out) = write_rows(table, BufWriter::new(file), format, failed)?;
    out.into_inner().map_err(|error| failed(error.error()))?;
    file.sync_all().map_err(|error| failed(&error))?;
    Ok(written)
}
