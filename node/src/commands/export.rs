//! `export`: all rows of a table as lines.

use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, TableArgs};
use crate::output::Output;
use crate::rows::{RowFormat, RowWriter};
use crate::text::{Style, number};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
One line a row: key, tab, value. Bytes that a line cannot hold are escaped: \\t \\n \\r \\0 \\\\, and \
\\xNN for other control characters and bytes that are not UTF-8; `load --escaped` reads them back. \
--raw writes no escapes: then a tab or newline inside a row makes the line ambiguous. \
Rows come in no particular order. A file is complete and synced when the exit code is 0.

Examples:
  slotcask export db users --unpad > users.tsv
  slotcask export db users --output users.tsv
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
    /// Write keys and values without the zeros at their ends
    #[arg(long)]
    unpad: bool,
    /// Write bytes as they are, without escapes
    #[arg(long, conflicts_with_all = ["json", "hex"])]
    raw: bool,
}

/// Writes the rows.
pub fn run(args: &ExportArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = opening::for_reading(&args.at.dir, output.wait())?;
    let table = AnyTable::open(&store, &args.at.table)?;
    let style = if args.raw { Style::Raw } else { output.style() };
    let format = RowFormat { json: output.is_json(), style, unpad: args.unpad };
    match &args.output {
        Some(path) => to_file(&table, path, format, output)?,
        None => {
            write_rows(&table, &mut *output, format, Failure::stdout)?;
        }
    }
    store.close()?;
    Ok(Exit::Done)
}

fn write_rows<W: Write>(
    table: &AnyTable,
    out: W,
    format: RowFormat,
    failed: impl Fn(&std::io::Error) -> Failure,
) -> Result<(u64, W), Failure> {
    let mut rows = RowWriter::begin(out, format).map_err(|error| failed(&error))?;
    for row in table.iter() {
        let (key, value) = row?;
        rows.row(&key, &value).map_err(|error| failed(&error))?;
    }
    rows.end().map_err(|error| failed(&error))
}

fn to_file(
    table: &AnyTable,
    path: &Path,
    format: RowFormat,
    output: &mut Output,
) -> Result<(), Failure> {
    let name = path.display().to_string();
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| Failure::stream(&name, &error))?;
    match fill(table, &file, &name, format) {
        Ok(count) => {
            let text = format!("wrote {} rows to {name}", number(count));
            output.result(&json!({ "rows": count, "file": name }), &text)
        }
        Err(failure) => {
            // Half a file under the name of a whole one would be taken for it.
            let _ = std::fs::remove_file(path);
            Err(failure)
        }
    }
}

fn fill(table: &AnyTable, file: &File, name: &str, format: RowFormat) -> Result<u64, Failure> {
    let failed = |error: &std::io::Error| Failure::stream(name, error);
    let (count, out) = write_rows(table, BufWriter::new(file), format, failed)?;
    out.into_inner().map_err(|error| failed(error.error()))?;
    file.sync_all().map_err(|error| failed(&error))?;
    Ok(count)
}
