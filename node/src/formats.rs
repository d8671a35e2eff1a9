//! The formats of files that `load` reads and `export` writes.

use crate::errors::Failure;
use std::path::Path;

/// The format of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Fields divided by tabs, a line a row
    Tsv,
    /// Fields divided by commas, in quotes where they need it (RFC 4180)
    Csv,
    /// A JSON object a line
    Ndjson,
}

impl Format {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The format that the name of a file says.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "tsv" => Some(Self::Tsv),
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// Options about the format of a file.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FormatArgs {
    /// Format of the rows [default: by the ending of FILE (.tsv, .csv, .ndjson, .jsonl), else tsv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The first line names the columns (tsv, csv)
    #[arg(long)]
    pub header: bool,
}

impl FormatArgs {
    /// The format of this file, or of a stream.
    pub fn of(&self, path: Option<&Path>) -> Format {
        self.format.or_else(|| path.and_then(Format::of)).unwrap_or(Format::Tsv)
    }

    /// Refuses what this format has not.
    ///
    /// # Errors
    /// A usage error when there is a header in NDJSON, or `escapes` (the option that asks for them) outside of TSV.
    pub fn check(&self, format: Format, escapes: Option<&str>) -> Result<(), Failure> {
        if self.header && format == Format::Ndjson {
            return Err(Failure::usage(
                "NDJSON has no header: every object names its fields",
                "leave out --header, or choose --format csv or tsv",
            ));
        }
        match escapes {
            Some(option) if format != Format::Tsv => Err(Failure::usage(
                format!("{option} is about the escapes of TSV; {} has none of them", format.name()),
                format!("leave out {option}, or choose --format tsv"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        let of = |name| Format::of(Path::new(name));
        assert_eq!(of("rows.csv"), Some(Format::Csv));
        assert_eq!(of("dir.csv/rows.TSV"), Some(Format::Tsv));
        assert_eq!(of("rows.jsonl"), Some(Format::Ndjson));
        assert_eq!(of("rows.ndjson"), Some(Format::Ndjson));
        assert_eq!(of("rows.txt"), None);
        assert_eq!(of("csv"), None);
        assert_eq!(of("-"), None);
    }
}
