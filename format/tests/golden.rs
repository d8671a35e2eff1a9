//! Golden files, both directions: we still read what was written, and we still write it.

#![allow(clippy::disallowed_methods, reason = "a test reads the golden files with std::fs")]

mod samples;

use samples::{Golden, decode, dump, page};
use slotcask_format::layout;
use std::path::PathBuf;

fn path(name: &str, ending: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    root.join(format!("{name}_v1.{ending}"))
}

fn read(golden: &Golden, ending: &str) -> Vec<u8> {
    let path = path(golden.name, ending);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn this_build_writes_the_same_bytes() {
    for golden in samples::all() {
        assert!(read(&golden, "bin") == golden.bytes, "{} differs from its file", golden.name);
    }
}

#[test]
fn this_build_reads_the_same_values() {
    for golden in samples::all() {
        let file = decode::decode(golden.name, &read(&golden, "bin"));
        let sample = decode::decode(golden.name, &golden.bytes).expect("samples are valid");
        assert_eq!(file.as_ref(), Ok(&sample), "{}", golden.name);
    }
}

/// The values themselves, not only that reading undoes writing: a field that both sides swap would pass above.
#[test]
fn the_files_say_what_the_samples_say() {
    let text = |name: &str| {
        let bytes = std::fs::read(path(name, "bin")).expect("golden file");
        decode::decode(name, &bytes).expect("golden files are valid")
    };
    assert_eq!(text("history"), format!("{:?}", samples::history()));
    assert_eq!(text("manifest_state"), format!("{:?}", samples::manifest_state()));
    assert_eq!(text("schema"), format!("{:?}", samples::schema()));
    assert_eq!(text("ddl"), format!("{:?}", samples::ddl()));
    assert_eq!(text("extension"), format!("{:?}", Some(samples::TIME_MS)));
    assert_eq!(text("record"), format!("{:?}", (samples::put(), 80)));
    assert_eq!(text("superblock"), format!("{:?}", samples::superblock()));
    assert!(text("double_write").contains("table: 7, batch: 6, page_size: 4096, pages: [4, 11]"));
    assert!(text("page_map_block").contains(&format!("{:?}", samples::MAP_CHECKSUMS)));
    let flush = text("flush");
    assert_eq!(flush.matches("Record {").count(), 3, "{flush}");
    assert!(flush.contains(&format!("{:?}", samples::put())));
    let slots = text("slot");
    assert!(slots.contains("Live") && slots.contains("Tombstone") && slots.contains("Free"));
}

#[test]
fn dumps_stand_beside_the_files() {
    for golden in samples::all() {
        let text = String::from_utf8(read(&golden, "txt")).expect("dumps are text");
        assert_eq!(text, dump::text(&golden), "run the example `golden`");
    }
}

#[test]
fn every_layout_has_a_golden_file() {
    let goldens = samples::all();
    for layout in layout::tables() {
        let shown = goldens.iter().flat_map(|golden| &golden.parts);
        assert!(
            shown.into_iter().any(|(_, part)| part.name == layout.name),
            "{} stands in no golden file",
            layout.name
        );
    }
}

#[test]
fn layouts_have_no_gaps() {
    for layout in layout::tables() {
        let mut end = 0;
        for field in layout.fields {
            assert_eq!(field.offset, end, "{}.{}", layout.name, field.name);
            end += field.size;
        }
        assert_eq!(end, layout.size, "{}", layout.name);
    }
}

#[test]
fn the_page_is_rendered_from_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMAT.md");
    let text = std::fs::read_to_string(path).expect("docs/FORMAT.md");
    let fresh = page::render(&text, &samples::all()).expect("markers of docs/FORMAT.md");
    let differs = text.lines().zip(fresh.lines()).find(|(old, new)| old != new);
    assert!(text == fresh, "run the example `golden`; first difference: {differs:?}");
}
