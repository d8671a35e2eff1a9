//! A table whose keys and values are Rust types.

use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::iter::Iter;
use crate::options::{TableOptions, WriteOptions};
use crate::store::Store;
use crate::table::{GROUP, Route, Table};
use crate::ticket::Ticket;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A type that can be a key: plain bytes without padding. Implemented for all that fit; the bytes are stored as they are in
/// memory, so use `zerocopy::little_endian` (or big endian) integers where files move between machines.
pub trait FixedKey: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> FixedKey for T {}

/// A type that can be a value; as [`FixedKey`].
pub trait FixedValue: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> FixedValue for T {}

/// A fixed table with keys of type `K` and values of type `V`. Cheap to clone; see [`Table`] for what reads and writes promise.
pub struct FixedMap<K, V> {
    table: Table,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for FixedMap<K, V> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), types: PhantomData }
    }
}

impl<K, V> fmt::Debug for FixedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedMap").field("table", &self.table.name()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the table `name` with keys `K` and values `V`, or creates it.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] when it is there with other lengths; otherwise as [`Store::create_table`].
    pub fn fixed_map<K: FixedKey, V: FixedValue>(&self, name: &str) -> Result<FixedMap<K, V>> {
        match self.open_table(name) {
            Ok(table) => FixedMap::of(table),
            Err(Error::NoSuchTable { .. }) => {
                match self.create_table(name, TableOptions::fixed(size_of::<K>(), size_of::<V>())) {
                    Ok(table) => FixedMap::of(table),
                    // Somebody else was faster.
                    Err(Error::TableExists { .. }) => FixedMap::of(self.open_table(name)?),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl<K: FixedKey, V: FixedValue> FixedMap<K, V> {
    /// A typed handle to `table`.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] when the lengths differ.
    pub fn of(table: Table) -> Result<Self> {
        let layout = table.shared.layout;
        for (what, expected, found) in [
            ("key length", size_of::<K>(), layout.key_len),
            ("value length", size_of::<V>(), layout.value_len),
        ] {
            if expected != found {
                return Err(Error::SchemaMismatch {
                    table: table.name().to_owned(),
                    what,
                    expected: expected.to_string(),
                    found: found.to_string(),
                });
            }
        }
        Ok(Self { table, types: PhantomData })
    }

    /// The table behind it.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Number of keys; see [`Table::len`].
    #[must_use]
    pub fn len(&self) -> u64 {
        self.table.len()
    }

    /// True when there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// As [`Table::get`].
    // Always inlined: a processor begins the memory accesses of the next lookup while it waits for those of this one, if few enough
    // instructions lie between them.
    #[inline(always)]
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        self.table.check_readable()?;
        let route = self.table.route(key.as_bytes());
        Ok(self.get_routed(key, route))
    }

    #[inline(always)]
    fn get_routed(&self, key: &K, route: Route) -> Option<V> {
        let reader = self.table.reader(route.shard);
        reader
            .value_if(route.hash, key.as_bytes(), |deadline_ms| !self.table.is_over_by(deadline_ms))
    }

    /// The value of `key`, once it is durable.
    ///
    /// # Errors
    /// As [`Table::get_durable`].
    pub fn get_durable(&self, key: &K) -> Result<Option<V>> {
        self.table.check_readable()?;
        let route = self.table.route(key.as_bytes());
        let seen = self.table.reader(route.shard).get_into::<V>(route.hash, key.as_bytes());
        let seen = seen.filter(|(_, meta)| !self.table.is_over(meta));
        self.table.wait_for_seen(route.shard, seen.as_ref().map(|(_, meta)| *meta))?;
        Ok(seen.map(|(value, _)| value))
    }

    /// The values of `keys`, in their order; see [`Table::get_many`].
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn get_many(&self, keys: &[K]) -> Result<Vec<Option<V>>> {
        let mut values = vec![None; keys.len()];
        self.get_many_into(keys, &mut values)?;
        Ok(values)
    }

    /// As [`FixedMap::get_many`], into `values`.
    ///
    /// # Errors
    /// As [`Table::get`].
    ///
    /// # Panics
    /// When `values` is not as long as `keys`.
    pub fn get_many_into(&self, keys: &[K], values: &mut [Option<V>]) -> Result<()> {
        assert_eq!(keys.len(), values.len(), "a place for each key");
        self.table.check_readable()?;
        let mut routes = [Route { shard: 0, hash: 0 }; GROUP];
        for (keys, values) in keys.chunks(GROUP).zip(values.chunks_mut(GROUP)) {
            for (route, key) in routes.iter_mut().zip(keys) {
                *route = self.table.route(key.as_bytes());
            }
            self.table.prefetch(&routes[..keys.len()]);
            for ((key, value), route) in keys.iter().zip(values).zip(&routes) {
                *value = self.get_routed(key, *route);
            }
        }
        Ok(())
    }

    /// True when `key` is there.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn contains(&self, key: &K) -> Result<bool> {
        self.table.contains(key.as_bytes())
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// As [`Table::put`].
    #[inline]
    pub fn put(&self, key: &K, value: &V) -> Result<()> {
        self.table.put(key.as_bytes(), value.as_bytes())
    }

    /// As [`FixedMap::put`], with options.
    ///
    /// # Errors
    /// As [`Table::put_with`].
    pub fn put_with(&self, key: &K, value: &V, options: &WriteOptions) -> Result<()> {
        self.table.put_with(key.as_bytes(), value.as_bytes(), options)
    }

    /// When the value of `key` vanishes; see [`Table::expiry`].
    ///
    /// # Errors
    /// As [`Table::expiry`].
    pub fn expiry(&self, key: &K) -> Result<Option<Expiry>> {
        self.table.expiry(key.as_bytes())
    }

    /// Has the value vanish after `ttl`; see [`Table::expire_in`].
    ///
    /// # Errors
    /// As [`Table::expire_in`].
    pub fn expire_in(&self, key: &K, ttl: Duration) -> Result<Option<Expiry>> {
        self.table.expire_in(key.as_bytes(), ttl)
    }

    /// Has the value vanish at a time, milliseconds since 1970; see [`Table::expire_at`].
    ///
    /// # Errors
    /// As [`Table::expire_at`].
    pub fn expire_at(&self, key: &K, deadline_ms: u64) -> Result<Option<Expiry>> {
        self.table.expire_at(key.as_bytes(), deadline_ms)
    }

    /// Lets the value stay; see [`Table::persist`].
    ///
    /// # Errors
    /// As [`Table::persist`].
    pub fn persist(&self, key: &K) -> Result<Option<Expiry>> {
        self.table.persist(key.as_bytes())
    }

    /// Stores many pairs; see [`Table::put_many`].
    ///
    /// # Errors
    /// As [`Table::put_many`].
    pub fn put_many(&self, pairs: &[(K, V)]) -> Result<()> {
        let mut bytes: [(&[u8], &[u8]); 4 * GROUP] = [(&[], &[]); 4 * GROUP];
        for pairs in pairs.chunks(bytes.len()) {
            for (at, (key, value)) in bytes.iter_mut().zip(pairs) {
                *at = (key.as_bytes(), value.as_bytes());
            }
            self.table.put_many(&bytes[..pairs.len()])?;
        }
        Ok(())
    }

    /// Stores `value` if `key` is not there; true when it was stored.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn put_if_absent(&self, key: &K, value: &V) -> Result<bool> {
        self.table.put_if_absent(key.as_bytes(), value.as_bytes())
    }

    /// Removes `key`; true when it was there.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn delete(&self, key: &K) -> Result<bool> {
        self.table.delete(key.as_bytes())
    }

    /// Replaces the value if it is `expected`; see [`Table::compare_and_swap`].
    ///
    /// # Errors
    /// As [`Table::put`].
    #[allow(clippy::type_complexity)]
    pub fn compare_and_swap(
        &self,
        key: &K,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<std::result::Result<(), Option<V>>> {
        let expected = expected.map(IntoBytes::as_bytes);
        let answer =
            self.table.compare_and_swap(key.as_bytes(), expected, new.map(IntoBytes::as_bytes))?;
        Ok(answer.map_err(|value| value.map(|bytes| read(&bytes))))
    }

    /// Replaces the value by what `f` makes of it; see [`Table::update`].
    ///
    /// # Errors
    /// As [`Table::update`].
    pub fn update(&self, key: &K, mut f: impl FnMut(Option<V>) -> Option<V>) -> Result<Option<V>> {
        let new = self.table.update(key.as_bytes(), |bytes| {
            f(bytes.map(read)).map(|value| value.as_bytes().to_vec())
        })?;
        Ok(new.map(|bytes| read(&bytes)))
    }

    /// Stores `value` and gives a ticket; see [`Table::write`].
    ///
    /// # Errors
    /// As [`Table::write`].
    #[inline]
    pub fn write(&self, key: &K, value: &V) -> Result<Ticket> {
        self.table.write(key.as_bytes(), value.as_bytes())
    }

    /// As [`FixedMap::write`], but never waits.
    ///
    /// # Errors
    /// As [`Table::try_write`].
    pub fn try_write(&self, key: &K, value: &V) -> Result<Ticket> {
        self.table.try_write(key.as_bytes(), value.as_bytes())
    }

    /// All pairs; see [`Table::iter`].
    #[must_use]
    pub fn iter(&self) -> FixedMapIter<K, V> {
        FixedMapIter { inner: self.table.iter(), types: PhantomData }
    }
}

/// All pairs of a [`FixedMap`].
pub struct FixedMapIter<K, V> {
    inner: Iter,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> fmt::Debug for FixedMapIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedMapIter").finish_non_exhaustive()
    }
}

impl<K: FixedKey, V: FixedValue> Iterator for FixedMapIter<K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.inner.next_ref();
        let next = next.map(|pair| pair.map(|(key, value)| (read(key), read(value))));
        self.inner.ended.item(next)
    }
}

fn read<T: FromBytes>(bytes: &[u8]) -> T {
    T::read_from_bytes(bytes).expect("lengths were compared when the handle was made")
}
