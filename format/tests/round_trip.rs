//! Records, slots, map blocks, headers: what is written in many shapes is read the same.

mod samples;

use samples::{SHARD, STORE, TABLE};
use slotcask_format::block::{BLOCK_SIZE, round_up, round_up_8};
use slotcask_format::checksum::{route_hash, route_hash_prefix};
use slotcask_format::double_write::{self, double_write_seed, index_size};
use slotcask_format::manifest::{ManifestHeader, decode_record, encode_record, manifest_seed};
use slotcask_format::page_map::{
    MAP_ENTRIES, decode_map_block, encode_map_block, map_block_offset, map_seed,
};
use slotcask_format::record::{
    EXTENSION_LEN_MAX, KEY_LEN_MAX, Record, RecordKind, decode, decode_vouched, record_seed,
    record_size,
};
use slotcask_format::slot::{
    SlotHeader, SlotImage, SlotKind, SlotLayout, decode_slot, encode_slot, slot_seed,
};
use slotcask_format::slot_file::{SLOT_FILE_MAGIC, SlotFileHeader};
use slotcask_format::superblock::SHARD_PREFIX_BITS_MAX;
use zerocopy::IntoBytes;

#[test]
fn records_of_every_kind_and_length() {
    let seed = record_seed(STORE, SHARD);
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8 | 1).collect();
    let kinds = (0..=u8::MAX).filter_map(RecordKind::from_u8);
    for (number, kind) in kinds.enumerate() {
        for (extension, key, value) in [
            (0, 0, 0),
            (0, 1, 0),
            (10, 8, 100),
            (EXTENSION_LEN_MAX, KEY_LEN_MAX, 99_999),
            (1, 2, 3),
        ] {
            let record = Record {
                sequence: number as u64 + 1,
                kind,
                flags: number as u8 % 8,
                extension: &bytes[..extension],
                key: &bytes[..key],
                value: &bytes[..value],
                ..samples::put()
            };
            let mut out = vec![0xff; record.size() + 5];
            let size = record.encode(seed, &mut out);
            assert_eq!(size, record_size(extension, key, value));
            assert_eq!(decode(seed, &out), Ok((record, size)));
            assert_eq!(decode_vouched(seed, &out), Ok((record, size)));
            assert_eq!(out[size..], [0xff; 5], "bytes behind the record are untouched");
        }
    }
}

#[test]
fn slots_lie_in_pages_without_straddling() {
    for key_len in [1, 7, 8, 9, 100, 4096] {
        for value_len in [0, 1, 8, 31, 100, 2000, 4056, 4057, 1 << 20] {
            for deadlines in [false, true] {
                let layout = SlotLayout::new(key_len, value_len, deadlines);
                assert_eq!(layout.page_size % BLOCK_SIZE, 0);
                assert!(layout.slots_per_page * layout.slot_size <= layout.page_size);
                assert!(layout.value_offset + value_len <= layout.slot_size);
                assert!(layout.key_offset + key_len <= layout.value_offset);
                for slot in [0, 1, 63, 64, 1_000_003, u32::MAX - 1] {
                    let at = layout.offset_of(slot);
                    let page = at / layout.page_size;
                    assert_eq!(page as u64, u64::from(layout.page_of(slot)));
                    assert_eq!((at + layout.slot_size - 1) / layout.page_size, page, "straddles");
                }
            }
        }
    }
}

#[test]
fn slots_of_every_state() {
    let layout = SlotLayout::new(9, 13, true);
    let seed = slot_seed(STORE, SHARD, TABLE);
    for (kind, key, value) in [
        (SlotKind::Live, &b"nine-byte"[..], &b"thirteen-byte"[..]),
        (SlotKind::Tombstone, b"nine-byte", b""),
        (SlotKind::Free, b"", b""),
    ] {
        let image = SlotImage { sequence: u64::MAX, epoch: 9, kind, deadline_ms: 77, key, value };
        let mut out = vec![0xff; layout.slot_size];
        encode_slot(&layout, seed, 5, &image, &mut out);
        let (header, found) = decode_slot(seed, 5, &out).expect("a slot");
        assert_eq!((header.sequence.get(), header.epoch.get(), found), (u64::MAX, 9, kind));
        assert_eq!(out[SlotHeader::SIZE..][..8], 77_u64.to_le_bytes());
        assert_eq!(&out[layout.key_offset..][..key.len()], key);
        assert_eq!(&out[layout.value_offset..][..value.len()], value);
        let tail = &out[layout.value_offset + value.len()..];
        assert!(tail.iter().all(|byte| *byte == 0), "padding is zero");
    }
}

#[test]
#[should_panic(expected = "value.len() <= layout.value_len")]
fn a_value_that_would_fit_into_the_padding_is_refused() {
    let layout = SlotLayout::new(8, 5, false);
    let image = SlotImage {
        sequence: 1,
        epoch: 1,
        kind: SlotKind::Live,
        deadline_ms: 0,
        key: b"8-bytes!",
        value: b"7-bytes",
    };
    let mut out = vec![0; layout.slot_size];
    encode_slot(&layout, slot_seed(STORE, SHARD, TABLE), 0, &image, &mut out);
}

#[test]
fn map_blocks_of_every_length() {
    let seed = map_seed(STORE, SHARD, TABLE);
    let entries: Vec<u64> = (0..MAP_ENTRIES as u64).map(|at| at * 3 + 1).collect();
    for count in [0, 1, 2, 507, 508] {
        let mut out = vec![0xff; BLOCK_SIZE];
        let checksum = encode_map_block(seed, 9, 4, &entries[..count], &mut out);
        let (header, found) = decode_map_block(seed, 9, &out).expect("a map block");
        assert_eq!(found, entries[..count]);
        assert_eq!((header.checkpoint.get(), header.checksum.get()), (4, checksum));
    }
    assert_eq!(map_block_offset(0, 0), 8192);
    assert_eq!(map_block_offset(2, 1), 8192 + 5 * 4096);
    assert_eq!(map_block_offset(u32::MAX, 1), 8192 + (2 * u64::from(u32::MAX) + 1) * 4096);
}

#[test]
fn unused_map_entries_are_zero() {
    let mut block = samples::map_block();
    block[4095] = 1;
    samples::decode::seal("page_map_block", &mut block);
    let result = decode_map_block(map_seed(STORE, SHARD, TABLE), samples::MAP_BLOCK, &block);
    assert_eq!(result, Err(slotcask_format::Reason::Reserved { what: "page map entries" }));
}

#[test]
fn manifest_records_of_every_length() {
    let seed = manifest_seed(STORE, SHARD, 1);
    for len in [0, 1, 4039, 4040, 4041, 10_000] {
        let state = vec![0xab; len];
        let (bytes, checksum) = encode_record(seed, 8192, 3, 17, &state);
        let (header, found, size) = decode_record(seed, 8192, &bytes).expect("a record");
        assert_eq!((found, size), (&state[..], bytes.len()));
        assert_eq!(size, round_up(56 + len));
        assert_eq!((header.sequence.get(), header.previous.get()), (3, 17));
        assert_eq!(header.checksum.get(), checksum);
    }
    for (store, shard, generation) in
        [(slotcask_format::StoreId([1; 16]), 1, 1), (STORE, 2, 1), (STORE, 1, 2)]
    {
        let header = ManifestHeader::new(STORE, 1, 1);
        let result = ManifestHeader::decode(header.as_bytes(), store, shard, generation);
        assert!(result.is_err(), "{store} {shard} {generation}");
    }
}

#[test]
fn double_writes_of_every_length() {
    let seed = double_write_seed(STORE, SHARD);
    for (count, page_size) in [(0, 4096), (1, 4096), (3, 8192), (1012, 4096), (1013, 4096)] {
        let pages: Vec<u32> = (0..count as u32).rev().collect();
        let images = vec![0x5a; count * page_size];
        let mut bytes = double_write::encode_index(seed, 1, 2, page_size, &pages, &images);
        assert_eq!(bytes.len(), index_size(count));
        bytes.extend_from_slice(&images);
        let area = double_write::decode(seed, &bytes).expect("a batch");
        assert_eq!((area.table, area.batch, area.page_size), (1, 2, page_size));
        assert!(area.pages == pages && area.images == images);
    }
}

#[test]
fn slot_file_headers_belong_to_one_table() {
    let layout = samples::slot_layout();
    let header = SlotFileHeader::new(SLOT_FILE_MAGIC, STORE, SHARD, TABLE, &layout);
    let others = [
        SlotFileHeader::new(
            SLOT_FILE_MAGIC,
            slotcask_format::StoreId([0; 16]),
            SHARD,
            TABLE,
            &layout,
        ),
        SlotFileHeader::new(SLOT_FILE_MAGIC, STORE, SHARD + 1, TABLE, &layout),
        SlotFileHeader::new(SLOT_FILE_MAGIC, STORE, SHARD, TABLE + 1, &layout),
        SlotFileHeader::new(SLOT_FILE_MAGIC, STORE, SHARD, TABLE, &SlotLayout::new(7, 20, true)),
        SlotFileHeader::new(SLOT_FILE_MAGIC, STORE, SHARD, TABLE, &SlotLayout::new(8, 21, true)),
        SlotFileHeader::new(SLOT_FILE_MAGIC, STORE, SHARD, TABLE, &SlotLayout::new(8, 20, false)),
    ];
    assert_eq!(header.foreign(&header), None);
    for other in others {
        assert!(header.foreign(&other).is_some(), "{other:?}");
    }
}

#[test]
fn rounding() {
    for (len, blocks, eights) in [(0, 0, 0), (1, 4096, 8), (8, 4096, 8), (4096, 4096, 4096)] {
        assert_eq!((round_up(len), round_up_8(len)), (blocks, eights));
    }
    assert_eq!(round_up(4097), 8192);
}

#[test]
fn keys_are_routed_by_their_prefix_and_nothing_else() {
    let key = *b"0123456789";
    for bits in 1..=SHARD_PREFIX_BITS_MAX {
        for bit in 0..80 {
            let mut other = key;
            other[bit / 8] ^= 0x80 >> (bit % 8);
            let same = route_hash_prefix(&key, bits) == route_hash_prefix(&other, bits);
            assert_eq!(same, bit >= bits as usize, "bit {bit} with a prefix of {bits}");
        }
    }
    assert_eq!(route_hash_prefix(&key, 0), route_hash(&key));
    assert_eq!(route_hash_prefix(&key[..2], 16), route_hash(b"01"));
    assert_eq!(route_hash_prefix(b"", 64), route_hash(b""));
    // The numbers are part of the format.
    assert_eq!(route_hash(b""), 0x2d06_8005_38d3_94c2);
}

#[test]
fn a_superblock_holds_no_prefix_that_routing_cannot_take() {
    let mut block = samples::superblock();
    for (bits, valid) in [(SHARD_PREFIX_BITS_MAX, true), (SHARD_PREFIX_BITS_MAX + 1, false)] {
        block.shard_prefix_bits.set(bits);
        block.seal();
        assert_eq!(block.invalid().is_none(), valid, "{bits} bits");
    }
}
