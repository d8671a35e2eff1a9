//! The table in `docs/RECOVERY.md` is the one in the code.

use slotcask_log::recovery::{Decision, ROWS};

const PAGE: &str = include_str!("../../docs/RECOVERY.md");

fn rendered() -> String {
    let mut lines = vec![
        "| row | manifest short | below W | flush beyond | segment beyond | closed | end matches | torn | above W | decision | after a crash | why |"
            .to_owned(),
        format!("{}|", "| --- ".repeat(12)),
    ];
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    for row in ROWS {
        let pattern = row.pattern.map(|fact| fact.map_or("-", yes)).join(" | ");
        let decision = match row.decision {
            Decision::Refuse => "refuse",
            Decision::Accept => "accept",
            Decision::Truncate => "truncate",
        };
        let (name, legal, why) = (row.name, yes(row.legal), row.why);
        lines.push(format!("| `{name}` | {pattern} | {decision} | {legal} | {why} |"));
    }
    lines.join("\n")
}

#[test]
fn the_page_has_the_rows_of_the_code() {
    let (_, rest) = PAGE.split_once("<!-- rows -->\n").expect("the page has a place for the rows");
    let (found, _) = rest.split_once("\n<!-- end -->").expect("the rows end");
    let expected = rendered();
    for (expected, found) in expected.lines().zip(found.lines()) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected, found, "put this between the marks:\n{expected}");
}
