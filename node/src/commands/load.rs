//! `load`: a file becomes rows of a table.

use super::create::ShapeArgs;
use crate::errors::{Exit, Failure};
use crate::formats::FormatArgs;
use crate::load::{self, KeyFrom};
use crate::opening::TableArgs;
use crate::output::Output;
use slotcask::Durability;
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Formats:
  tsv     Every line is a row. The bytes of a line are the data; nothing is interpreted unless --escaped \
(the escapes that export writes) or --hex is given. A carriage return at the end of a line is data as well.
  csv     Every record is a row: fields divided by commas, in quotes where they hold a comma, a quote (written \
twice) or a line end (RFC 4180). The bytes of a field are the data, or hex digits with --hex. Empty lines are \
passed over.
  ndjson  Every line is an object with key or key_hex, value or value_hex, and if you like ttl_ms, the \
milliseconds after which the value vanishes (cask tables, fixed ones with --expiry). The _hex ones hold hex digits, the others text; \
--hex takes the _hex ones only. Other fields are refused.

--key says where the key comes from in tsv and csv:
  1, 2, ...    this column; the rest is the value: of tsv with its tabs, of csv the one field that is left, or \
several as CSV again
  line         the number of the row, decimal digits with zeros in front
  line-binary  the number of the row, most significant byte first
  hash         XXH3-128 of the value as the file has it, 16 bytes cut to the length of a key
  hash-hex     the same as hex digits
In a cask table numbers of rows have 12 digits or 8 bytes, and hashes 16 bytes or 32 digits. \
With all but a column the whole line is the value (of csv the one field, or several as CSV again). \
A header is no row: it is not counted.

Writing the same key again replaces its value, so a load that was interrupted is simply run again. \
Rows are durable when the command ends, and as it goes: with --durability sync every batch when it is \
written, with buffered (the default) within the store's flush interval. The last line printed says how \
many rows are durable, also after a bad line or a failure. A bad line ends the load: the rows before \
it are written and synced, the exit code is 2. Ctrl-C ends it the same way with 130.

Examples:
  slotcask load db users rows.tsv --pad
  slotcask load db users rows.tsv --pad --key-len 16 --value-len 100
  slotcask load db cities cities.csv --header --key 2 --pad
  slotcask load db pages pages.ndjson --kind cask
  zcat access.log.gz | slotcask load db lines --key line --pad
  slotcask export db users | slotcask load copy users --escaped
  slotcask export db users --format csv | slotcask load copy users --format csv";

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct LoadArgs {
    #[command(flatten)]
    pub at: TableArgs,
    /// The file to read; standard input when it is missing or -
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArgs,
    /// Where the key comes from: COLUMN, line, line-binary, hash or hash-hex (tsv, csv) [default: 1]
    #[arg(long, value_name = "FROM", value_parser = KeyFrom::parse)]
    pub key: Option<KeyFrom>,
    /// Fill shorter keys and values with zeros; longer ones are refused
    #[arg(long)]
    pub pad: bool,
    /// Read the escapes \t \n \r \0 \\ \xNN that export writes (tsv)
    #[arg(long, conflicts_with = "hex")]
    pub escaped: bool,
    /// When a row counts as written
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Buffered)]
    pub durability: When,
    /// Rows given to the store at once
    #[arg(long, value_name = "N", default_value = "1024")]
    pub batch: NonZeroUsize,
    /// The table, when it is to be created because it is not there
    #[command(flatten)]
    pub shape: ShapeArgs,
}

/// When a row counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// When it is durable
    Sync,
    /// When it is in memory; all are made durable at the end
    Buffered,
}

impl When {
    /// As the library names it.
    pub const fn durability(self) -> Durability {
        match self {
            Self::Sync => Durability::Sync,
            Self::Buffered => Durability::Buffered,
        }
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Buffered => "buffered",
        }
    }
}

/// Loads the file.
pub fn run(args: &LoadArgs, output: &mut Output) -> Result<Exit, Failure> {
    load::run(args, output)
}
