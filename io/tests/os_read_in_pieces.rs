//! A read in pieces brings the same bytes in the same order, whether a ring or a loop does it, and ends when it is told to.

use slotcask_io::{AlignedBuf, Disk, File, IoErrorKind, OpenMode, OsDisk, OsOptions};
use std::ops::ControlFlow;
use std::sync::Arc;

const B: usize = 4096;
const BLOCKS: usize = 201;

fn file(dir: &tempfile::TempDir, options: OsOptions) -> Arc<dyn File> {
    let file = OsDisk::new(options).open(&dir.path().join("file"), OpenMode::Create).unwrap();
    let mut content = AlignedBuf::zeroed(BLOCKS * B);
    for (at, block) in content.chunks_exact_mut(B).enumerate() {
        block.fill(at as u8);
    }
    file.write_at(0, &content).unwrap();
    file
}

fn every_way(test: impl Fn(&dyn File)) {
    for (direct, uring) in [(true, true), (true, false), (false, true), (false, false)] {
        let dir = tempfile::tempdir().unwrap();
        test(&*file(&dir, OsOptions { direct, uring }));
    }
}

#[test]
fn pieces_arrive_in_order_and_whole() {
    every_way(|file| {
        for piece in [1, 3, 16, 200, 500] {
            let mut buf = AlignedBuf::zeroed((BLOCKS - 1) * B);
            buf.fill(0xff);
            let mut seen = 0;
            file.read_in_pieces(B as u64, &mut buf, piece * B, &mut |there| {
                assert_eq!(there.len(), (BLOCKS - 1).min(seen / B + piece) * B);
                for (at, block) in there.chunks_exact(B).enumerate() {
                    assert!(block.iter().all(|byte| *byte == (at + 1) as u8), "block {at}");
                }
                seen = there.len();
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(seen, (BLOCKS - 1) * B);
        }
    });
}

#[test]
fn nothing_is_called_after_a_break() {
    every_way(|file| {
        let mut buf = AlignedBuf::zeroed(BLOCKS * B);
        let mut calls = 0;
        for _ in 0..50 {
            file.read_in_pieces(0, &mut buf, B, &mut |there| {
                calls += 1;
                if there.len() < 20 * B {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
            .unwrap();
        }
        assert_eq!(calls, 50 * 20);
    });
}

#[test]
fn a_panic_leaves_no_read_behind() {
    every_way(|file| {
        for _ in 0..20 {
            let mut buf = AlignedBuf::zeroed(BLOCKS * B);
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                file.read_in_pieces(0, &mut buf, B, &mut |there| {
                    assert!(there.len() < 30 * B, "the panic of this test");
                    ControlFlow::Continue(())
                })
            }));
            assert!(panicked.is_err());
            buf.fill(0xee);
            assert!(buf.iter().all(|byte| *byte == 0xee));
        }
    });
}

#[test]
fn the_end_of_the_file_is_an_error_when_it_is_due() {
    every_way(|file| {
        let mut buf = AlignedBuf::zeroed((BLOCKS + 5) * B);
        let mut there = 0;
        let error = file
            .read_in_pieces(0, &mut buf, 4 * B, &mut |bytes| {
                there = bytes.len();
                ControlFlow::Continue(())
            })
            .unwrap_err();
        assert_eq!(error.kind, IoErrorKind::UnexpectedEof);
        assert_eq!(there, BLOCKS / 4 * 4 * B);
    });
}
