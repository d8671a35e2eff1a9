//! Tickets: writes that were accepted and become durable later.

use crate::error::{Error, Result};
use crate::shard::Shard;
use crate::store::refuse_in_update;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Tells when a write is durable. Dropping it takes nothing back. It does not keep its store open: when the store is closed it
/// has its answer. Also a [`Future`], for any executor: the shard's thread
/// flushes then.
#[derive(Debug, Clone)]
#[must_use = "a ticket tells when the write is durable"]
pub struct Ticket {
    shard: Arc<Shard>,
    sequence: u64,
}

impl Ticket {
    #[inline]
    pub(crate) fn new(shard: Arc<Shard>, sequence: u64) -> Self {
        Self { shard, sequence }
    }

    /// Shard of the write.
    #[must_use]
    pub fn shard(&self) -> u32 {
        self.shard.id()
    }

    /// Sequence of the write on its shard.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Waits until the write is durable, flushing if nobody else does.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the shard failed before.
    pub fn wait(self) -> Result<()> {
        refuse_in_update()?;
        self.shard.wait_durable(self.sequence, None)
    }

    /// As [`Ticket::wait`], but not longer than `timeout`: false when the write is not durable yet.
    ///
    /// # Errors
    /// As [`Ticket::wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        refuse_in_update()?;
        let deadline = self.shard.env.clock.monotonic().saturating_add(timeout);
        match self.shard.wait_durable(self.sequence, Some(deadline)) {
            Ok(()) => Ok(true),
            Err(Error::TimedOut { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// True when the write is durable. Does not wait, and does not flush.
    ///
    /// # Errors
    /// As [`Ticket::wait`].
    pub fn poll(&self) -> Result<bool> {
        if self.shard.log.durable() >= self.sequence {
            return Ok(true);
        }
        match self.shard.log.poison_cause() {
            Some(cause) => Err(self.shard.poisoned(&cause)),
            None => Ok(false),
        }
    }
}

impl Future for Ticket {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        refuse_in_update()?;
        if self.shard.log.register(self.sequence, context.waker()) {
            self.shard.flush_soon();
            return Poll::Pending;
        }
        // Decided by now: this does not wait.
        Poll::Ready(self.shard.wait_durable(self.sequence, None))
    }
}
