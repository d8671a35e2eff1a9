//! Damage by single bytes and by missing bytes: what has a checksum is refused or unchanged, and nothing panics.

mod samples;

use samples::{Golden, decode};
use slotcask_format::Reason;
use slotcask_format::superblock::Superblock;

/// Structures that are covered by the checksum of what carries them.
const BARE: [&str; 11] = [
    "extension",
    "compressed_value",
    "manifest_state",
    "manifest_data",
    "schema",
    "cask_schema",
    "compressed_schema",
    "ordered_schema",
    "range_delete",
    "range_delete_slots",
    "ddl",
];

fn flips(at: usize) -> impl Iterator<Item = u8> {
    // Every bit near the front, where the fields are; three patterns in the long bodies.
    let bits = if at % 4096 < 512 { 0..8 } else { 0..0 };
    bits.map(|bit| 1 << bit).chain([0x01, 0x80, 0xff])
}

#[test]
fn a_changed_byte_is_refused_or_changes_nothing() {
    for golden in samples::all().into_iter().filter(|golden| !BARE.contains(&golden.name)) {
        let whole = decode::decode(golden.name, &golden.bytes).expect("samples are valid");
        let mut bytes = golden.bytes.clone();
        let mut refused = 0;
        for at in 0..bytes.len() {
            for flip in flips(at) {
                bytes[at] ^= flip;
                match decode::decode(golden.name, &bytes) {
                    Ok(text) => {
                        assert_eq!(text, whole, "{} with {flip:#x} at {at}", golden.name);
                    }
                    Err(_) => refused += 1,
                }
                bytes[at] ^= flip;
            }
        }
        // One of two superblocks may be damaged without harm; everything else is covered.
        assert!(refused > 0 || golden.name == "superblock", "{}", golden.name);
    }
}

#[test]
fn every_covered_byte_is_covered() {
    for golden in samples::all().into_iter().filter(|golden| !BARE.contains(&golden.name)) {
        for at in covered(&golden) {
            let mut bytes = golden.bytes.clone();
            bytes[at] ^= 0x10;
            let result = decode::decode(golden.name, &bytes);
            assert!(result.is_err(), "{} with a flip at {at} was accepted", golden.name);
        }
    }
}

/// The bytes whose change must be refused.
fn covered(golden: &Golden) -> Vec<usize> {
    match golden.name {
        // Two copies: see `one_damaged_superblock_is_reported`.
        "superblock" => Vec::new(),
        // Header and page numbers, then images; the zeros between are never read.
        "double_write" => (0..56).chain(4096..golden.bytes.len()).collect(),
        _ => (0..golden.bytes.len()).collect(),
    }
}

#[test]
fn one_damaged_superblock_is_reported() {
    let bytes = samples::superblock().encode_file();
    for at in 0..Superblock::SIZE {
        for copy in [at, at + 4096] {
            let mut bytes = bytes.clone();
            bytes[copy] ^= 0x10;
            let (block, damage) = Superblock::decode_file(&bytes).expect("one copy is whole");
            assert_eq!(block, samples::superblock());
            assert!(damage.is_some(), "damage at {copy} is not reported");
        }
        let mut both = bytes.clone();
        both[at] ^= 0x10;
        both[at + 4096] ^= 0x10;
        assert!(Superblock::decode_file(&both).is_err(), "damage at {at} in both copies");
    }
}

#[test]
fn missing_bytes_are_refused() {
    for golden in samples::all() {
        for len in 0..golden.bytes.len() {
            let result = decode::decode(golden.name, &golden.bytes[..len]);
            let accepted = match golden.name {
                // The first copy is whole; the second is reported as damaged.
                "superblock" => len >= Superblock::SIZE,
                // An empty extension holds no items.
                "extension" => len == 0,
                // What the block says is found out when it is decompressed.
                "compressed_value" => len > 4,
                // The compression stands last, and schemas need none.
                "compressed_schema" | "ordered_schema" => {
                    len == samples::cask_schema().encode().len()
                }
                _ => false,
            };
            assert_eq!(result.is_ok(), accepted, "{} cut to {len} bytes: {result:?}", golden.name);
        }
    }
}

#[test]
fn bare_structures_never_panic() {
    for golden in samples::all().into_iter().filter(|golden| BARE.contains(&golden.name)) {
        for at in 0..golden.bytes.len() {
            for value in 0..=u8::MAX {
                let mut bytes = golden.bytes.clone();
                bytes[at] = value;
                let _ = decode::decode(golden.name, &bytes);
            }
        }
    }
}

#[test]
fn zeros_and_ones_never_decode() {
    for golden in samples::all().into_iter().filter(|golden| golden.name != "extension") {
        for fill in [0, 0xff] {
            let bytes = vec![fill; golden.bytes.len()];
            assert!(decode::decode(golden.name, &bytes).is_err(), "{} of {fill:#x}", golden.name);
        }
    }
}

#[test]
fn damage_is_named_by_its_field() {
    for golden in samples::all() {
        let Some((0, layout)) = golden.parts.first() else { continue };
        for field in layout.fields {
            let mut bytes = golden.bytes.clone();
            bytes[field.offset] ^= 0x40;
            if golden.name == "superblock" {
                bytes[4096 + field.offset] ^= 0x40;
            }
            let reason = decode::decode(golden.name, &bytes).expect_err("a changed field");
            let named = match field.name {
                "magic" => matches!(reason, Reason::Magic { .. }),
                // More pages than there are bytes are refused before they are hashed.
                "count" if golden.name == "double_write" => {
                    matches!(reason, Reason::Checksum { .. } | Reason::Range { .. })
                }
                // Bare, in a record: sizes are compared with each other.
                _ if layout.name == "RangeDeleteHeader" => {
                    !matches!(reason, Reason::Checksum { .. })
                }
                "raw_len" => matches!(reason, Reason::Mismatch { .. }),
                _ => matches!(reason, Reason::Checksum { .. }),
            };
            assert!(named, "{}.{}: {reason:?}", layout.name, field.name);
        }
    }
}
