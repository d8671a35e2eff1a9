//! Tables whose values are compressed: what is put comes back by every read and after every opening, takes less space, and a build
//! without the compression refuses the table by name.

mod common;

#[cfg(feature = "lz4")]
mod with {
    use crate::common::{ROOT, b, crash, reopen, tiny, world};
    use slotcask::{CaskOptions, CaskTable, Compression, Error, Options, Store, WriteOptions};
    use slotcask_io::Env;
    use slotcask_io::sim::{SimClock, env_of};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    fn options() -> CaskOptions {
        CaskOptions::new().compression(Compression::Lz4)
    }

    /// A value of a length and a texture that depend on `n`: some shrink, some do not, some are empty.
    fn value(n: u64) -> Vec<u8> {
        let mut word = n;
        let len = (n as usize * 131) % 1500;
        (0..len)
            .map(|at| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if n.is_multiple_of(3) { (word >> 56) as u8 } else { (at / 40) as u8 }
            })
            .collect()
    }

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn compare(table: &CaskTable, model: &Model) {
        let found: Model = table.iter().map(Result::unwrap).collect();
        assert!(&found == model, "{} of {}", found.len(), model.len());
        let keys: Vec<&Vec<u8>> = model.keys().rev().collect();
        let values = table.get_many(&keys).unwrap();
        for (key, found) in keys.into_iter().zip(values) {
            assert_eq!(found.as_ref(), model.get(key));
            assert_eq!(table.get(key).unwrap().as_ref(), model.get(key));
            assert_eq!(table.get_durable(key).unwrap().as_ref(), model.get(key));
            assert_eq!(table.get_with(key, <[u8]>::len).unwrap(), Some(model[key].len()));
        }
    }

    #[test]
    fn all_ways_in_and_all_ways_out() {
        let (env, disk) = world(1);
        let store = tiny(2).open_in(env, ROOT).unwrap();
        let table = store.create_cask("c", &options()).unwrap();
        let mut model = Model::new();
        let mut next = 0;
        for round in 0..6_u64 {
            let mut put = |model: &mut Model| {
                next += 1;
                let key = b(next % 40).to_vec();
                model.insert(key.clone(), value(next));
                (key, value(next))
            };
            let (key, value) = put(&mut model);
            table.put(&key, &value).unwrap();
            let (key, value) = put(&mut model);
            table.write(&key, &value).unwrap().wait().unwrap();
            let (key, value) = put(&mut model);
            table.update(&key, |_| Some(value.clone())).unwrap();
            let (key, value) = put(&mut model);
            let old = table.get(&key).unwrap();
            let swapped = table.compare_and_swap(&key, old.as_deref(), Some(&value)).unwrap();
            assert_eq!(swapped, Ok(()));
            let (key, value) = put(&mut model);
            table.delete(&key).unwrap();
            assert!(table.put_if_absent(&key, &value).unwrap());
            let (key, value) = put(&mut model);
            let mut batch = store.batch();
            batch.put(&table, &key, &value).unwrap();
            assert_eq!(batch.get(&table, &key).unwrap().unwrap(), value);
            batch.commit().unwrap();
            let pairs: Vec<_> = (0..70).map(|_| put(&mut model)).collect();
            table.put_many(&pairs).unwrap();
            let some = model.keys().nth(round as usize).unwrap().clone();
            table.expire_in(&some, Duration::from_secs(1_000_000)).unwrap();
            table.persist(&some).unwrap();
            compare(&table, &model);
            if round % 2 == 0 {
                store.rotate().unwrap();
                store.checkpoint().unwrap();
                store.merge().unwrap();
                compare(&table, &model);
            }
        }
        store.sync().unwrap();
        let image = crash(&disk);
        store.close().unwrap();
        for disk in [image, disk] {
            let read_only = tiny(2).read_only(true).open_in(env_of(4, &disk), ROOT).unwrap();
            compare(&read_only.open_cask("c").unwrap(), &model);
            drop(read_only);
            let store = reopen(&disk, 2).unwrap();
            let table = store.open_cask("c").unwrap();
            assert_eq!(table.info().compression.as_deref(), Some("lz4"));
            compare(&table, &model);
        }
    }

    #[test]
    fn expired_values_go() {
        let (env, _disk) = world(2);
        let clock = Arc::new(SimClock::new());
        let env = Env { clock: clock.clone(), ..env };
        let store = tiny(1).open_in(env, ROOT).unwrap();
        let table = store.create_cask("c", &options()).unwrap();
        let soon = WriteOptions::new().ttl(Duration::from_millis(1));
        table.put_with("k", vec![7; 900], &soon).unwrap();
        clock.advance(Duration::from_secs(5));
        assert_eq!(table.get("k").unwrap(), None);
        store.poll().unwrap();
        assert_eq!(table.len(), 0);
    }

    fn stored_bytes(store: &Store) -> u64 {
        store.stats().unwrap().shards.iter().map(|shard| shard.cask_live_bytes).sum()
    }

    #[test]
    fn values_that_shrink_take_less_space_and_others_no_more() {
        let (env, _disk) = world(3);
        let store = Options::new().shards(1).log_size(4 << 20).background(false);
        let store = store.huge_pages(false).open_in(env, ROOT).unwrap();
        let plain = store.create_cask("plain", &CaskOptions::new()).unwrap();
        let packed = store.create_cask("packed", &options()).unwrap();
        let text = b"all work and no play makes jack a dull boy; ".repeat(20);
        for n in 0..100 {
            plain.put(b(n), &text).unwrap();
        }
        let before = stored_bytes(&store);
        for n in 0..100 {
            packed.put(b(n), &text).unwrap();
        }
        let won = stored_bytes(&store) - before;
        assert!(won * 4 < before, "{won} of {before}");
        let noise: Vec<u8> = (0..300).flat_map(|_| value(2999 * 3)).take(1000).collect();
        let before = stored_bytes(&store);
        plain.put("noise", &noise).unwrap();
        let plain_bytes = stored_bytes(&store) - before;
        packed.put("noise", &noise).unwrap();
        assert_eq!(packed.get("noise").unwrap().unwrap(), noise);
        assert!(stored_bytes(&store) - before <= 2 * plain_bytes);
    }

    #[test]
    fn limits_are_those_of_the_value_itself() {
        let (env, _disk) = world(4);
        let store = tiny(1).open_in(env, ROOT).unwrap();
        let table = store.create_cask("c", &options().value_len_max(1000)).unwrap();
        table.put("k", vec![0; 1000]).unwrap();
        let error = table.put("k", vec![0; 1001]).unwrap_err();
        assert!(matches!(error, Error::ValueTooLong { max: 1000, found: 1001, .. }), "{error}");
    }
}

#[cfg(not(feature = "lz4"))]
#[test]
fn without_the_feature_no_table_is_made() {
    let (env, _disk) = common::world(1);
    let store = common::tiny(1).open_in(env, common::ROOT).unwrap();
    let options = slotcask::CaskOptions::new().compression(slotcask::Compression::Lz4);
    let error = store.create_cask("c", &options).map(drop).unwrap_err();
    assert!(matches!(&error, slotcask::Error::Compression { .. }), "{error}");
    common::assert_says(&error, &["table c", "lz4", "feature"]);
    assert!(store.tables().unwrap().is_empty());
}
