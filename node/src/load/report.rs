//! What a load did.

use crate::text::{count, number};
use serde_json::{Value, json};
use std::time::Duration;

/// Why a load ended before the end of its input.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// Number of the line that was not loaded, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// What a load did.
#[derive(Debug, Clone)]
pub struct Report {
    /// Rows that the store acknowledged.
    pub acknowledged: u64,
    /// Of those, rows known to be durable.
    pub durable: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Time from the first line to the last sync.
    pub elapsed: Duration,
    /// `sync` or `buffered`.
    pub durability: &'static str,
    /// Rows that the table holds now.
    pub table_rows: u64,
    /// The table was created by this load.
    pub table_created: bool,
    /// Set when the load did not reach the end of its input.
    pub stopped: Option<Stopped>,
}

impl Report {
    fn rows_per_second(&self) -> u64 {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        (self.acknowledged as f64 / seconds) as u64
    }

    /// For programs.
    pub fn object(&self) -> Value {
        let stopped = self.stopped.as_ref();
        json!({
            "acknowledged": self.acknowledged,
            "durable": self.durable,
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
            "rows_per_second": self.rows_per_second(),
            "durability": self.durability,
            "table_rows": self.table_rows,
            "table_created": self.table_created,
            "stopped": stopped.map(|at| json!({ "line": at.line, "reason": at.reason })),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let durable = if self.durable == self.acknowledged {
            "all durable".to_owned()
        } else {
            format!("{} of them known to be durable", number(self.durable))
        };
        format!(
            "{} in {:.2} s, {} rows/s ({}); {durable}; the table holds {}",
            count(self.acknowledged, "row"),
            self.elapsed.as_secs_f64(),
            number(self.rows_per_second()),
            self.durability,
            count(self.table_rows, "row")
        )
    }
}
