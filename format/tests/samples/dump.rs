//! A golden file as text: the fields of its layouts, then the other bytes in hexadecimal.

use super::Golden;
use std::fmt::Write;

/// Bytes shown in one line.
const LINE: usize = 16;

/// The text that stands beside a golden file.
pub fn text(golden: &Golden) -> String {
    let mut out =
        format!("{}_v1.bin, {} bytes: {}\n", golden.name, golden.bytes.len(), golden.about);
    let mut at = 0;
    for (offset, layout) in &golden.parts {
        plain(&mut out, &golden.bytes, at, *offset);
        writeln!(out, "\n{} at {offset}", layout.name).expect("writing to a string");
        for field in layout.fields {
            let bytes = &golden.bytes[offset + field.offset..][..field.size];
            let mut name = field.name;
            for part in bytes.chunks(LINE) {
                let hex = hex(part);
                let from = if name.is_empty() { String::new() } else { field.offset.to_string() };
                writeln!(out, "{from:>8}  {name:<18} {hex:<48} {}", ascii(part))
                    .expect("writing to a string");
                name = "";
            }
        }
        at = offset + layout.size;
    }
    plain(&mut out, &golden.bytes, at, golden.bytes.len());
    out
}

/// Dumps `bytes[from..to]`; a run of lines of zeros becomes one line.
fn plain(out: &mut String, bytes: &[u8], from: usize, to: usize) {
    if from == to {
        return;
    }
    writeln!(out, "\nbytes {from} to {to}").expect("writing to a string");
    let mut at = from;
    while at < to {
        let zeros = bytes[at..to].iter().take_while(|byte| **byte == 0).count();
        if zeros >= 2 * LINE || (zeros >= LINE && at + zeros == to) {
            let zeros = if at + zeros == to { zeros } else { zeros / LINE * LINE };
            writeln!(out, "{at:>8}  {zeros} zeros").expect("writing to a string");
            at += zeros;
            continue;
        }
        let end = to.min(at + LINE);
        let part = &bytes[at..end];
        writeln!(out, "{at:>8}  {:<48} {}", hex(part), ascii(part)).expect("writing to a string");
        at = end;
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let gap = if at == 0 { "" } else { " " };
        write!(out, "{gap}{byte:02x}").expect("writing to a string");
    }
    out
}

fn ascii(bytes: &[u8]) -> String {
    let shown = |byte: &u8| if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '.' };
    format!("|{}|", bytes.iter().map(shown).collect::<String>())
}
