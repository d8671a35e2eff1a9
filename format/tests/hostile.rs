//! Bytes with good checksums and bad contents: newer versions, reserved bytes, numbers that overflow.

mod samples;

use samples::{decode, golden};
use slotcask_format::double_write::{self, double_write_seed};
use slotcask_format::flush::{FlushHeader, flush_seed};
use slotcask_format::layout::{Field, Layout};
use slotcask_format::manifest::DataFileState;
use slotcask_format::record::{FLAG_LZ4, Record, RecordKind, SLOT_NONE, decode, record_seed};
use slotcask_format::superblock::Superblock;
use slotcask_format::{FORMAT_VERSION, Reason};
use zerocopy::FromBytes;

/// Sets the bytes of a field in every copy of the layout, seals, and reads.
fn with_field(name: &str, layout: &Layout, field: &Field, value: &[u8]) -> Result<String, Reason> {
    let golden = golden(name);
    let mut bytes = golden.bytes;
    for (at, _) in golden.parts.iter().filter(|(_, part)| part.name == layout.name) {
        bytes[at + field.offset..][..value.len()].copy_from_slice(value);
    }
    decode::seal(name, &mut bytes);
    decode::decode(name, &bytes)
}

/// The first layout of each golden file, with its fields.
fn each_field(mut visit: impl FnMut(&str, &Layout, &Field)) {
    for golden in samples::all() {
        if let Some((0, layout)) = golden.parts.first() {
            layout.fields.iter().for_each(|field| visit(golden.name, layout, field));
        }
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let mut seen = 0;
    each_field(|name, layout, field| {
        if field.name == "version" {
            for found in [FORMAT_VERSION + 1, u16::MAX] {
                assert_eq!(
                    with_field(name, layout, field, &found.to_le_bytes()),
                    Err(Reason::Version { supported: FORMAT_VERSION, found }),
                    "{name}"
                );
            }
            assert_eq!(
                with_field(name, layout, field, &[0, 0]),
                Err(Reason::Unknown { what: "format version", found: 0 }),
                "{name}"
            );
            seen += 1;
        }
    });
    assert_eq!(seen, 11, "layouts with a version");
}

#[test]
fn reserved_bytes_are_refused_one_by_one() {
    let mut seen = 0;
    each_field(|name, layout, field| {
        if field.meaning != "zero" {
            return;
        }
        for at in 0..field.size {
            let mut value = vec![0; field.size];
            value[at] = 1;
            let result = with_field(name, layout, field, &value);
            assert!(
                matches!(result, Err(Reason::Reserved { .. })),
                "{name}.{} at {at}: {result:?}",
                field.name
            );
        }
        seen += 1;
    });
    assert!(seen >= 14, "only {seen} reserved fields were found");
}

#[test]
fn extreme_numbers_in_every_field_never_panic() {
    each_field(|name, layout, field| {
        for fill in [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff] {
            let _ = with_field(name, layout, field, &vec![fill; field.size]);
            // The highest byte alone, and the lowest alone.
            let mut value = vec![0; field.size];
            value[field.size - 1] = fill;
            let _ = with_field(name, layout, field, &value);
            value.fill(0xff);
            value[0] = fill;
            let _ = with_field(name, layout, field, &value);
        }
    });
}

#[test]
fn data_files_that_no_store_writes_are_refused() {
    let invalid = |change: fn(&mut DataFileState)| {
        let mut state = samples::manifest_data();
        change(&mut state.data[1]);
        state.invalid()
    };
    assert_eq!(invalid(|_| {}), None);
    let changes: [fn(&mut DataFileState); 5] = [
        |file| file.end = u64::MAX,
        |file| file.end = (1 << 30) + 4096,
        |file| file.records = u64::MAX,
        |file| file.sequence_max = u64::MAX,
        |file| file.sequence_min = file.sequence_max + 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let reason = invalid(change);
        assert!(matches!(reason, Some(Reason::Range { .. })), "{number}: {reason:?}");
    }
}

#[test]
fn a_flush_end_beyond_all_numbers_is_refused() {
    let (mut header, _) =
        FlushHeader::read_from_prefix(&golden("flush").bytes).expect("a whole header");
    let seed = flush_seed(samples::STORE, samples::SHARD, samples::GENERATION);
    let offset = u64::MAX - 4095;
    header.offset.set(offset);
    header.length.set(u32::MAX);
    header.seal(seed, &[]);
    assert_eq!(
        header.invalid(seed, samples::GENERATION, offset, u64::MAX - 1),
        Some(Reason::Range { what: "flush end", found: u64::MAX, max: u64::MAX - 1 })
    );
    header.offset.set(offset + 1);
    header.seal(seed, &[]);
    assert!(matches!(
        header.invalid(seed, samples::GENERATION, offset + 1, u64::MAX),
        Some(Reason::Range { what: "flush offset", .. })
    ));
}

#[test]
fn flush_numbers_are_checked_against_each_other() {
    let invalid = |change: fn(&mut FlushHeader)| {
        let (mut header, body) = FlushHeader::read_from_prefix(&golden("flush").bytes)
            .map(|(h, b)| (h, b.to_vec()))
            .expect("whole");
        let seed = flush_seed(samples::STORE, samples::SHARD, samples::GENERATION);
        change(&mut header);
        header.seal(seed, &body);
        header.invalid(seed, samples::GENERATION, samples::FLUSH_OFFSET, samples::SEGMENT_SIZE)
    };
    let range = |reason: Option<Reason>, field: &str| {
        assert!(
            matches!(&reason, Some(Reason::Range { what, .. }) if *what == field),
            "{reason:?}"
        );
    };
    assert_eq!(invalid(|_| ()), None);
    range(invalid(|header| header.first_sequence.set(u64::MAX)), "first sequence");
    range(invalid(|header| header.first_sequence.set(0)), "first sequence");
    range(invalid(|header| header.durable_sequence.set(101)), "watermark");
    range(invalid(|header| header.count.set(7)), "flush records");
    range(invalid(|header| header.length.set(1 << 20)), "flush end");
    let reason = invalid(|header| header.count.set(0));
    assert!(matches!(reason, Some(Reason::Mismatch { what: "flush length", .. })), "{reason:?}");
    let reason = invalid(|header| header.flags.set(16));
    assert!(matches!(reason, Some(Reason::Unknown { what: "flush flags", .. })), "{reason:?}");
    // What `invalid` refuses must not overflow before it was asked.
    let (mut header, _) = FlushHeader::read_from_prefix(&golden("flush").bytes).expect("whole");
    header.first_sequence.set(u64::MAX);
    assert_eq!(header.next_sequence(), u64::MAX);
}

#[test]
fn only_a_put_without_a_slot_is_compressed() {
    let seed = record_seed(samples::STORE, samples::SHARD);
    let decoded = |kind, slot| {
        let record = Record { kind, slot, flags: FLAG_LZ4, ..samples::put() };
        let mut bytes = vec![0; record.size()];
        record.encode(seed, &mut bytes);
        decode(seed, &bytes).map(|(found, _)| found == record)
    };
    assert_eq!(decoded(RecordKind::Put, SLOT_NONE), Ok(true));
    let refused = Err(Reason::Unknown { what: "record flags", found: u64::from(FLAG_LZ4) });
    assert_eq!(decoded(RecordKind::Put, 3), refused);
    assert_eq!(decoded(RecordKind::Delete, SLOT_NONE), refused);
}

#[test]
fn a_newer_superblock_decides_in_either_place() {
    let bytes = samples::superblock().encode_file();
    for at in [0, 4096] {
        let mut newer = bytes.clone();
        newer[at + 12..at + 14].copy_from_slice(&9_u16.to_le_bytes());
        decode::seal("superblock", &mut newer);
        let expected = Err(Reason::Version { supported: FORMAT_VERSION, found: 9 });
        assert_eq!(Superblock::decode_file(&newer), expected);
        // The other copy may even be damaged.
        newer[(at + 4096) % 8192 + 40] ^= 1;
        assert_eq!(Superblock::decode_file(&newer), expected);
    }
}

#[test]
fn two_superblocks_that_differ_are_refused() {
    let mut bytes = samples::superblock().encode_file();
    bytes[4096 + 40] ^= 1;
    decode::seal("superblock", &mut bytes);
    assert!(matches!(Superblock::decode_file(&bytes), Err(Reason::Checksum { .. })));
}

#[test]
fn good_bytes_in_a_wrong_place_are_refused() {
    use slotcask_format::{manifest, page_map, record, slot};
    let (store, shard, table) = (samples::STORE, samples::SHARD, samples::TABLE);
    let slot = &samples::slots()[..samples::slot_layout().slot_size];
    let seed = slot::slot_seed(store, shard, table);
    assert!(slot::decode_slot(seed, samples::SLOT, slot).is_ok());
    assert!(slot::decode_slot(seed, samples::SLOT + 1, slot).is_err());
    for (shard, table) in [(shard + 1, table), (shard, table + 1)] {
        let seed = slot::slot_seed(store, shard, table);
        assert!(slot::decode_slot(seed, samples::SLOT, slot).is_err());
    }
    let block = samples::map_block();
    let seed = page_map::map_seed(store, shard, table);
    assert!(page_map::decode_map_block(seed, samples::MAP_BLOCK + 1, &block).is_err());
    let record = samples::encode(&samples::put());
    assert!(record::decode(record::record_seed(store, shard + 1), &record).is_err());
    let bytes = samples::manifest_record();
    let seed = manifest::manifest_seed(store, shard, samples::GENERATION);
    assert!(manifest::decode_record(seed, samples::MANIFEST_OFFSET + 4096, &bytes).is_err());
    let seed = manifest::manifest_seed(store, shard, samples::GENERATION + 1);
    assert!(manifest::decode_record(seed, samples::MANIFEST_OFFSET, &bytes).is_err());
    let (flush, _) = FlushHeader::read_from_prefix(&golden("flush").bytes).expect("whole");
    for (generation, offset) in [(samples::GENERATION, 4096), (4, samples::FLUSH_OFFSET)] {
        let seed = flush_seed(store, shard, generation);
        assert!(flush.invalid(seed, generation, offset, samples::SEGMENT_SIZE).is_some());
    }
}

#[test]
fn a_torn_double_write_holds_nothing() {
    let seed = double_write_seed(samples::STORE, samples::SHARD);
    let whole = samples::double_write();
    assert_eq!(
        double_write::decode(seed, &whole).map(|area| area.images.to_vec()),
        Ok(samples::double_write_images())
    );
    for sector in 0..whole.len() / 512 {
        let mut torn = whole.clone();
        torn[sector * 512..][..512].fill(0xee);
        let covered = sector == 0 || sector >= 8;
        assert_eq!(double_write::decode(seed, &torn).is_err(), covered, "sector {sector}");
    }
    // An older, longer batch behind the newer one is not read.
    let mut longer = whole.clone();
    longer.extend_from_slice(&[0xaa; 4096]);
    assert!(double_write::decode(seed, &longer).is_ok());
}
