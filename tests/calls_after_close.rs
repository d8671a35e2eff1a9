//! After a close every call that can fail says that the store is closed, also where nothing would be read or written: whoever asks for
//! figures or a sync is not to take a store that is closed for one that is idle.

mod common;

use common::{b, store, table, tiny};
use slotcask::{CaskOptions, Error, Result, TableOptions};
use slotcask_io::sim::env_of;

fn closed<T>(call: &str, result: Result<T>) {
    assert!(matches!(result.map(drop), Err(Error::Closed)), "{call}");
}

#[test]
fn calls_after_a_close_say_so() {
    let (open, disk) = store(1, 2);
    table(&open, "t").put(b(1), b(1)).unwrap();
    open.create_cask("c", &CaskOptions::new()).unwrap().put(b(1), b(1)).unwrap();
    open.close().unwrap();
    drop(open);
    for options in [tiny(2), tiny(2).read_only(true)] {
        let store = options.open_in(env_of(2, &disk), common::ROOT).unwrap();
        let (t, c) = (store.open_table("t").unwrap(), store.open_cask("c").unwrap());
        store.close().unwrap();
        store.close().unwrap();
        closed("open_table", store.open_table("t"));
        closed("open_cask", store.open_cask("c"));
        closed("create_table", store.create_table("u", TableOptions::fixed(8, 8)));
        closed("create_cask", store.create_cask("u", &CaskOptions::new()));
        closed("drop_table", store.drop_table("t"));
        closed("clear_table", store.clear_table("t"));
        closed("tables", store.tables());
        closed("stats", store.stats());
        closed("sync", store.sync());
        closed("checkpoint", store.checkpoint());
        closed("merge", store.merge());
        closed("rotate", store.rotate());
        closed("scrub", store.scrub());
        closed("poll", store.poll());
        closed("get", t.get(b(1)));
        closed("get", c.get(b(1)));
        closed("get_durable", t.get_durable(b(1)));
        closed("get_durable", c.get_durable(b(1)));
        closed("expiry", c.expiry(b(1)));
        closed("put", t.put(b(1), b(2)));
        closed("put", c.put(b(1), b(2)));
        closed("delete", t.delete(b(1)));
        closed("delete", c.delete(b(1)));
        closed("iter", t.iter().next().unwrap());
        closed("iter", c.iter().next().unwrap());
        closed("batch", store.batch().put(&t, b(1), b(2)));
    }
}
