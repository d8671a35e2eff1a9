//! Lines of an input, in bounded memory.

use super::input::Input;
use std::io::Result;

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
    input: Input,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// Lines of `input`.
    pub fn new(input: Input) -> Self {
        Self { input, number: 0, line: Vec::new() }
    }

    /// Reads the next line of at most `limit` bytes.
    ///
    /// # Errors
    /// When the source fails.
    pub fn next(&mut self, limit: usize) -> Result<Next> {
        self.line.clear();
        let most = limit as u64 + 1;
        let count = self.input.read_line(most, &mut self.line)?;
        if count == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if count as u64 == most {
            return Ok(Next::TooLong);
        }
        Ok(Next::Line)
    }

    /// The line that was read last, without its newline.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Number of the last line read, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What is read.
    pub const fn input(&self) -> &Input {
        &self.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn all(text: &'static str, limit: usize) -> Vec<(Next, String)> {
        let mut lines = Lines::new(Input::new(Cursor::new(text), "test".to_owned(), None));
        let mut seen = Vec::new();
        loop {
            let next = lines.next(limit).unwrap();
            if next == Next::End {
                return seen;
            }
            seen.push((next, String::from_utf8(lines.line().to_vec()).unwrap()));
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
