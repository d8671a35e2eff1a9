//! The `slotcask` binary.
fn main() {}
