//! Records of a CSV input, in bounded memory.
//!
//! The parser is that of the csv crate, which takes anything for CSV. What would be a mistake nearly always is found here: a quote
//! that is never closed takes the rest of the file for one field.

use super::input::Input;
use crate::text::append_csv;
use csv_core::{ReadRecordResult, Reader};
use std::borrow::Cow;
use std::io::Result;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A record.
    Record,
    /// A record over the limit; its rest is not read.
    TooLong,
    /// The input ended within quotes.
    OpenQuote,
    /// Nothing.
    End,
}

/// A source of records.
pub struct Records {
    input: Input,
    parser: Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    field_count: usize,
    /// Newlines that were passed.
    newlines: u64,
    number: u64,
}

impl Records {
    /// Records of `input`.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            parser: Reader::new(),
            fields: Vec::new(),
            ends: Vec::new(),
            field_count: 0,
            newlines: 0,
            number: 0,
        }
    }

    /// Reads the next record, whose fields have at most `limit` bytes together, and whose fields are at most so many and one. Empty lines
    /// are passed over.
    ///
    /// # Errors
    /// When the source fails.
    pub fn next(&mut self, limit: usize) -> Result<Next> {
        self.field_count = 0;
        if !self.skip_line_ends()? {
            return Ok(Next::End);
        }
        self.number = self.newlines + 1;
        let mut filled = 0;
        loop {
            if filled > limit || self.field_count > limit + 1 {
                return Ok(Next::TooLong);
            }
            // The parser needs room for one more, also where it has nothing to put there.
            make_room(&mut self.fields, filled, limit + 1);
            make_room(&mut self.ends, self.field_count, limit + 2);
            let peeked = self.input.peek()?;
            let at_end = peeked.is_empty();
            // The last record needs no newline. A newline within quotes is no end.
            let bytes = if at_end { b"\n" } else { peeked };
            let (result, read, written, ended) = self.parser.read_record(
                bytes,
                &mut self.fields[filled..],
                &mut self.ends[self.field_count..],
            );
            filled += written;
            self.field_count += ended;
            if !at_end {
                self.newlines += newlines_in(&bytes[..read]);
                self.input.consume(read);
            }
            match result {
                ReadRecordResult::Record => return Ok(Next::Record),
                ReadRecordResult::InputEmpty if at_end => return Ok(Next::OpenQuote),
                _ => {}
            }
        }
    }

    /// Passes over the ends of lines; false at the end of the input.
    fn skip_line_ends(&mut self) -> Result<bool> {
        loop {
            let bytes = self.input.peek()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let record = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            let count = record.unwrap_or(bytes.len());
            self.newlines += newlines_in(&bytes[..count]);
            self.input.consume(count);
            if record.is_some() {
                return Ok(true);
            }
        }
    }

    /// The record that was read last.
    pub fn record(&self) -> Record<'_> {
        Record { fields: &self.fields, ends: &self.ends[..self.field_count] }
    }

    /// Number of the line where the last record begins, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What is read.
    pub const fn input(&self) -> &Input {
        &self.input
    }
}

fn newlines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Grows `buffer`, of which `used` are in use, until it has room, to at most `most`.
fn make_room<T: Default + Clone>(buffer: &mut Vec<T>, used: usize, most: usize) {
    if used == buffer.len() {
        buffer.resize((2 * used).max(64).min(most), T::default());
    }
}

/// The field that is the key, if one is, and what is left of the record.
pub type KeyAndRest<'a> = (Option<&'a [u8]>, Cow<'a, [u8]>);

/// Fields of a record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    fields: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    fn field(&self, index: usize) -> &'a [u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.fields[start..self.ends[index]]
    }

    /// The field of this column (from 0) and the others, which are one field or CSV again; without a column, all of them.
    ///
    /// # Errors
    /// A reason when it has no such column, or nothing else.
    pub fn split(&self, column: Option<usize>) -> std::result::Result<KeyAndRest<'a>, String> {
        let count = self.ends.len();
        let key = match column {
            Some(column) if column >= count => {
                let columns = if count == 1 { "column" } else { "columns" };
                return Err(format!("it has {count} {columns}, the key is column {}", column + 1));
            }
            Some(column) => Some(self.field(column)),
            None => None,
        };
        let mut others = (0..count).filter(|index| Some(*index) != column);
        let Some(first) = others.next() else {
            return Err("it has no comma between key and value".to_owned());
        };
        let Some(second) = others.next() else {
            return Ok((key, Cow::Borrowed(self.field(first))));
        };
        let mut value = Vec::new();
        append_csv(self.field(first), &mut value);
        for index in std::iter::once(second).chain(others) {
            value.push(b',');
            append_csv(self.field(index), &mut value);
        }
        Ok((key, Cow::Owned(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    /// A reader that gives so many bytes at once.
    struct Trickle {
        text: &'static [u8],
        most: usize,
    }

    impl Read for Trickle {
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
            let most = self.most.min(bytes.len());
            self.text.read(&mut bytes[..most])
        }
    }

    type Seen = (Next, u64, Vec<Vec<u8>>);

    fn all(text: &'static [u8], limit: usize, buffer: usize) -> Vec<Seen> {
        let input = Input::new(Trickle { text, most: buffer }, "test".to_owned(), None);
        let mut records = Records::new(input);
        let mut seen = Vec::new();
        loop {
            let next = records.next(limit).unwrap();
            let record = records.record();
            let fields = match next {
                Next::Record => {
                    (0..record.ends.len()).map(|index| record.field(index).to_vec()).collect()
                }
                _ => Vec::new(),
            };
            if next == Next::End {
                return seen;
            }
            seen.push((next, records.number(), fields));
            if next != Next::Record {
                return seen;
            }
        }
    }

    fn record(number: u64, fields: &[&str]) -> Seen {
        (Next::Record, number, fields.iter().map(|field| field.as_bytes().to_vec()).collect())
    }

    #[test]
    fn records_know_their_lines() {
        let text = b"a,b\r\n\n\"c\nd\",\"\"\"\"\n,\n\"\"\nlast,one";
        let expected = [
            record(1, &["a", "b"]),
            record(3, &["c\nd", "\""]),
            record(5, &["", ""]),
            record(6, &[""]),
            record(7, &["last", "one"]),
        ];
        for buffer in [1, 2, 3, 7, 64] {
            assert_eq!(all(text, 100, buffer), expected, "{buffer}");
        }
        assert_eq!(all(b"", 10, 8), []);
        assert_eq!(all(b"\n\r\n", 10, 8), []);
    }

    #[test]
    fn the_mark_of_utf8_is_dropped_unless_it_is_quoted() {
        assert_eq!(all(b"\xef\xbb\xbfa,b\n", 10, 64), [record(1, &["a", "b"])]);
        assert_eq!(all(b"\"\xef\xbb\xbfa\",b\n", 10, 64), [record(1, &["\u{feff}a", "b"])]);
    }

    #[test]
    fn a_quote_that_stays_open_is_found() {
        for text in [&b"a,b\nc,\"d\ne,f\n"[..], b"a,b\nc,\"d", b"a,b\nc,\""] {
            let seen = all(text, 100, 4);
            assert_eq!(seen.last().unwrap(), &(Next::OpenQuote, 2, vec![]));
        }
        assert_eq!(all(b"a,\"b\"", 10, 4), [record(1, &["a", "b"])]);
        assert_eq!(all(b"a,b\"", 10, 4), [record(1, &["a", "b\""])]);
    }

    #[test]
    fn the_limit_is_exact() {
        for buffer in [1, 64] {
            assert_eq!(all(b"ab,c\n", 3, buffer)[0].0, Next::Record);
            assert_eq!(all(b"ab,cd\n", 3, buffer)[0].0, Next::TooLong);
            assert_eq!(all(b",,,\n", 3, buffer)[0].0, Next::Record);
            assert_eq!(all(b",,,,,\n", 3, buffer)[0].0, Next::TooLong);
        }
    }

    #[test]
    fn one_other_field_is_the_value_and_several_are_csv() {
        let split = |text: &'static [u8], column| {
            let mut records = Records::new(Input::new(Cursor::new(text), "test".to_owned(), None));
            assert_eq!(records.next(100).unwrap(), Next::Record);
            let found = records.record().split(column).map(|(key, value)| {
                (key.map(|key| String::from_utf8_lossy(key).into_owned()), value.into_owned())
            });
            found.map(|(key, value)| (key, String::from_utf8(value).unwrap()))
        };
        let row = |key: Option<&str>, value: &str| Ok((key.map(str::to_owned), value.to_owned()));
        assert_eq!(split(b"k,\"a,b\"", Some(0)), row(Some("k"), "a,b"));
        assert_eq!(split(b"\"a,b\",k", Some(1)), row(Some("k"), "a,b"));
        assert_eq!(split(b"\"a,b\",k,c", Some(1)), row(Some("k"), "\"a,b\",c"));
        assert_eq!(split(b"\"a,b\"", None), row(None, "a,b"));
        assert_eq!(split(b"a,b", None), row(None, "a,b"));
        assert!(split(b"k", Some(0)).unwrap_err().contains("no comma"));
        assert!(split(b"k", Some(1)).unwrap_err().contains("1 column, the key is column 2"));
    }
}
