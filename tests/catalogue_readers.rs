//! Who asks for tables, or for figures, does not wait for a change of the catalogue, which may wait for a merge: at every call of the disk that a
//! change makes, another thread asks, and sees a table only when it is complete, and not after its drop.

mod common;

use common::{b, store};
use slotcask::{CaskOptions, Error, Store, TableOptions};
use std::sync::mpsc::channel;
use std::time::Duration;

/// A guard against hanging, not a bound.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a reader sees: the names of all tables, and which of them can be opened.
type Seen = (Vec<String>, Vec<String>);

fn look(store: &Store) -> Seen {
    let names = store.tables().unwrap().into_iter().map(|table| table.name).collect();
    let opens = |name: &&str| {
        let error = match store.open_table(name) {
            Err(Error::TableKind { .. }) => store.open_cask(name).map(drop).err(),
            opened => opened.map(drop).err(),
        };
        assert!(error.is_none() || matches!(error, Some(Error::NoSuchTable { .. })), "{error:?}");
        error.is_none()
    };
    let opened = ["cask", "fixed", "new"].iter().filter(|name| opens(name));
    (names, opened.map(|name| (*name).to_owned()).collect())
}

fn all(names: &[&str]) -> Seen {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    (names.clone(), names)
}

/// Runs `change` on a store with two tables, and `look` in another thread at one of its calls after the other. Gives what was seen in the middle,
/// and asserts what is seen at the end.
fn at_every_call<T: Send + 'static>(
    change: impl Fn(&Store),
    look: fn(&Store) -> T,
    calls: impl Iterator<Item = u64>,
) -> Vec<T> {
    let mut seen = Vec::new();
    for call in calls {
        let (store, disk) = store(90, 2);
        let fixed = store.create_table("fixed", TableOptions::fixed(8, 8)).unwrap();
        let cask = store.create_cask("cask", &CaskOptions::new()).unwrap();
        for key in 0..10 {
            fixed.put(b(key), b(key)).unwrap();
            cask.put(b(key), b(key)).unwrap();
        }
        let (tell, hear) = channel();
        let reader = store.clone();
        disk.pause_at(disk.calls() + call, move || {
            let (answer, answered) = channel();
            #[expect(clippy::disallowed_methods, reason = "a reader that waits is not waited for")]
            std::thread::spawn(move || answer.send(look(&reader)));
            tell.send(answered.recv_timeout(PATIENCE)).unwrap();
        });
        change(&store);
        if disk.unpause() {
            return seen;
        }
        seen.push(hear.recv().unwrap().expect("a reader waits for a change"));
    }
    seen
}

#[test]
fn readers_do_not_wait_for_changes() {
    let (before, with_new) = (all(&["cask", "fixed"]), all(&["cask", "fixed", "new"]));
    let created: [fn(&Store); 2] = [
        |store| drop(store.create_table("new", TableOptions::fixed(8, 8)).unwrap()),
        |store| drop(store.create_cask("new", &CaskOptions::new()).unwrap()),
    ];
    for create in created {
        let change = |store: &Store| {
            create(store);
            assert_eq!(look(store), with_new);
        };
        let seen = at_every_call(change, look, 0..);
        assert!(!seen.is_empty());
        // It is complete behind the last call.
        assert!(seen.iter().all(|seen| *seen == before), "{seen:?}");
    }
    for (dropped, left) in [("cask", "fixed"), ("fixed", "cask")] {
        let change = |store: &Store| {
            store.drop_table(dropped).unwrap();
            assert_eq!(look(store), all(&[left]));
        };
        let seen = at_every_call(change, look, 0..);
        let gone = seen.iter().position(|seen| *seen != before).unwrap_or(seen.len());
        assert!(gone > 0 && seen[gone..].iter().all(|seen| *seen == all(&[left])), "{seen:?}");
        let seen = at_every_call(|store| store.clear_table(dropped).unwrap(), look, 0..);
        assert!(!seen.is_empty() && seen.iter().all(|seen| *seen == before), "{seen:?}");
    }
}

#[test]
fn figures_do_not_wait_for_a_new_table() {
    // Its files come first; when its record is written the figures may wait for a new segment.
    let create = |store: &Store| {
        store.create_table("new", TableOptions::fixed(8, 8)).unwrap();
    };
    let figures = |store: &Store| store.stats().unwrap().tables.len();
    assert_eq!(at_every_call(create, figures, 0..3), [2, 2, 2]);
}
