//! What a measurement prints.

use super::keys::SEED;
use super::phase::Phase;
use crate::commands::bench::BenchArgs;
use crate::text::{count, display_size, number};
use serde_json::{Value, json};

const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99_9", 99.9)];

impl Phase {
    fn per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn object(&self) -> Value {
        let latency: serde_json::Map<String, Value> = PERCENTILES
            .iter()
            .map(|(name, at)| ((*name).to_owned(), json!(self.latencies.value_at_percentile(*at))))
            .chain([
                ("mean".to_owned(), json!(self.latencies.mean())),
                ("max".to_owned(), json!(self.latencies.max())),
            ])
            .collect();
        let histogram: Vec<Value> = self
            .latencies
            .iter_log(1024, 2.0)
            .filter(|step| step.count_since_last_iteration() > 0)
            .map(|step| json!([step.value_iterated_to(), step.count_since_last_iteration()]))
            .collect();
        let timed = !self.latencies.is_empty();
        json!({
            "name": self.name,
            "threads": self.threads,
            "durability": self.durability,
            "operations": self.operations,
            "seconds": self.elapsed.as_secs_f64(),
            "operations_per_second": self.per_second(),
            "latency_ns": timed.then_some(latency),
            "histogram_ns": timed.then_some(histogram),
        })
    }

    fn line(&self) -> String {
        let start = format!(
            "{:<24} {:>7} {:<9} {:>12}",
            self.name,
            self.threads,
            self.durability,
            number(self.per_second() as u64)
        );
        if self.latencies.is_empty() {
            return start;
        }
        let micros = |nanos: u64| format!("{:.1}", nanos as f64 / 1000.0);
        let columns = PERCENTILES
            .iter()
            .map(|(_, at)| self.latencies.value_at_percentile(*at))
            .chain([self.latencies.max()])
            .map(|nanos| format!(" {:>10}", micros(nanos)))
            .collect::<String>();
        start + &columns
    }
}

/// For programs. Latencies are nanoseconds; a histogram is pairs of an upper bound and a count.
pub fn object(args: &BenchArgs, shards: u32, phases: &[Phase]) -> Value {
    json!({
        "dir": args.dir.display().to_string(),
        "keys": args.keys,
        "key_len": args.key_len,
        "value_len": args.value_len,
        "shards": shards,
        "log_size": args.log_size,
        "seconds_per_phase": args.seconds,
        "seed": SEED,
        "phases": phases.iter().map(Phase::object).collect::<Vec<_>>(),
    })
}

/// What is measured, and the head of the table.
pub fn head(args: &BenchArgs, shards: u32) -> String {
    format!(
        "{}, keys of {} bytes, values of {} bytes; {}, log {}; {} s a phase; latencies in microseconds\n\
         {:<24} {:>7} {:<9} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
        count(args.keys, "row"),
        args.key_len,
        args.value_len,
        count(u64::from(shards), "shard"),
        display_size(args.log_size),
        args.seconds,
        "phase",
        "threads",
        "done when",
        "a second",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max"
    )
}

/// A line of the table.
pub fn line(phase: &Phase) -> String {
    phase.line()
}
