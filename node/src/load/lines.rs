//! Lines of a file or of standard input, in bounded memory.

use crate::errors::Failure;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};
use std::path::Path;

const BUFFER: usize = 1 << 20;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A line.
    Line,
    /// A line over the limit; its rest is not read.
    TooLong,
    /// Nothing.
    End,
}

/// A source of lines.
pub struct Lines {
    reader: Box<dyn BufRead>,
    name: String,
    size: Option<u64>,
    number: u64,
    bytes: u64,
}

impl Lines {
    /// Lines of the file `path`; of standard input when it is missing or `-`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: Option<&Path>) -> std::result::Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::new(std::io::stdin(), "standard input".to_owned(), None));
        };
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| {
            let data = file.metadata()?;
            if data.is_dir() {
                return Err(std::io::ErrorKind::IsADirectory.into());
            }
            Ok((file, data.is_file().then_some(data.len())))
        });
        let (file, size) = opened.map_err(|error| Failure::stream(&name, &error))?;
        Ok(Self::new(file, name, size))
    }

    fn new(reader: impl Read + 'static, name: String, size: Option<u64>) -> Self {
        let reader = Box::new(BufReader::with_capacity(BUFFER, reader));
        Self { reader, name, size, number: 0, bytes: 0 }
    }

    /// Reads the next line of at most `limit` bytes into `line`, without its newline.
    ///
    /// # Errors
    /// When the source fails.
    pub fn next(&mut self, line: &mut Vec<u8>, limit: usize) -> Result<Next> {
        line.clear();
        let most = limit as u64 + 1;
        let count = self.reader.by_ref().take(most).read_until(b'\n', line)?;
        if count == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        self.bytes += count as u64;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if count as u64 == most {
            return Ok(Next::TooLong);
        }
        Ok(Next::Line)
    }

    /// What is read, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes, when that is known.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// Number of the last line read, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn all(text: &'static str, limit: usize) -> Vec<(Next, String)> {
        let mut lines = Lines::new(Cursor::new(text), "test".to_owned(), None);
        let mut line = Vec::new();
        let mut seen = Vec::new();
        loop {
            let next = lines.next(&mut line, limit).unwrap();
            if next == Next::End {
                return seen;
            }
            seen.push((next, String::from_utf8(line.clone()).unwrap()));
            if next == Next::TooLong {
                return seen;
            }
        }
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        let line = |text: &str| (Next::Line, text.to_owned());
        assert_eq!(all("a\n\nb", 10), [line("a"), line(""), line("b")]);
        assert_eq!(all("a\n", 10), [line("a")]);
        assert_eq!(all("", 10), []);
    }

    #[test]
    fn the_limit_is_exact() {
        assert_eq!(all("abc\nd", 3)[0].0, Next::Line);
        assert_eq!(all("abc", 3)[0].0, Next::Line);
        assert_eq!(all("abcd\n", 3)[0].0, Next::TooLong);
        assert_eq!(all("abcd", 3)[0].0, Next::TooLong);
    }
}
