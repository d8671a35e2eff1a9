//! Signals that must not end the process in the middle of its work.

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A write past the limit of file sizes (`ulimit -f`) raises SIGXFSZ, which would kill the process. With a handler in
/// place the write fails with an error that the store answers by refusing the row.
pub fn survive_file_size_limit() {
    // Registering fails only where the signal does not exist; then nothing is lost.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Tells whether the user asked to stop. The first request is noted; the second ends the process at once.
#[derive(Debug, Clone)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM for the rest of the process.
    pub fn install() -> Self {
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the shutdown sees the flag that an earlier signal set. Without handlers the signals
            // end the process, which the store survives.
            let _ = flag::register_conditional_shutdown(signal, 130, Arc::clone(&requested));
            let _ = flag::register(signal, Arc::clone(&requested));
        }
        Self { requested }
    }

    /// True after a signal.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}
