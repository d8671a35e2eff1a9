//! Reading data files, and segments of the log: all records in order, or one by its place.

use crate::CaskIdent;
use crate::error::{CaskError, Result};
use crate::location::Location;
use crate::record::CachedRecord;
use slotcask_format::checksum::Seed;
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::{FlushHeader, flush_seed};
use slotcask_format::manifest::{DataFileState, DataOrigin};
use slotcask_format::record::{self, Record, RecordKind, record_seed};
use slotcask_format::segment::{SEGMENT_DATA_OFFSET, SegmentHeader};
use slotcask_format::{BLOCK_SIZE, Reason, round_up};
use slotcask_io::{AlignedBuf, File, IoError, IoErrorKind};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use zerocopy::FromBytes;

/// Reads of more bytes than this are compared with the size of the file first.
const SIZE_PLAUSIBLE: usize = 1 << 20;
/// Bytes of a file that are held in memory while files are read one after the other: a log segment of usual size.
const WINDOW: usize = 16 << 20;
/// The same beside writers.
const WINDOW_SMALL: usize = 1 << 20;
/// Bytes that are read at once; those behind them are read while they are worked on.
const PIECE: usize = 512 << 10;
/// Records that are prepared before the first of them is visited.
const AHEAD: usize = 12;

/// A file that holds frames: its number, where they end, and the file.
#[derive(Debug, Clone, Copy)]
pub struct Frames<'a> {
    /// Generation.
    pub generation: u64,
    /// Where it came from, which its name says.
    pub origin: DataOrigin,
    /// Offset behind the last frame.
    pub end: u64,
    /// The file.
    pub file: &'a dyn File,
}

/// What is read of a data file.
#[must_use]
pub fn frames_of<'a>(state: &DataFileState, file: &'a dyn File) -> Frames<'a> {
    Frames { generation: state.generation, origin: state.origin, end: state.end, file }
}

/// The memory that a walk reads into, which may go on to the next: 16 MiB, used as far as a file is long; more where a frame is larger.
#[must_use]
pub fn walk_buffer() -> AlignedBuf {
    AlignedBuf::with_capacity(WINDOW)
}

/// As [`walk_buffer`], a mebibyte.
#[must_use]
pub fn small_walk_buffer() -> AlignedBuf {
    AlignedBuf::with_capacity(WINDOW_SMALL)
}

/// What a walk saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Checksum of the header of the last frame; 0 when there is none.
    pub frame_checksum: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// The name of a data file, or of a segment of the log.
#[must_use]
pub const fn name_of(generation: u64, origin: DataOrigin) -> ShardFile {
    match origin {
        DataOrigin::Sealed => ShardFile::Segment(generation),
        DataOrigin::Merged => ShardFile::Data(generation),
    }
}

/// The path of a file, under the name that it has.
pub(crate) fn path_of(ident: &CaskIdent, generation: u64, origin: DataOrigin) -> PathBuf {
    ident.dir.join(name_of(generation, origin).name())
}

/// A walk through a file.
struct Walk<'a> {
    ident: &'a CaskIdent,
    frames: Frames<'a>,
    seed: Seed,
    /// Up to where it has come.
    offset: u64,
    frame_checksum: u64,
}

/// What came of a look at the bytes that are there.
enum Step {
    /// A frame, or the header of the file, was all there.
    Done,
    /// So many bytes are needed from where the walk stands.
    Wants(usize),
}

impl Walk<'_> {
    /// Visits the records of the next frame, if it is all in `there`.
    fn step<T>(
        &mut self,
        path: &Path,
        there: &[u8],
        prepare: &impl Fn(&Record<'_>) -> T,
        visit: &mut impl FnMut(&Record<'_>, u64, &[u8], T) -> Result<()>,
    ) -> Result<Step> {
        let Frames { generation, end, .. } = self.frames;
        let offset = self.offset;
        let corrupt =
            |offset, reason: &dyn ToString| CaskError::corrupt(path, offset, reason.to_string());
        let Some(block) = there.get(..BLOCK_SIZE) else { return Ok(Step::Wants(BLOCK_SIZE)) };
        if offset == 0 {
            check_header(self.ident, generation, path, block)?;
            self.offset = SEGMENT_DATA_OFFSET;
            return Ok(Step::Done);
        }
        let Ok((header, _)) = FlushHeader::read_from_prefix(block) else {
            return Err(corrupt(offset, &"a block is shorter than a header"));
        };
        if let Some(reason) = header.invalid(self.seed, generation, offset, end) {
            return Err(corrupt(offset, &reason));
        }
        let Some(frame) = there.get(..header.size()) else {
            return Ok(Step::Wants(header.size()));
        };
        let body = &frame[FlushHeader::SIZE..];
        if !header.body_is_valid(self.seed, body) {
            return Err(corrupt(offset, &Reason::Checksum { what: "flush" }));
        }
        let records = record_seed(self.ident.store, self.ident.shard);
        let length = header.length.get() as usize;
        let mut rest = &body[..length];
        let mut prepared = VecDeque::with_capacity(AHEAD);
        while !rest.is_empty() || !prepared.is_empty() {
            if !rest.is_empty() {
                let at = offset + (FlushHeader::SIZE + length - rest.len()) as u64;
                let (found, size) =
                    record::decode_vouched(records, rest).map_err(|reason| corrupt(at, &reason))?;
                prepared.push_back((found, at, &rest[..size], prepare(&found)));
                rest = &rest[size..];
            }
            if (prepared.len() == AHEAD || rest.is_empty())
                && let Some((found, at, bytes, made)) = prepared.pop_front()
            {
                visit(&found, at, bytes, made)?;
            }
        }
        self.frame_checksum = header.checksum.get();
        self.offset += header.size() as u64;
        Ok(Step::Done)
    }
}

/// Reads all frames into `buf`, piece by piece and ahead, and gives each record with its offset and size. Every checksum is compared.
///
/// # Errors
/// [`CaskError::Corrupt`] at the first byte that is not as it was written; errors of the disk; what `visit` returns.
pub fn walk(
    ident: &CaskIdent,
    frames: Frames<'_>,
    buf: &mut AlignedBuf,
    mut visit: impl FnMut(&Record<'_>, u64, &[u8]) -> Result<()>,
) -> Result<Walked> {
    let visit = |record: &Record<'_>, offset, bytes: &[u8], ()| visit(record, offset, bytes);
    walk_ahead(ident, frames, buf, |_| (), visit)
}

/// As [`walk`]; each record goes to `prepare` some records before it goes to `visit`, with what `prepare` made of it: time for
/// memory to arrive.
///
/// # Errors
/// As [`walk`].
pub(crate) fn walk_ahead<T>(
    ident: &CaskIdent,
    frames: Frames<'_>,
    buf: &mut AlignedBuf,
    prepare: impl Fn(&Record<'_>) -> T,
    mut visit: impl FnMut(&Record<'_>, u64, &[u8], T) -> Result<()>,
) -> Result<Walked> {
    let path = path_of(ident, frames.generation, frames.origin);
    let corrupt =
        |offset, reason: &dyn ToString| CaskError::corrupt(&path, offset, reason.to_string());
    let size = frames.file.size()?;
    let end = frames.end;
    if end < SEGMENT_DATA_OFFSET || end > size || !end.is_multiple_of(BLOCK_SIZE as u64) {
        return Err(corrupt(size, &format!("{end} bytes are expected, the file has {size}")));
    }
    let mut walk = Walk {
        ident,
        frames,
        seed: flush_seed(ident.store, ident.shard, frames.generation),
        offset: 0,
        frame_checksum: 0,
    };
    let window = buf.capacity().max(BLOCK_SIZE);
    let mut wanted = window;
    while walk.offset < end {
        let start = walk.offset;
        let len = wanted.min(usize::try_from(end - start).unwrap_or(usize::MAX));
        if buf.capacity() < len {
            *buf = AlignedBuf::with_capacity(len);
        }
        buf.set_len(len);
        let mut result = Ok(());
        let read = frames.file.read_in_pieces(start, &mut buf[..len], PIECE, &mut |there| {
            loop {
                let rest = &there[(walk.offset - start) as usize..];
                match walk.step(&path, rest, &prepare, &mut visit) {
                    Ok(Step::Done) => {}
                    Ok(Step::Wants(size)) => {
                        wanted = window.max(size);
                        return ControlFlow::Continue(());
                    }
                    Err(error) => {
                        result = Err(error);
                        return ControlFlow::Break(());
                    }
                }
            }
        });
        // A segment's file may know it by the name that it had as a spare.
        read.map_err(|error| IoError { path: path.clone(), ..error })?;
        result?;
    }
    Ok(Walked { frame_checksum: walk.frame_checksum, bytes: end })
}

fn check_header(ident: &CaskIdent, generation: u64, path: &Path, block: &[u8]) -> Result<()> {
    let reason = match SegmentHeader::decode(block) {
        Ok(header) => header.foreign(ident.store, ident.shard, generation),
        Err(Reason::Version { supported, found }) => {
            return Err(CaskError::Newer { path: path.to_owned(), found, supported });
        }
        Err(reason) => Some(reason),
    };
    match reason {
        None => Ok(()),
        Some(reason) => Err(CaskError::corrupt(path, 0, reason)),
    }
}

/// Reads the put at a place. Header and body are compared with their checksums.
///
/// # Errors
/// [`CaskError::Corrupt`], with an empty path; errors of the disk.
pub fn read_record(file: &dyn File, at: Location, seed: Seed) -> Result<CachedRecord> {
    let corrupt =
        |reason: &dyn ToString| CaskError::corrupt(Path::new(""), at.offset(), reason.to_string());
    let block = BLOCK_SIZE as u64;
    let start = at.offset() / block * block;
    let skip = (at.offset() - start) as usize;
    let mut len = round_up(skip + at.size_max());
    if len > SIZE_PLAUSIBLE {
        // A place comes from a hint, which may lie: no more memory than the file has bytes.
        let size = file.size()?;
        let left = size.saturating_sub(start).next_multiple_of(block);
        len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
        if len <= skip {
            return Err(corrupt(&format!("the file ends at {size}")));
        }
    }
    let mut buf = AlignedBuf::zeroed(len);
    match file.read_at(start, &mut buf) {
        // The size was rounded up, and this is the last record of the file.
        Err(error) if error.kind == IoErrorKind::UnexpectedEof => {
            let size = file.size()?;
            let left = size.saturating_sub(start).min(buf.len() as u64) as usize;
            let left = left / BLOCK_SIZE * BLOCK_SIZE;
            if left <= skip {
                return Err(corrupt(&format!("the file ends at {size}")));
            }
            buf.set_len(left);
            file.read_at(start, &mut buf)?;
        }
        result => result?,
    }
    let (found, _) = record::decode(seed, &buf[skip..]).map_err(|reason| corrupt(&reason))?;
    if found.kind != RecordKind::Put {
        return Err(corrupt(&format!("a record of kind {:?} instead of a value", found.kind)));
    }
    CachedRecord::of(&found, &buf[skip..]).map_err(|reason| corrupt(&reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotcask_format::StoreId;
    use slotcask_io::{OpenMode, SimOptions, sim_env};

    #[test]
    fn a_place_that_lies_takes_no_more_memory_than_the_file() {
        let (env, _disk) = sim_env(1, SimOptions::default());
        let file = env.disk.open(Path::new("/file"), OpenMode::Create).unwrap();
        file.allocate(3 * BLOCK_SIZE as u64).unwrap();
        // 120 GiB, if it were believed.
        for offset in [0, 8, 8192, 12_280, 12_288, 1 << 20, (1 << 20) + 8] {
            let at = Location::with_code(1, offset, u8::MAX).unwrap();
            let error = read_record(&*file, at, record_seed(StoreId([7; 16]), 0)).unwrap_err();
            assert!(matches!(error, CaskError::Corrupt { .. }), "{offset}: {error}");
        }
    }
}
