//! Measures one table: `cargo run --release -p slotcask-index --example probe -- [keys] [small]`.
//!
//! Prints nanoseconds of processor time per operation, one thread, random keys of 16 bytes, values of 64; and what the machine
//! allows: copies of random slots by their number, without the index.
//! `small` turns huge pages off.

use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_index::{SlotMeta, SlotReader, TableOptions, adopt_slot, slot_table};
use std::hint::black_box;
use std::time::Duration;

const LOOKUPS: u32 = 2_000_000;
const BATCH: usize = 64;

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn key(number: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mix(u64::from(number)).to_le_bytes());
    key[8..12].copy_from_slice(&number.to_le_bytes());
    key
}

fn hash(key: &[u8]) -> u64 {
    let (words, _) = key.as_chunks::<8>();
    words.iter().fold(7, |hash, word| mix(hash ^ u64::from_le_bytes(*word)))
}

/// Processor time of this thread, because the machine is shared.
#[derive(Clone, Copy)]
struct Instant(Duration);

impl Instant {
    fn now() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a timespec that the call may write to.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(result, 0);
        Self(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    fn elapsed(self) -> Duration {
        Self::now().0 - self.0
    }
}

fn report(what: &str, count: u32, begin: Instant) {
    println!("{what:<28}{:8.1} ns", begin.elapsed().as_nanos() as f64 / f64::from(count));
}

/// Best of three, because the machine is shared.
fn measure(what: &str, count: u32, mut run: impl FnMut()) {
    let best = (0..3)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{what:<28}{:8.1} ns", best.as_nanos() as f64 / f64::from(count));
}

fn lookups(keys: u32, reader: &SlotReader) {
    // Numbers are drawn before, so that drawing is not measured; hashing is.
    let draw = |from: u32| -> Vec<u32> {
        (0..LOOKUPS).map(|i| from + (mix(u64::from(i) << 20) % u64::from(keys)) as u32).collect()
    };
    let (hits, misses) = (draw(0), draw(keys));
    let mut value = [0; 64];
    measure("key and hash only", LOOKUPS, || {
        for &number in &hits {
            black_box(hash(&key(number)));
        }
    });
    let mut own_key = [0; 16];
    measure("slot by number, no index", LOOKUPS, || {
        for &number in &hits {
            black_box(reader.read_slot(number, &mut own_key, &mut value));
        }
    });
    measure("slot by number, dependent", LOOKUPS, || {
        let mut last = 0;
        for &number in &hits {
            black_box(reader.read_slot(number ^ last, &mut own_key, &mut value));
            last = u32::from(value[40]);
        }
    });
    measure("get hit, typed", LOOKUPS, || {
        for &number in &hits {
            let key = key(number);
            black_box(reader.get_into::<[u64; 8]>(hash(&key), &key));
        }
    });
    measure("get hit", LOOKUPS, || {
        for &number in &hits {
            let key = key(number);
            assert!(reader.get(hash(&key), &key, &mut value).is_some());
            black_box(&value);
        }
    });
    measure("get hit, dependent", LOOKUPS, || {
        let mut last = 0;
        for &number in &hits {
            let key = key(number ^ last);
            let found = reader.get(hash(&key), &key, &mut value);
            assert!(found.is_some());
            // Always 0, which the processor cannot know before the value has arrived.
            last = u32::from(value[40]);
        }
    });
    measure("get miss", LOOKUPS, || {
        for &number in &misses {
            let key = key(number);
            assert!(reader.get(hash(&key), &key, &mut value).is_none());
        }
    });
    let mut values = [0; 64 * BATCH];
    let mut found = [None; BATCH];
    measure("get_many(64), a key", LOOKUPS, || {
        for numbers in hits.as_chunks::<BATCH>().0 {
            let keys = numbers.map(key);
            let hashes = keys.map(|key| hash(&key));
            reader.get_many(&hashes, keys.as_flattened(), &mut values, &mut found);
            assert!(found.iter().all(Option::is_some));
        }
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let keys: u32 = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(2_000_000);
    let huge_pages = !arguments.iter().any(|argument| argument == "small");
    let layout = SlotLayout::new(16, 64, false);
    let options = TableOptions { slot_max: keys.max(20_000_000), huge_pages };
    println!("{keys} keys, huge pages {huge_pages}");

    let begin = Instant::now();
    for _ in 0..1000 {
        let mut writer = slot_table(layout, options).expect("there is memory");
        writer.extend(1).expect("one fits");
        writer.insert(1, 0);
    }
    report("create, one key, drop", 1000, begin);

    let mut writer = slot_table(layout, options).expect("there is memory");
    let mut value = [0; 64];
    let begin = Instant::now();
    for slot in 0..keys {
        if slot % 1024 == 0 {
            writer.reader().populate_ahead();
        }
        let key = key(slot);
        let hash = hash(&key);
        value[0] = slot as u8;
        assert!(writer.find(hash, &key).is_none());
        writer.extend(slot + 1).expect("it fits");
        let meta =
            SlotMeta { sequence: u64::from(slot), epoch: 1, kind: SlotKind::Live, deadline_ms: 0 };
        writer.write(slot, meta, &key, &value);
        writer.insert(hash, slot);
    }
    report("insert, memory included", keys, begin);
    let bytes = writer.reader().index_bytes() as f64;
    println!("{:<28}{:8.2} bytes", "index, a key", bytes / f64::from(keys));

    lookups(keys, writer.reader());

    measure("overwrite", LOOKUPS, || {
        for i in 0..LOOKUPS {
            let slot = (mix(u64::from(i) << 20) % u64::from(keys)) as u32;
            let key = key(slot);
            let (slot, meta) = writer.find(hash(&key), &key).expect("it is there");
            writer.write(slot, meta, &key, &value);
        }
    });
    let mut page = vec![0; layout.page_size];
    let pages = layout.page_of(keys - 1);
    measure("copy a page", pages, || {
        for page_number in 0..pages {
            writer.copy_page(page_number, &mut page);
        }
    });
    let begin = Instant::now();
    let mut other = slot_table(layout, options).expect("there is memory");
    let bytes = other.load_pages(0, pages + 1);
    for (number, page) in bytes.chunks_exact_mut(layout.page_size).enumerate() {
        writer.copy_page(number as u32, page);
        page.chunks_exact_mut(layout.slot_size).for_each(adopt_slot);
    }
    other.finish_load(keys);
    report("load, a slot", keys, begin);
    let begin = Instant::now();
    let mut duplicates = Vec::new();
    other.index_all(hash, &mut duplicates);
    assert!(duplicates.is_empty());
    report("index_all, a slot", keys, begin);
    let bytes = other.reader().index_bytes() as f64;
    println!("{:<28}{:8.2} bytes", "its index, a key", bytes / f64::from(keys));
}
