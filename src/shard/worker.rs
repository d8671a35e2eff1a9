//! The thread of a shard.

use crate::error::Result;
use crate::shard::{Bell, Shard};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// The running thread of a shard; stopped by [`Worker::stop`].
#[derive(Debug)]
pub(crate) struct Worker {
    shard: Arc<Shard>,
    thread: Option<JoinHandle<()>>,
}

impl Bell {
    /// Wakes the thread. Cheap when it was woken already.
    pub(crate) fn ring(&self) {
        if self.rung.swap(true, Ordering::Relaxed) {
            return;
        }
        self.state.lock().rung = true;
        self.wake.notify_one();
    }
}

impl Worker {
    /// Starts the thread of `shard`; as batch work if `batch`.
    pub(crate) fn start(shard: &Arc<Shard>, batch: bool) -> Result<Self> {
        let name = format!("slotcask-{}", shard.number);
        let own = Arc::clone(shard);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                if batch {
                    slotcask_io::work_in_background();
                }
                run(&Watched(own).0);
            })
            .map_err(|error| crate::error::Error::Memory {
                reason: format!("the thread of a shard could not be started: {error}"),
            })?;
        let bell = Arc::clone(&shard.bell);
        shard.log.set_kick(move || bell.ring());
        Ok(Self { shard: Arc::clone(shard), thread: Some(thread) })
    }

    /// Has the thread end when it is done with what it does, and does not wait for that.
    pub(crate) fn stop_alone(self) {
        self.tell_to_stop();
    }

    fn tell_to_stop(&self) {
        self.shard.bell.state.lock().stop = true;
        self.shard.bell.wake.notify_one();
    }

    /// Ends the thread and waits for it, where it is another than this one.
    pub(crate) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.tell_to_stop();
            if thread.thread().id() != std::thread::current().id() {
                // A thread that panicked has poisoned its shard.
                let _ = thread.join();
            }
        }
    }
}

/// A shard whose thread may not end in a panic unnoticed: nobody would flush buffered writes any more.
struct Watched(Arc<Shard>);

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.log.poison("the shard's thread panicked; the panic's message names the bug");
        }
    }
}

fn run(shard: &Shard) {
    let interval = shard.options.flush_interval;
    let mut idle_at = shard.env.clock.monotonic() + interval;
    loop {
        {
            let mut state = shard.bell.state.lock();
            let left = idle_at.saturating_sub(shard.env.clock.monotonic());
            if !state.rung && !state.stop && !left.is_zero() {
                shard.bell.wake.wait_for(&mut state, left);
            }
            state.rung = false;
            if state.stop {
                return;
            }
        }
        let now = shard.env.clock.monotonic();
        let idle = now >= idle_at;
        if idle {
            idle_at = now + interval;
        }
        let round = shard.round(idle).and_then(|done| {
            // Where a round found something to do the shard is not idle; what the scrub did not read then it never reads.
            if idle && !done { shard.scrub_slowly(interval) } else { Ok(()) }
        });
        if let Err(error) = round {
            // Writers get the cause from the shard itself; here it is said once per failure.
            tracing::warn!(shard = shard.number, %error, "upkeep of a shard failed");
        }
    }
}
