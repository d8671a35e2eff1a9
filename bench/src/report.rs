//! Figures of a run: one per row, column and round; the table and the JSON made of them.

use crate::bars::{Against, Bar, Better, OURS, RAW, Row, all, row};
use crate::measure::median;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What came of one bar.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What it was compared with, in words.
    pub against: String,
    /// The ratio, or the figure for a bar against nothing.
    pub figure: f64,
    /// The limit.
    pub limit: f64,
    /// Whether it holds.
    pub met: bool,
}

/// Figures of a run.
#[derive(Debug, Default)]
pub struct Report {
    figures: BTreeMap<&'static str, BTreeMap<&'static str, Vec<f64>>>,
}

impl Report {
    /// Adds a round's figure.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn add(&mut self, id: &str, column: &'static str, figure: f64) {
        let row = row(id).expect("rows are listed in bars.rs");
        self.figures.entry(row.id).or_default().entry(column).or_default().push(figure);
    }

    fn rounds(&self, id: &str, column: &str) -> &[f64] {
        self.figures.get(id).and_then(|row| row.get(column)).map_or(&[], Vec::as_slice)
    }

    /// Median over the rounds; `None` when the row was not measured for the column.
    #[must_use]
    pub fn median(&self, id: &str, column: &str) -> Option<f64> {
        let rounds = self.rounds(id, column);
        (!rounds.is_empty()).then(|| median(rounds))
    }

    /// Columns of a row that are neither slotcask nor a raw loop.
    fn peers(&self, id: &str) -> Vec<&'static str> {
        let columns = self.figures.get(id).into_iter().flat_map(BTreeMap::keys);
        columns.copied().filter(|column| *column != OURS && *column != RAW).collect()
    }

    /// The best of the peers of a row; of `kin` only, unless that is empty.
    fn best_peer(&self, row: &Row, kin: &[&str]) -> Option<&'static str> {
        let goodness = |column: &&'static str| {
            let figure = self.median(row.id, column).unwrap_or(f64::NAN);
            if row.better == Better::Higher { figure } else { -figure }
        };
        let peers = self.peers(row.id).into_iter();
        let wanted = peers.filter(|peer| kin.is_empty() || kin.contains(peer));
        wanted.max_by(|a, b| goodness(a).total_cmp(&goodness(b)))
    }

    /// How many times better `ours` is than `theirs`: the median of the rounds' ratios, because the rounds of one
    /// number ran beside each other; the ratio of the medians when the numbers of rounds differ.
    fn ratio(better: Better, ours: &[f64], theirs: &[f64]) -> Option<f64> {
        let one = |ours: f64, theirs: f64| match better {
            Better::Higher => ours / theirs,
            Better::Lower => theirs / ours,
        };
        if ours.is_empty() || theirs.is_empty() {
            None
        } else if ours.len() == theirs.len() {
            let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(o, t)| one(*o, *t)).collect();
            Some(median(&ratios))
        } else {
            Some(one(median(ours), median(theirs)))
        }
    }

    /// What came of a bar of a row; `None` when the run lacks a figure for it.
    #[must_use]
    pub fn judge(&self, row: &Row, bar: &Bar) -> Option<Verdict> {
        let ours = self.rounds(row.id, OURS);
        let against = |words: String, theirs: &[f64]| {
            let figure = Self::ratio(row.better, ours, theirs)?;
            Some(Verdict { against: words, figure, limit: bar.limit, met: figure >= bar.limit })
        };
        match bar.against {
            Against::BestPeer => {
                let peer = self.best_peer(row, &[])?;
                against(peer.to_owned(), self.rounds(row.id, peer))
            }
            Against::BestOf(kin) => {
                let peer = self.best_peer(row, kin)?;
                against(peer.to_owned(), self.rounds(row.id, peer))
            }
            Against::Column(column) => against(column.to_owned(), self.rounds(row.id, column)),
            Against::Row(id) => against(format!("our {id}"), self.rounds(id, OURS)),
            Against::Itself => {
                let figure = self.median(row.id, OURS)?;
                Some(Verdict {
                    against: "itself".to_owned(),
                    figure,
                    limit: bar.limit,
                    met: match row.better {
                        Better::Lower => figure <= bar.limit,
                        Better::Higher => figure >= bar.limit,
                    },
                })
            }
        }
    }

    /// All verdicts of the run, with their rows.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(&'static Row, Verdict)> {
        let bars = all().flat_map(|row| row.bars.iter().map(move |bar| (row, bar)));
        bars.filter_map(|(row, bar)| Some((row, self.judge(row, bar)?))).collect()
    }

    /// The table that `compare` prints: each row that was measured, each column, each bar.
    #[must_use]
    pub fn table(&self) -> String {
        let mut columns = vec![OURS, RAW];
        for row in all() {
            columns.extend(self.peers(row.id));
        }
        let mut seen = Vec::new();
        columns.retain(|column| {
            let first = !seen.contains(column);
            seen.push(*column);
            first
        });
        let mut text = format!("{:<30} {:>9}", "row", "unit");
        for column in &columns {
            let _ = write!(text, " {column:>12}");
        }
        text.push_str("  bar\n");
        for row in all().filter(|row| self.figures.contains_key(row.id)) {
            let _ = write!(text, "{:<30} {:>9}", row.id, row.unit);
            for column in &columns {
                let figure = self.median(row.id, column).map_or_else(|| "-".to_owned(), short);
                let _ = write!(text, " {figure:>12}");
            }
            for bar in row.bars {
                text.push_str("  ");
                text.push_str(&self.judge(row, bar).map_or_else(
                    || "not measured".to_owned(),
                    |verdict| verdict_text(row, bar, &verdict),
                ));
            }
            text.push('\n');
        }
        text
    }

    /// Rows, rounds, medians and verdicts.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = all().filter_map(|row| {
            let columns = self.figures.get(row.id)?;
            let figures: serde_json::Map<String, Value> = columns
                .iter()
                .map(|(column, rounds)| {
                    ((*column).to_owned(), json!({ "median": median(rounds), "rounds": rounds }))
                })
                .collect();
            let bars: Vec<Value> = row
                .bars
                .iter()
                .filter_map(|bar| self.judge(row, bar))
                .map(|verdict| {
                    json!({
                        "against": verdict.against,
                        "figure": verdict.figure,
                        "limit": verdict.limit,
                        "met": verdict.met,
                    })
                })
                .collect();
            Some(json!({
                "row": row.id,
                "unit": row.unit,
                "better": match row.better {
                    Better::Lower => "lower",
                    Better::Higher => "higher",
                },
                "durability": row.durability,
                "figures": figures,
                "bars": bars,
            }))
        });
        Value::Array(rows.collect())
    }
}

fn verdict_text(row: &Row, bar: &Bar, verdict: &Verdict) -> String {
    let word = if verdict.met { "ok" } else { "SHORT" };
    let limit = short(verdict.limit);
    match bar.against {
        Against::Itself if row.better == Better::Higher => format!("at least {limit}: {word}"),
        Against::Itself => format!("at most {limit}: {word}"),
        _ => format!("{} of {}, at least {limit}: {word}", short(verdict.figure), verdict.against),
    }
}

/// Three significant digits or so.
fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(figures: &[(&str, &'static str, f64)]) -> Report {
        let mut report = Report::default();
        for (id, column, figure) in figures {
            report.add(id, column, *figure);
        }
        report
    }

    #[test]
    fn lower_is_better_turns_the_ratio_round() {
        let report =
            report(&[("load", OURS, 100.0), ("load", "fjall", 150.0), ("load", "redb", 400.0)]);
        let row = row("load").unwrap();
        let verdict = report.judge(row, &row.bars[0]).unwrap();
        assert_eq!(verdict.against, "fjall");
        assert!((verdict.figure - 1.5).abs() < 1e-9 && !verdict.met);
    }

    #[test]
    fn a_bar_against_itself_is_a_ceiling() {
        let row = row("stalls, p99.9").unwrap();
        let judge = |figure| report(&[(row.id, OURS, figure)]).judge(row, &row.bars[0]).unwrap();
        assert!(judge(20.0).met && !judge(20.1).met);
    }

    #[test]
    fn without_peers_there_is_no_verdict() {
        let row = row("load").unwrap();
        assert!(report(&[(row.id, OURS, 1.0)]).judge(row, &row.bars[0]).is_none());
    }

    #[test]
    fn ratios_are_made_round_by_round() {
        let ratio = Report::ratio(Better::Higher, &[10.0, 100.0, 1000.0], &[10.0, 50.0, 1000.0]);
        assert!((ratio.unwrap() - 1.0).abs() < 1e-9);
    }
}
