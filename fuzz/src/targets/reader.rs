//! The bounded cursor that all variable parts are read with.

use crate::target::Outcome;
use slotcask_format::bytes::Reader;

/// A program of eight calls, then bytes to read.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seed = vec![0, 1, 2, 3, 4, 5, 6, 7];
    seed.extend(1..=60);
    seed[35..39].copy_from_slice(&[4, 0, 0, 0]);
    vec![seed]
}

/// The first eight bytes choose calls over the rest. A call that succeeds takes exactly what it gives; one that
/// fails takes nothing but the length or count that it read.
pub fn target(data: &[u8]) -> Outcome {
    let Some((program, bytes)) = data.split_first_chunk::<8>() else { return Outcome::Rejected };
    let mut reader = Reader::new(bytes);
    for call in program {
        let before = reader.remaining();
        let at = bytes.len() - before;
        // What is given, its place in the bytes, and what was taken when all went well.
        let taken = match call % 8 {
            0 => reader.u8().map(|value| {
                assert_eq!(value, bytes[at]);
                1
            }),
            1 => reader.u16().map(|_| 2),
            2 => reader.u32().map(|value| {
                assert_eq!(value.to_le_bytes(), bytes[at..at + 4]);
                4
            }),
            3 => reader.u64().map(|value| {
                assert_eq!(value.to_le_bytes(), bytes[at..at + 8]);
                8
            }),
            4 => {
                let len = usize::from(*call);
                reader.raw(len).map(|part| {
                    assert!(part == &bytes[at..at + len]);
                    len
                })
            }
            5 => reader.bytes().map(|part| {
                assert!(part == &bytes[at + 4..at + 4 + part.len()]);
                4 + part.len()
            }),
            6 => reader.count("items", usize::from(call / 8)).map(|count| {
                assert!(count * usize::from(call / 8).max(1) <= before - 4);
                4
            }),
            _ => reader.raw(usize::MAX).map(|_| unreachable!("no input is that long")),
        };
        match taken {
            Ok(taken) => assert_eq!(reader.remaining(), before - taken),
            Err(_) => {
                let prefix = if matches!(call % 8, 5 | 6) && before >= 4 { 4 } else { 0 };
                assert_eq!(reader.remaining(), before - prefix);
            }
        }
    }
    assert_eq!(reader.clone().finish().is_ok(), reader.remaining() == 0);
    Outcome::Accepted
}
