//! The file or stream that a load reads.

use crate::errors::Failure;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Result};
use std::path::Path;

const BUFFER: usize = 1 << 20;

/// What is read, with what messages and the progress bar need to know.
pub struct Input {
    reader: Box<dyn BufRead>,
    name: String,
    size: Option<u64>,
    bytes: u64,
}

impl Input {
    /// The file `path`; standard input when it is missing or `-`.
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
                return Err(ErrorKind::IsADirectory.into());
            }
            Ok((file, data.is_file().then_some(data.len())))
        });
        let (file, size) = opened.map_err(|error| Failure::stream(&name, &error))?;
        Ok(Self::new(file, name, size))
    }

    /// Any reader.
    pub fn new(reader: impl Read + 'static, name: String, size: Option<u64>) -> Self {
        let reader = Box::new(BufReader::with_capacity(BUFFER, reader));
        Self { reader, name, size, bytes: 0 }
    }

    /// Appends bytes to `line` up to and with the next newline, at most `most`; returns how many.
    ///
    /// # Errors
    /// When the source fails.
    pub fn read_line(&mut self, most: u64, line: &mut Vec<u8>) -> Result<usize> {
        let count = self.reader.by_ref().take(most).read_until(b'\n', line)?;
        self.bytes += count as u64;
        Ok(count)
    }

    /// Bytes that come next; none at the end.
    ///
    /// # Errors
    /// When the source fails.
    pub fn peek(&mut self) -> Result<&[u8]> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        self.reader.fill_buf()
    }

    /// Passes over `count` of the bytes that were peeked at.
    pub fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.bytes += count as u64;
    }

    /// What is read, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes, when that is known.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes read so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}
