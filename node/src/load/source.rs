//! Rows of an input, whatever its format.

use super::input::Input;
use super::lines::{self, Lines};
use super::records::{self, Records};
use super::row::{Encoding, Row, RowParser};
use crate::errors::Failure;
use crate::formats::Format;

/// A source of rows.
pub struct Source {
    parts: Parts,
    format: Format,
    parser: RowParser,
    /// The next line or record is the header.
    header: bool,
    /// Rows so far.
    rows: u64,
}

/// What the input falls into.
enum Parts {
    Lines(Lines),
    Records(Box<Records>),
}

impl Source {
    /// Rows of `input`, whose first line is a header if it says so.
    pub fn new(input: Input, format: Format, header: bool, parser: RowParser) -> Self {
        let parts = match format {
            Format::Tsv | Format::Ndjson => Parts::Lines(Lines::new(input)),
            Format::Csv => Parts::Records(Box::new(Records::new(input))),
        };
        Self { parts, format, parser, header, rows: 0 }
    }

    /// The next row; None at the end.
    ///
    /// # Errors
    /// When the input fails, and when what comes next is no row.
    pub fn next(&mut self) -> Result<Option<Row>, Failure> {
        loop {
            if !self.advance()? {
                return Ok(None);
            }
            if std::mem::take(&mut self.header) {
                continue;
            }
            let row = match &self.parts {
                Parts::Lines(lines) if self.format == Format::Ndjson => {
                    if lines.line().trim_ascii().is_empty() {
                        continue;
                    }
                    self.rows += 1;
                    self.parser.object(lines.line())
                }
                Parts::Lines(lines) => {
                    self.rows += 1;
                    self.parser.line(self.rows, lines.line())
                }
                Parts::Records(records) => {
                    self.rows += 1;
                    self.parser.record(self.rows, records.record())
                }
            };
            return row.map(Some).map_err(|reason| self.bad_line(self.number(), &reason));
        }
    }

    /// Reads the next line or record; false at the end.
    fn advance(&mut self) -> Result<bool, Failure> {
        let limit = self.parser.len_max(self.format);
        let next = match &mut self.parts {
            Parts::Lines(lines) => lines.next(limit).map(|next| match next {
                lines::Next::Line => Ok(true),
                lines::Next::End => Ok(false),
                lines::Next::TooLong => {
                    Err(format!("it has over {limit} bytes, more than any row of the table"))
                }
            }),
            Parts::Records(records) => records.next(limit).map(|next| match next {
                records::Next::Record => Ok(true),
                records::Next::End => Ok(false),
                records::Next::TooLong => Err(format!(
                    "it has over {limit} bytes, more than any row of the table; is a quote in it not closed?"
                )),
                records::Next::OpenQuote => Err("a quote in it is never closed".to_owned()),
            }),
        };
        next.map_err(|error| Failure::stream(self.input().name(), &error))?
            .map_err(|reason| self.bad_line(self.number(), &reason))
    }

    /// The failure of a line that is no row of the table.
    pub fn bad_line(&self, line: u64, reason: &str) -> Failure {
        let hint = match (self.format, self.parser.encoding) {
            (Format::Tsv, Encoding::Plain) => {
                "; a file that export wrote needs --escaped, other formats --format"
            }
            _ => "",
        };
        Failure::usage(
            format!("{} line {line}: {reason}", self.input().name()),
            format!(
                "correct the line and run the same load again; the lines before it are loaded{hint}"
            ),
        )
    }

    /// Number of the line where the last row begins, from 1.
    pub const fn number(&self) -> u64 {
        match &self.parts {
            Parts::Lines(lines) => lines.number(),
            Parts::Records(records) => records.number(),
        }
    }

    /// What is read.
    pub const fn input(&self) -> &Input {
        match &self.parts {
            Parts::Lines(lines) => lines.input(),
            Parts::Records(records) => records.input(),
        }
    }
}
