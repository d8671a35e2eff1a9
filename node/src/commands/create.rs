//! `create`: a store, a table, or both.

use crate::errors::{Exit, Failure};
use crate::output::Output;
use crate::text::{count, parse_size};
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use slotcask::{
    CaskOptions, Compression, Error, Options, Placement, Store, TableInfo, TableOptions,
};
use slotcask_format::record::{KEY_LEN_MAX, VALUE_LEN_MAX};
use slotcask_format::schema::{FIXED_KEY_LEN_MAX, FIXED_VALUE_LEN_MAX};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Shards, log size and page protection are recorded when the store is created and stay. Keys (1 to 4096 \
bytes) and values (0 bytes to 1 MiB) of a fixed table all have the lengths that are given here; --pad fills \
shorter ones when they are written. Keys (at most 65535 bytes) and values (at most 16 MiB) of a cask table \
have any length up to the ones that are given. The name of a table has 1 to 255 bytes.

Examples:
  slotcask create db
  slotcask create db --shards 2 --log-size 64M
  slotcask create db --table users --key-len 16 --value-len 100
  slotcask create db --table pages --kind cask
  slotcask create db --table texts --kind cask --compression lz4
  slotcask create db --table events --kind cask --ordered
  slotcask create db --table sessions --key-len 16 --value-len 64 --expiry
  slotcask create db --table locks --key-len 8 --value-len 8 --pinned 0 --slot-count-max 10000";

const SAY_SHAPE: &str = "give --key-len and --value-len for a fixed table, or --kind cask";

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CreateArgs {
    /// Directory of the store; made when it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Name of a table to create
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    table: Option<String>,
    #[command(flatten)]
    shape: ShapeArgs,
}

/// What a new store is made with.
#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// Number of shards, 1 to 255 [default: cores, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    shards: Option<u32>,
    /// Disk space for the logs of all shards together, such as 64M or 1G [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    log_size: Option<u64>,
    /// Write pages twice, for devices that tear a 4 KiB page at power loss
    #[arg(long)]
    torn_page_protection: bool,
}

/// The shape of a new table.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ShapeArgs {
    /// Kind of the new table: rows in slots, or keys and values of any length [default: fixed]
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Length of every key of the new table (cask: of the longest), bytes
    #[arg(long, value_name = "N", requires = "value_len")]
    key_len: Option<NonZeroUsize>,
    /// Length of every value of the new table (cask: of the longest), bytes
    #[arg(long, value_name = "N", requires = "key_len")]
    value_len: Option<usize>,
    /// Keep the whole new table on this shard
    #[arg(long, value_name = "SHARD")]
    pinned: Option<u8>,
    /// Most rows that the new table holds (fixed)
    #[arg(long, value_name = "N")]
    slot_count_max: Option<u32>,
    /// Values of the new table may vanish (put --ttl): 8 bytes more a row; cask tables need no such room
    #[arg(long)]
    expiry: bool,
    /// The new table knows the order of its keys (scan --from, del --prefix): up to 40 bytes of memory more a row of 16-byte keys
    #[arg(long)]
    ordered: bool,
    /// Compress the values of the new table (cask), each by itself [default: none]
    #[arg(long, value_enum, value_name = "NAME")]
    compression: Option<Packing>,
}

/// Compressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Packing {
    /// Values are stored as they are
    None,
    /// LZ4, where it makes a value shorter
    Lz4,
}

/// Kinds of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Keys of one length and values of one length, in slots, all in memory
    Fixed,
    /// Keys and values of any length up to --key-len and --value-len, on disk
    Cask,
}

impl ShapeArgs {
    fn is_cask(&self) -> bool {
        self.kind == Some(Kind::Cask)
    }

    /// True when this says what a table is like.
    pub fn is_given(&self) -> bool {
        self.is_cask() || self.lengths().is_some()
    }

    /// Refuses what does not go together or is over the limits, and what says something of a table that nothing describes. Before anything
    /// is created.
    ///
    /// # Errors
    /// A usage error.
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_cask() && self.slot_count_max.is_some() {
            return Err(Failure::usage(
                "cask tables have no slots, --slot-count-max is about fixed tables",
                "leave it out, or leave out --kind cask",
            ));
        }
        if self.compression.is_some() && !self.is_cask() {
            return Err(Failure::usage(
                "only cask tables compress their values",
                "leave out --compression, or give --kind cask",
            ));
        }
        if let Some((key_len, value_len)) = self.lengths() {
            let (kind, key_len_max, value_len_max) = if self.is_cask() {
                ("cask", KEY_LEN_MAX, VALUE_LEN_MAX)
            } else {
                ("fixed", FIXED_KEY_LEN_MAX as usize, FIXED_VALUE_LEN_MAX as usize)
            };
            for (what, len, max) in
                [("keys", key_len, key_len_max), ("values", value_len, value_len_max)]
            {
                if len > max {
                    return Err(Failure::usage(
                        format!("{what} of {kind} tables have at most {max} bytes, not {len}"),
                        "see the limits in `slotcask create --help`",
                    ));
                }
            }
        }
        let in_part = self.kind.is_some()
            || self.pinned.is_some()
            || self.slot_count_max.is_some()
            || self.expiry
            || self.ordered;
        if in_part && !self.is_given() {
            return Err(Failure::usage("nothing says what the new table is like", SAY_SHAPE));
        }
        Ok(())
    }

    /// Refuses a table that is there and of another kind.
    ///
    /// # Errors
    /// A usage error.
    pub fn check_kind(&self, table: &str, is_cask: bool) -> Result<(), Failure> {
        match self.kind {
            Some(kind) if (kind == Kind::Cask) != is_cask => {
                let found = if is_cask { "cask" } else { "fixed" };
                Err(Failure::usage(
                    format!("table {table} is there already, a {found} table"),
                    "leave out --kind, or load another table",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a table that is there and is not as was asked for.
    ///
    /// # Errors
    /// A usage error.
    pub fn check_there(&self, table: &TableInfo) -> Result<(), Failure> {
        let is_lz4 = table.compression.as_deref() == Some("lz4");
        let pinned = match table.placement {
            Placement::Pinned(shard) => Some(shard),
            Placement::Hashed => None,
        };
        let differs = [
            ("--ordered", self.ordered && !table.ordered),
            ("--expiry", self.expiry && !table.deadlines),
            ("--pinned", self.pinned.is_some() && self.pinned != pinned),
            (
                "--slot-count-max",
                self.slot_count_max.is_some_and(|count| count != table.slot_count_max),
            ),
            (
                "--compression",
                self.compression.is_some_and(|wanted| (wanted == Packing::Lz4) != is_lz4),
            ),
        ];
        match differs.into_iter().find(|(_, differs)| *differs) {
            Some((option, _)) => Err(Failure::usage(
                format!(
                    "table {} is there already, and was created without this {option}",
                    table.name
                ),
                format!("leave {option} out, or load another table"),
            )),
            None => Ok(()),
        }
    }

    /// Creates the table, if this says what it is like; tells whether it did.
    ///
    /// # Errors
    /// As the store says.
    pub fn create(&self, store: &Store, name: &str) -> Result<bool, Error> {
        if self.is_cask() {
            let mut options = CaskOptions::new().ordered(self.ordered);
            if let Some((key, value)) = self.lengths() {
                options = options.key_len_max(key).value_len_max(value);
            }
            if let Some(shard) = self.pinned {
                options = options.pinned(shard);
            }
            if self.compression == Some(Packing::Lz4) {
                options = options.compression(Compression::Lz4);
            }
            return store.create_cask(name, &options).map(|_| true);
        }
        match self.table_options() {
            Some(options) => store.create_table(name, options).map(|_| true),
            None => Ok(false),
        }
    }

    /// The lengths of key and value, when they were given.
    pub fn lengths(&self) -> Option<(usize, usize)> {
        self.key_len.map(NonZeroUsize::get).zip(self.value_len)
    }

    /// What the library wants to know, when lengths were given.
    fn table_options(&self) -> Option<TableOptions> {
        let (key_len, value_len) = self.lengths()?;
        let mut options = TableOptions::fixed(key_len, value_len);
        if let Some(shard) = self.pinned {
            options = options.pinned(shard);
        }
        if let Some(count) = self.slot_count_max {
            options = options.slot_count_max(count);
        }
        Some(options.deadlines(self.expiry).ordered(self.ordered))
    }
}

impl StoreArgs {
    fn is_given(&self) -> bool {
        self.shards.is_some() || self.log_size.is_some() || self.torn_page_protection
    }

    fn options(&self) -> Options {
        let mut options = Options::new().create(true);
        if let Some(shards) = self.shards {
            options = options.shards(shards);
        }
        if let Some(bytes) = self.log_size {
            options = options.log_size(bytes);
        }
        options.torn_page_protection(self.torn_page_protection)
    }
}

/// Creates what is asked for and not there.
pub fn run(args: &CreateArgs, output: &mut Output) -> Result<Exit, Failure> {
    if args.table.is_none() && args.shape.is_given() {
        return Err(Failure::usage("the new table has no name", "give --table NAME"));
    }
    args.shape.check()?;
    if args.table.is_some() && !args.shape.is_given() {
        return Err(Failure::usage("nothing says what the new table is like", SAY_SHAPE));
    }
    let (store, is_new) = open_or_create(args, output.wait())?;
    if let Some(name) = &args.table {
        args.shape.create(&store, name).map_err(|error| without_table(args, is_new, error))?;
    }
    let object = json!({
        "dir": args.dir.display().to_string(),
        "id": store.id().to_string(),
        "shards": store.shard_count(),
        "store_created": is_new,
        "table_created": args.table,
    });
    let mut lines = Vec::new();
    if is_new {
        lines.push(format!(
            "created a store of {} in {}",
            count(u64::from(store.shard_count()), "shard"),
            args.dir.display()
        ));
    }
    match (&args.table, args.shape.lengths()) {
        (Some(name), Some((key, value))) if args.shape.is_cask() => lines.push(format!(
            "created cask table {name}: keys of at most {key} bytes, values of at most {value} bytes"
        )),
        (Some(name), None) if args.shape.is_cask() => {
            lines.push(format!("created cask table {name}: keys and values of any length"));
        }
        (Some(name), Some((key, value))) => {
            lines.push(format!(
                "created table {name}: keys of {key} bytes, values of {value} bytes"
            ));
        }
        _ => {}
    }
    store.close()?;
    output.result(&object, &lines.join("\n"))?;
    Ok(Exit::Done)
}

/// Why there is no table. A store that was made for it stays, and its options cannot be given a second time.
fn without_table(args: &CreateArgs, is_new: bool, error: Error) -> Failure {
    let mut failure = Failure::from(error);
    if is_new {
        failure.help += "; the store itself was created";
        if args.store.is_given() {
            failure.help += ": leave its own options out then";
        }
    }
    failure
}

fn open_or_create(args: &CreateArgs, wait: Duration) -> Result<(Store, bool), Failure> {
    match Options::new().create(false).lock_timeout(wait).open(&args.dir) {
        Ok(_) if args.store.is_given() || args.table.is_none() => Err(Failure::usage(
            format!("{} is a store already", args.dir.display()),
            "its options were recorded at its creation; --table adds a table to it",
        )),
        Ok(store) => Ok((store, false)),
        Err(Error::NotAStore { .. } | Error::HalfCreated { .. }) => new_store(args, wait),
        Err(Error::Io(error)) if error.kind == slotcask_io::IoErrorKind::NotFound => {
            new_store(args, wait)
        }
        Err(error) => Err(error.into()),
    }
}

fn new_store(args: &CreateArgs, wait: Duration) -> Result<(Store, bool), Failure> {
    match args.store.options().lock_timeout(wait).open(&args.dir) {
        Ok(store) => Ok((store, true)),
        Err(error @ Error::NotAStore { .. }) => {
            let help = "name a directory that is empty, or one that is not there yet";
            Err(Failure { help: help.to_owned(), ..Failure::from(error) })
        }
        Err(error) => Err(error.into()),
    }
}
