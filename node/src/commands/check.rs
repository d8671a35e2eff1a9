//! `check`: verifies every checksum.

use crate::errors::{Exit, Failure};
use crate::opening::{environment, patiently};
use crate::output::Output;
use crate::text::{count, display_size};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use slotcask::tools::{self, CheckReport, Finding, Severity};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Reads every file of the store and changes nothing. The store must not be open for writing. The exit code is 1 \
when damage was found; notices (such as the end of a log after a crash) are not damage.

Examples:
  slotcask check db
  slotcask --json check db";

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Verifies the store.
pub fn run(args: &CheckArgs, output: &mut Output) -> Result<Exit, Failure> {
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("check {bytes} of {total_bytes} {wide_bar} {eta}")
    {
        bar.set_style(style);
    }
    let mut progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let env = environment();
    let report = patiently(output.wait(), || tools::check(&env, &args.dir, &mut progress));
    bar.finish_and_clear();
    let report = report?;
    let damage = report.findings.iter().filter(|finding| is_damage(finding)).count();
    if output.is_json() {
        output.json(&object(&report, damage))?;
    } else {
        for finding in &report.findings {
            output.line(&line(finding))?;
        }
        output.line(&format!(
            "{}, {}: {}",
            count(report.files, "file"),
            display_size(report.bytes),
            verdict(damage)
        ))?;
    }
    Ok(if damage == 0 { Exit::Done } else { Exit::No })
}

fn is_damage(finding: &Finding) -> bool {
    finding.severity == Severity::Damage
}

fn verdict(damage: usize) -> String {
    match damage {
        0 => "no damage".to_owned(),
        1 => "1 damage found; `slotcask repair DIR` says what can be done".to_owned(),
        count => format!("{count} damages found; `slotcask repair DIR` says what can be done"),
    }
}

fn severity(finding: &Finding) -> &'static str {
    if is_damage(finding) { "damage" } else { "notice" }
}

fn line(finding: &Finding) -> String {
    let path = finding.path.display();
    format!("{}: {path} at {}: {}", severity(finding), finding.at, finding.reason)
}

fn object(report: &CheckReport, damage: usize) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "severity": severity(finding),
                "path": finding.path.display().to_string(),
                "at": finding.at,
                "reason": finding.reason,
            })
        })
        .collect();
    json!({
        "files": report.files,
        "bytes": report.bytes,
        "keys": report.keys,
        "records": report.records,
        "damage": damage,
        "findings": findings,
    })
}
