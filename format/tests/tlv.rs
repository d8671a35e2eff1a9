//! Schemas, DDL, manifest states, record extensions, histories: round trips and the rules of their items.

mod samples;

use slotcask_format::Reason;
use slotcask_format::bytes::{Reader, Writer};
use slotcask_format::history::{Epoch, EpochKind, History};
use slotcask_format::manifest::ManifestState;
use slotcask_format::record::{deadline_extension, deadline_of};
use slotcask_format::schema::{Ddl, DdlAction, Placement, TableSchema};

fn schema_with(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.raw(&samples::schema().encode()).u8(tag).bytes(bytes);
    out.finish()
}

#[test]
fn schemas_come_back() {
    let mut schema = samples::schema();
    for placement in [Placement::Hashed, Placement::Pinned(0), Placement::Pinned(254)] {
        for deadlines in [false, true] {
            for (key_len, value_len, slots) in [(1, 0, 1), (4096, 1 << 20, u32::MAX - 1)] {
                schema.placement = placement;
                schema.deadlines = deadlines;
                (schema.key_len, schema.value_len, schema.slot_count_max) =
                    (key_len, value_len, slots);
                schema.name = "ü".repeat(127) + "x";
                assert_eq!(TableSchema::decode(&schema.encode()), Ok(schema.clone()));
            }
        }
    }
}

#[test]
fn schemas_outside_their_limits_are_refused() {
    let changes: [fn(&mut TableSchema); 8] = [
        |schema| schema.name.clear(),
        |schema| schema.name = "x".repeat(256),
        |schema| schema.key_len = 0,
        |schema| schema.key_len = 4097,
        |schema| schema.value_len = (1 << 20) + 1,
        |schema| schema.slot_count_max = 0,
        |schema| schema.slot_count_max = u32::MAX,
        |schema| schema.placement = Placement::Pinned(255),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut schema = samples::schema();
        change(&mut schema);
        let reason = schema.invalid();
        assert!(matches!(reason, Some(Reason::Range { .. })), "change {number}: {reason:?}");
        assert_eq!(TableSchema::decode(&schema.encode()).err(), reason, "change {number}");
    }
}

#[test]
fn optional_items_are_passed_over_and_others_are_not() {
    for tag in [128, 200, 255] {
        assert_eq!(TableSchema::decode(&schema_with(tag, b"later")), Ok(samples::schema()));
    }
    for tag in [0, 10, 127] {
        assert_eq!(
            TableSchema::decode(&schema_with(tag, b"later")),
            Err(Reason::Unknown { what: "schema item", found: u64::from(tag) })
        );
    }
}

#[test]
fn an_item_stands_once_and_has_its_length() {
    let twice = TableSchema::decode(&schema_with(4, &9_u32.to_le_bytes()));
    assert!(matches!(twice, Err(Reason::Mismatch { .. })), "{twice:?}");
    // The same schema with a key length of five bytes, of three bytes, with an unknown mark, kind and name.
    for (tag, item) in [
        (4, &[8, 0, 0, 0, 0][..]),
        (4, &[8, 0, 0]),
        (6, &[2]),
        (6, &[0]),
        (6, &[]),
        (2, &[0]),
        (2, &[2]),
        (1, &[0xff, 0xfe]),
        (3, &[]),
    ] {
        let mut out = Writer::new();
        let whole = samples::schema().encode();
        let mut reader = Reader::new(&whole);
        while reader.remaining() > 0 {
            let (found, bytes) = (reader.u8().expect("tag"), reader.bytes().expect("item"));
            out.u8(found).bytes(if found == tag { item } else { bytes });
        }
        let result = TableSchema::decode(&out.finish());
        assert!(result.is_err(), "tag {tag} of {item:?}: {result:?}");
    }
}

#[test]
fn needed_items_are_needed() {
    let whole = samples::schema().encode();
    for missing in 1..=7 {
        let mut out = Writer::new();
        let mut reader = Reader::new(&whole);
        while reader.remaining() > 0 {
            let (tag, bytes) = (reader.u8().expect("tag"), reader.bytes().expect("item"));
            if tag != missing {
                out.u8(tag).bytes(bytes);
            }
        }
        let result = TableSchema::decode(&out.finish());
        assert_eq!(result.is_ok(), missing == 3 || missing == 6, "without {missing}: {result:?}");
    }
}

#[test]
fn ddl_comes_back_and_has_numbers() {
    for action in [DdlAction::Create(samples::schema()), DdlAction::Drop, DdlAction::Clear] {
        let ddl = Ddl { number: u64::MAX, table: u32::MAX, action };
        assert_eq!(Ddl::decode(&ddl.encode()), Ok(ddl.clone()));
        let mut longer = ddl.encode();
        longer.push(0);
        assert!(Ddl::decode(&longer).is_err(), "a byte too many");
        for bad in [Ddl { number: 0, ..ddl.clone() }, Ddl { table: 0, ..ddl.clone() }] {
            let result = Ddl::decode(&bad.encode());
            assert!(matches!(result, Err(Reason::Range { found: 0, .. })), "{result:?}");
        }
    }
}

#[test]
fn manifest_states_come_back() {
    let full = samples::manifest_state();
    let mut many = full.clone();
    many.table_last = 300;
    many.tables = (1..=300)
        .map(|table| {
            let mut state = full.tables[0].clone();
            state.table = table;
            state
        })
        .collect();
    let bare = ManifestState { clean: None, ddl: None, ..ManifestState::default() };
    for state in [full, many, bare] {
        assert_eq!(ManifestState::decode(&state.encode()), Ok(state));
    }
}

#[test]
fn table_ids_ascend_and_were_given() {
    let state = samples::manifest_state();
    for ids in [&[0][..], &[10], &[2, 2], &[3, 2]] {
        let mut bad = state.clone();
        bad.tables = ids
            .iter()
            .map(|id| {
                let mut table = state.tables[0].clone();
                table.table = *id;
                table
            })
            .collect();
        let result = ManifestState::decode(&bad.encode());
        assert!(
            matches!(result, Err(Reason::Range { what: "table id", .. })),
            "{ids:?}: {result:?}"
        );
    }
}

#[test]
fn a_count_is_not_believed() {
    let mut bytes = ManifestState::default().encode();
    let at = bytes.len() - 8;
    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let result = ManifestState::decode(&bytes);
    assert!(matches!(result, Err(Reason::Range { what: "tables", .. })), "{result:?}");
    bytes[at..].copy_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    let result = ManifestState::decode(&bytes);
    assert!(matches!(result, Err(Reason::Range { what: "data files", .. })), "{result:?}");
}

#[test]
fn data_files_ascend_and_are_no_segments() {
    let state = samples::manifest_data();
    assert_eq!(ManifestState::decode(&state.encode()), Ok(state.clone()));
    for generations in [[2, 1], [2, 2], [1, 3], [1, state.generation_last + 1]] {
        let mut bad = state.clone();
        for (file, generation) in bad.data.iter_mut().zip(generations) {
            file.generation = generation;
        }
        let result = ManifestState::decode(&bad.encode());
        assert!(matches!(result, Err(Reason::Range { what: "data file", .. })), "{result:?}");
    }
}

#[test]
fn deadlines_are_exact() {
    for deadline in [0, 1, u64::MAX] {
        assert_eq!(deadline_of(&deadline_extension(deadline)), Ok(Some(deadline)));
    }
    assert_eq!(deadline_of(b""), Ok(None));
    assert_eq!(deadline_of(&[9, 2, 0, 0]), Ok(None), "unknown items are passed over");
    let once = deadline_extension(5);
    assert!(deadline_of(&[once, once].concat()).is_err(), "two deadlines");
    assert!(deadline_of(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err(), "nine bytes");
    assert!(deadline_of(&[1, 7, 0, 0, 0, 0, 0, 0, 0]).is_err(), "seven bytes");
    assert!(deadline_of(&[9, 5, 0]).is_err(), "an item beyond the end");
}

#[test]
fn histories_come_back_and_filter() {
    let history = samples::history();
    let read = |bytes: &[u8]| History::decode_file(bytes, samples::STORE, 3);
    assert_eq!(read(&history.encode_file(samples::STORE, 3)), Ok(history.clone()));
    assert_eq!(read(&History::default().encode_file(samples::STORE, 3)), Ok(History::default()));
    assert!(history.holds(0, 1, 100) && !history.holds(0, 1, 101) && history.holds(0, 3, 101));
    assert!(!history.holds(0, 4, 1), "an epoch that never began");
    assert!(history.holds(2, 1, 250) && history.holds(2, 2, 250) && !history.holds(2, 2, 251));
    let other = slotcask_format::StoreId([9; 16]);
    assert_eq!(read(&history.encode_file(other, 3)), Err(Reason::Store));
    let result = History::decode_file(&history.encode_file(samples::STORE, 3), samples::STORE, 4);
    assert!(matches!(result, Err(Reason::Mismatch { what: "shards", .. })), "{result:?}");
    for numbers in [[1, 1], [2, 1], [0, 1]] {
        let epochs = numbers.map(|number| Epoch {
            number,
            kind: EpochKind::Created,
            id: [0; 16],
            time_ms: 0,
            cuts: vec![0; 3],
        });
        let bytes = History { epochs: epochs.to_vec() }.encode_file(samples::STORE, 3);
        let result = read(&bytes);
        assert!(matches!(result, Err(Reason::Range { .. })), "{numbers:?}: {result:?}");
    }
}

#[test]
fn cursors_check_their_bounds() {
    let mut reader = Reader::new(&[5, 0, 0, 0, 1, 2]);
    assert_eq!(reader.bytes(), Err(Reason::Short { expected: 5, found: 2 }));
    let mut reader = Reader::new(&[1, 2, 3]);
    assert!(reader.u32().is_err());
    assert_eq!(reader.remaining(), 3, "a failed call takes nothing");
    assert_eq!(reader.u16(), Ok(0x0201));
    assert!(reader.clone().finish().is_err());
    assert_eq!(reader.u8(), Ok(3));
    assert!(reader.finish().is_ok());
    let mut reader = Reader::new(&[3, 0, 0, 0, 1, 2]);
    assert!(reader.clone().count("items", 1).is_err());
    assert!(reader.clone().count("items", 0).is_err(), "items of no size are counted as bytes");
    assert!(reader.count("items", usize::MAX).is_err());
}
