//! A directory in one input: chunks of a few files, each with its file, its block and its length before it. What no chunk
//! covers is zero, so that files of many blocks are short inputs.

use slotcask_format::BLOCK_SIZE;
use std::collections::BTreeMap;
use std::ops::Range;

/// Most files.
const FILES_MAX: u8 = 8;
/// Chunks begin in one of these blocks.
const BLOCKS_MAX: u8 = 16;
/// File, block, length.
const HEADER: usize = 4;

/// Files by number, whole blocks each.
pub type Files = BTreeMap<u8, Vec<u8>>;

struct Chunk {
    file: u8,
    offset: usize,
    bytes: Range<usize>,
}

fn chunks(data: &[u8]) -> Vec<Chunk> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some([file, block, low, high]) = data.get(at..at + HEADER) {
        at += HEADER;
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(data.len() - at);
        let offset = usize::from(block % BLOCKS_MAX) * BLOCK_SIZE;
        found.push(Chunk { file: file % FILES_MAX, offset, bytes: at..at + len });
        at += len;
    }
    found
}

/// The files of an input; any bytes are some.
pub fn unpack(data: &[u8]) -> Files {
    let mut files = Files::new();
    for chunk in chunks(data) {
        let file = files.entry(chunk.file).or_default();
        let end = chunk.offset + chunk.bytes.len();
        let size = end.div_ceil(BLOCK_SIZE) * BLOCK_SIZE;
        file.resize(file.len().max(size), 0);
        file[chunk.offset..end].copy_from_slice(&data[chunk.bytes]);
    }
    files
}

/// Puts the bytes of `files` back where they came from in `data`.
pub fn repack(data: &mut [u8], files: &Files) {
    for chunk in chunks(data) {
        let end = chunk.offset + chunk.bytes.len();
        let from = files.get(&chunk.file).and_then(|file| file.get(chunk.offset..end));
        if let Some(from) = from {
            data[chunk.bytes].copy_from_slice(from);
        }
    }
}

/// Inputs for `files`: the same chunks in another order each, as the front of an input is changed most.
pub fn pack(files: &Files) -> Vec<Vec<u8>> {
    let mut packed = Vec::new();
    for (file, bytes) in files {
        let blocks = bytes.len().div_ceil(BLOCK_SIZE);
        for (block, bytes) in bytes.chunks(BLOCK_SIZE).enumerate() {
            let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            // The last block says how long the file is.
            let len = if block + 1 == blocks { len.max(1) } else { len };
            if len > 0 {
                let [low, high] = (len as u16).to_le_bytes();
                let mut chunk = vec![*file, block as u8, low, high];
                chunk.extend_from_slice(&bytes[..len]);
                packed.push(chunk);
            }
        }
    }
    (0..packed.len())
        .map(|_| {
            packed.rotate_left(1);
            packed.concat()
        })
        .collect()
}
