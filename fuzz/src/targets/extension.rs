//! The extension of a record.

use crate::target::Outcome;
use slotcask_format::record::{EXTENSION_DEADLINE, deadline_extension, deadline_of};

/// A deadline that is found stands there in the bytes, and is found again when it is written alone.
pub fn target(data: &[u8]) -> Outcome {
    match deadline_of(data) {
        Err(_) => return Outcome::Rejected,
        Ok(None) => {}
        Ok(Some(deadline)) => {
            let alone = deadline_extension(deadline);
            assert_eq!(deadline_of(&alone), Ok(Some(deadline)));
            assert_eq!(alone[0], EXTENSION_DEADLINE);
            assert!(data.windows(alone.len()).any(|window| window == alone));
        }
    }
    Outcome::Accepted
}
