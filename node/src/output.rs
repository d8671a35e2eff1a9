//! Standard output: lines for people, one JSON value for programs.

use crate::args::Global;
use crate::errors::Failure;
use crate::text::Style;
use serde_json::{Value, json};
use std::io::{BufWriter, Stdout, Write};
use std::time::Duration;

/// Standard output of one command. Everything is checked: a full disk behind a redirection is an error, a reader that
/// went away ends the command quietly.
#[derive(Debug)]
pub struct Output {
    stdout: Option<BufWriter<Stdout>>,
    global: Global,
    started: bool,
}

impl Output {
    /// Output with the common options.
    pub fn new(global: Global) -> Self {
        let stdout = Some(BufWriter::with_capacity(1 << 16, std::io::stdout()));
        Self { stdout, global, started: false }
    }

    /// True when the output is JSON.
    pub const fn is_json(&self) -> bool {
        self.global.json
    }

    /// True when keys and values are hex digits.
    pub const fn is_hex(&self) -> bool {
        self.global.hex
    }

    /// How long to wait for a store that is locked.
    pub const fn wait(&self) -> Duration {
        self.global.wait
    }

    /// How keys and values are written.
    pub const fn style(&self) -> Style {
        if self.global.hex { Style::Hex } else { Style::Escaped }
    }

    /// One line of text; the newline is added.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.started = true;
        self.write_all(bytes).map_err(|error| Failure::stdout(&error))
    }

    /// The JSON value that is the whole output.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn json(&mut self, value: &Value) -> Result<(), Failure> {
        self.line(&value.to_string())
    }

    /// The result of a verb: JSON for programs, else a line.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn result(&mut self, value: &Value, text: &str) -> Result<(), Failure> {
        if self.is_json() { self.json(value) } else { self.line(text) }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.flush().map_err(|error| Failure::stdout(&error))
    }

    /// The failure as JSON, unless something was printed already: then the output is cut short where it is, and the
    /// exit code and standard error say why.
    pub fn failure(&mut self, failure: &Failure) {
        let object = json!({
            "error": {
                "exit": failure.exit.code(),
                "what": failure.what,
                "help": failure.help,
            }
        });
        if self.is_json() && !self.started {
            // The failure itself is what gets reported.
            let _ = self.json(&object);
        }
        let _ = self.finish();
    }

    /// Drops what is buffered: nobody reads it.
    pub fn abandon(&mut self) {
        if let Some(stdout) = self.stdout.take() {
            let _ = stdout.into_parts();
        }
    }
}

/// For writers of rows. Errors are the stream's own; [`Failure::stdout`] turns them into what the user sees.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.started = true;
        self.stdout.as_mut().map_or(Ok(bytes.len()), |stdout| stdout.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stdout.as_mut().map_or(Ok(()), Write::flush)
    }
}
