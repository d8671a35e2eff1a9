//! Many keys at once: puts that take each shard's lock once a group, gets in the order of the files.

use crate::cask::shared::{CaskRoute, CaskTable};
use crate::cask::write::Pair;
use crate::error::Result;
use crate::options::WriteOptions;
use crate::table::GROUP;
use std::time::Duration;

/// A pair of a group, and where it goes; None once it was stored.
type Staged<'a> = Option<(CaskRoute, Pair<'a>)>;

impl CaskTable {
    /// The values of many keys, in their order. What has to be read from disk is read in the order of the files.
    ///
    /// # Errors
    /// As [`CaskTable::get`].
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        self.check_readable()?;
        crate::store::refuse_in_update()?;
        let mut routes = Vec::with_capacity(keys.len());
        for key in keys {
            self.check_key(key.as_ref())?;
            let route = self.route(key.as_ref());
            self.prefetch(route);
            routes.push(route);
        }
        let mut places = Vec::with_capacity(keys.len());
        for (number, route) in routes.into_iter().enumerate() {
            if let Some(at) = self.keydir(route.shard).get(route.hash) {
                places.push((route.shard, at, number, route));
            }
        }
        places.sort_unstable_by_key(|(shard, at, number, _)| (*shard, *at, *number));
        let mut values = vec![None; keys.len()];
        for (_, _, number, route) in places {
            let mut value = Vec::new();
            if self.copy_to(route, keys[number].as_ref(), &mut value)? {
                values[number] = Some(value);
            }
        }
        Ok(values)
    }

    /// Stores many pairs. Each is atomic by itself; all are durable when this returns, if that was asked for.
    ///
    /// # Errors
    /// As [`CaskTable::put`]; lengths are checked before the first pair is stored, and pairs before a later failure stay stored.
    pub fn put_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, pairs: &[(K, V)]) -> Result<()> {
        self.put_many_with(pairs, &WriteOptions::default())
    }

    /// As [`CaskTable::put_many`], with options.
    ///
    /// # Errors
    /// As [`CaskTable::put_many`], and [`crate::Error::TimedOut`]; [`crate::Error::Deadline`] as [`CaskTable::put_with`].
    pub fn put_many_with<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: &[(K, V)],
        options: &WriteOptions,
    ) -> Result<()> {
        for (key, value) in pairs {
            self.check_pair(key.as_ref(), value.as_ref())?;
        }
        self.check_readable()?;
        self.store.check_writable("put")?;
        let deadline_ms = self.deadline_ms(options)?;
        let deadline = self.deadline(options);
        let mut last = [None; 256];
        for group in pairs.chunks(GROUP) {
            let packed: Vec<Option<Vec<u8>>> =
                group.iter().map(|(_, value)| self.pack(value.as_ref())).collect();
            let mut staged: [Staged<'_>; GROUP] = [None; GROUP];
            for ((staged, (key, value)), packed) in staged.iter_mut().zip(group).zip(&packed) {
                let (key, value) = (key.as_ref(), value.as_ref());
                let pair = Pair::new(key, value, packed.as_deref(), deadline_ms);
                let route = self.route(key);
                self.prefetch(route);
                *staged = Some((route, pair));
            }
            for at in 0..group.len() {
                if let Some((route, _)) = staged[at] {
                    last[route.shard] = Some(self.put_group(route.shard, &mut staged, deadline)?);
                }
            }
        }
        for (shard, sequence) in last.iter().enumerate() {
            if let Some(sequence) = sequence {
                self.finish(shard, *sequence, options, deadline)?;
            }
        }
        Ok(())
    }

    /// Stores the pairs of one group that lie on `shard`, under one holding of its lock if nothing is in the way. Gives the sequence of
    /// the last.
    fn put_group(
        &self,
        shard_at: usize,
        staged: &mut [Staged<'_>; GROUP],
        deadline: Option<Duration>,
    ) -> Result<u64> {
        let shard = self.shard(shard_at);
        let mut sequence = 0;
        loop {
            let mut obstacle = None;
            {
                let mut guard = shard.lock();
                for place in staged.iter_mut() {
                    let Some((route, pair)) = place else { continue };
                    if route.shard != shard_at {
                        continue;
                    }
                    match self.put_locked(&mut guard, *route, pair) {
                        Ok(given) => {
                            sequence = given;
                            *place = None;
                        }
                        Err(found) => {
                            obstacle = Some(found);
                            break;
                        }
                    }
                }
            }
            match obstacle {
                None => {
                    shard.pace_if_due(true);
                    return Ok(sequence);
                }
                Some(found) => self.store.overcome(shard, found, deadline)?,
            }
        }
    }
}
