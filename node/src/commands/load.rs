//! `load`: lines of a file become rows of a table.

use super::create::ShapeArgs;
use crate::errors::{Exit, Failure};
use crate::load::{self, KeyFrom};
use crate::opening::TableArgs;
use crate::output::Output;
use slotcask::Durability;
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Every line is a row. The bytes of a line are the data; nothing is interpreted unless --escaped (the \
escapes that export writes) or --hex is given.

--key says where the key comes from:
  1, 2, ...    this column of fields divided by tabs; the rest is the value
  line         the number of the line, decimal digits with zeros in front
  line-binary  the number of the line, most significant byte first
  hash         XXH3-128 of the line, 16 bytes cut to the length of a key
  hash-hex     the same as hex digits
In a cask table numbers of lines have 12 digits or 8 bytes, and hashes 16 bytes or 32 digits. \
With all but a column the whole line is the value.

Writing the same key again replaces its value, so a load that was interrupted is simply run again. \
Rows are durable when the command ends, and as it goes: with --durability sync every batch when it is \
written, with buffered (the default) within the store's flush interval. The last line printed says how \
many rows are durable, also after a bad line or a failure. A bad line ends the load: the rows before \
it are written and synced, the exit code is 2. Ctrl-C ends it the same way with 130.

Examples:
  slotcask load db users rows.tsv --pad
  slotcask load db users rows.tsv --pad --key-len 16 --value-len 100
  slotcask load db cities cities.tsv --key 2 --pad
  zcat access.log.gz | slotcask load db lines --key line --pad
  slotcask export db users | slotcask load copy users --escaped";

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct LoadArgs {
    #[command(flatten)]
    pub at: TableArgs,
    /// The file to read; standard input when it is missing or -
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where the key comes from: COLUMN, line, line-binary, hash or hash-hex
    #[arg(long, value_name = "FROM", default_value = "1", value_parser = KeyFrom::parse)]
    pub key: KeyFrom,
    /// Fill shorter keys and values with zeros; longer ones are refused
    #[arg(long)]
    pub pad: bool,
    /// Read the escapes \t \n \r \0 \\ \xNN that export writes
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
