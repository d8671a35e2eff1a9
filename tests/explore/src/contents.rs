//! What a store holds, read in more than one way, which have to agree.

use crate::life::{cask_key, cask_value};
use crate::model::{State, value};
use crate::verdict::Refused;
use slotcask::{Error, Store, TableInfo, TableKind};
use std::collections::BTreeMap;

fn cask_contents(store: &Store, name: &str) -> std::result::Result<BTreeMap<u64, u64>, Refused> {
    let refused = |error: Error| match error {
        error @ Error::Corrupt { .. } => Refused::Error(error.to_string()),
        error => Refused::Contradiction(error.to_string()),
    };
    let table = store.open_cask(name).map_err(refused)?;
    let mut found = BTreeMap::new();
    for pair in table.iter() {
        let (key, bytes) = pair.map_err(refused)?;
        let contradiction = |what: &str| Refused::Contradiction(format!("{what} for key {key:?}"));
        let text = String::from_utf8_lossy(&key);
        let number: u64 =
            text.trim_end_matches('-').parse().map_err(|_| contradiction("an unknown key"))?;
        let n = u64::from_le_bytes(bytes[..8].try_into().expect("values have 8 bytes"));
        if bytes != cask_value(n) || key != cask_key(number) {
            return Err(contradiction("a torn value"));
        }
        if table.get(&key).map_err(refused)?.as_deref() != Some(&bytes[..]) {
            return Err(contradiction("get and iteration differ"));
        }
        if found.insert(number, n).is_some() {
            return Err(contradiction("two values"));
        }
    }
    if table.info().ordered {
        let keys: Vec<Vec<u8>> = found.keys().map(|key| cask_key(*key)).collect();
        let scan = || table.scan().map_err(refused);
        scanned(scan()?, scan()?, keys).map_err(Refused::Contradiction)?;
    }
    // Keys whose deadline has passed may still be counted.
    if (found.len() as u64) > table.len() {
        let what =
            format!("len of table {name} is {}, {} keys are there", table.len(), found.len());
        return Err(Refused::Contradiction(what));
    }
    Ok(found)
}

/// Compares what a scan up and one down give with the keys that are there.
fn scanned<T: slotcask::OrderedTable>(
    up: slotcask::Range<T>,
    down: slotcask::Range<T>,
    mut expected: Vec<Vec<u8>>,
) -> Result<(), String> {
    expected.sort_unstable();
    for (scan, name) in [(up, "up"), (down.descending(), "down")] {
        let found: slotcask::Result<Vec<Vec<u8>>> = scan.keys().collect();
        let found = found.map_err(|error| error.to_string())?;
        if found != expected {
            return Err(format!("a scan {name} gives {found:?}, iteration {expected:?}"));
        }
        expected.reverse();
    }
    Ok(())
}

/// What a store holds, read by iteration and by single gets.
///
/// # Errors
/// Says what contradicts itself, or which error a read met.
pub fn contents(store: &Store) -> std::result::Result<State, Refused> {
    let mut state = State::default();
    for info in store.tables().map_err(|error| Refused::Error(error.to_string()))? {
        if info.kind == TableKind::Cask {
            state.c = Some(cask_contents(store, &info.name)?);
            continue;
        }
        let found = fixed_contents(store, &info).map_err(Refused::Contradiction)?;
        *(if info.name == "a" { &mut state.a } else { &mut state.b }) = Some(found);
    }
    Ok(state)
}

fn fixed_contents(
    store: &Store,
    info: &TableInfo,
) -> std::result::Result<BTreeMap<u64, u64>, String> {
    {
        let table = store.open_table(&info.name).map_err(|error| error.to_string())?;
        let mut found = BTreeMap::new();
        for pair in table.iter() {
            let (key, bytes) = pair.map_err(|error| error.to_string())?;
            let mut wide = [0; 8];
            wide[..key.len()].copy_from_slice(&key);
            let number = u64::from_le_bytes(bytes[..8].try_into().expect("values have 8 bytes"));
            if bytes != value(number, info.value_len) {
                return Err(format!("a torn value under {key:?} in table {}", info.name));
            }
            if table.get(&key).map_err(|error| error.to_string())?.as_deref() != Some(&bytes[..]) {
                return Err(format!("get and iteration differ for {key:?} in table {}", info.name));
            }
            if found.insert(u64::from_le_bytes(wide), number).is_some() {
                return Err(format!("key {key:?} stands twice in table {}", info.name));
            }
        }
        if info.ordered {
            let keys = found.keys().map(|key| key.to_le_bytes()[..info.key_len].to_vec()).collect();
            let scan = || table.scan().map_err(|error| error.to_string());
            scanned(scan()?, scan()?, keys)?;
        }
        // Keys whose deadline has passed may still be counted.
        if found.len() as u64 > table.len()
            || (!info.deadlines && found.len() as u64 != table.len())
        {
            return Err(format!(
                "len of table {} is {}, {} keys are there",
                info.name,
                table.len(),
                found.len()
            ));
        }
        Ok(found)
    }
}
