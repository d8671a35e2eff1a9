//! What can go wrong: only memory.

/// Why a table has no room in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The system refused the address space for a table of this size.
    #[error(
        "cannot reserve {bytes} bytes of address space for {slot_max} slots of {slot_size} bytes: {source}; \
         lower slot_count_max, or raise the limits (ulimit -v, vm.overcommit_memory)"
    )]
    Memory {
        /// Bytes asked for.
        bytes: u64,
        /// Slots they were to hold.
        slot_max: u32,
        /// Size of one slot, bytes.
        slot_size: usize,
        /// Answer of the system.
        source: std::io::Error,
    },
    /// More slots were asked for than the table was made for.
    #[error(
        "{asked} slots were asked for, the table holds at most {slot_max}; raise slot_count_max"
    )]
    SlotMax {
        /// Slots asked for.
        asked: u32,
        /// Slots the table was made for.
        slot_max: u32,
    },
}
