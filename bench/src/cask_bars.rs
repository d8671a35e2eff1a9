//! The rows of cask tables and their bars. `docs/BENCHMARKS.md` explains each.

use crate::bars::{Against, Better, RAW, Row, at_least, at_most, rows};

/// Peers that keep values in an append-only log and an index in memory, as cask tables do.
const BITCASKS: Against = Against::BestOf(&["armdb-varmap", "armdb-vartree"]);
/// A time that is at most three times another.
const THIRD: f64 = 1.0 / 3.0;

rows! { CASK:
    "cask load 100 B" "cask-data" "ns/op" Lower "buffered" [at_least(2.0, Against::BestPeer)];
    "cask load 1 KiB" "cask-data" "ns/op" Lower "buffered" [];
    "cask load 16 KiB" "cask-data" "ns/op" Lower "buffered" [];
    "cask put 100 B, uniform" "cask-data" "ns/op" Lower "buffered" [at_least(2.0, Against::BestPeer)];
    "cask put 100 B, zipf" "cask-data" "ns/op" Lower "buffered" [at_least(2.0, Against::BestPeer)];
    "cask put 1 KiB, uniform" "cask-data" "ns/op" Lower "buffered" [];
    "cask put 1 KiB, zipf" "cask-data" "ns/op" Lower "buffered" [];
    "cask put 16 KiB, uniform" "cask-data" "ns/op" Lower "buffered" [];
    "cask put 16 KiB, zipf" "cask-data" "ns/op" Lower "buffered" [];
    "cask get 100 B, uniform" "cask-data" "ns/op" Lower "" [at_least(1.5, Against::BestPeer)];
    "cask get 100 B, zipf" "cask-data" "ns/op" Lower "" [at_least(1.5, Against::BestPeer)];
    "cask get 1 KiB, uniform" "cask-data" "ns/op" Lower "" [at_least(1.5, Against::BestPeer)];
    "cask get 1 KiB, zipf" "cask-data" "ns/op" Lower "" [at_least(1.5, Against::BestPeer)];
    "cask get 16 KiB, uniform" "cask-data" "ns/op" Lower "" [];
    "cask get 16 KiB, zipf" "cask-data" "ns/op" Lower "" [];
    "cask sync 64 x 100 B, uniform" "cask-sync" "k/s" Higher "sync" [at_least(3.5, Against::BestPeer)];
    "cask sync 64 x 100 B, zipf" "cask-sync" "k/s" Higher "sync" [at_least(3.5, Against::BestPeer)];
    "cask sync 64 x 1 KiB, uniform" "cask-sync" "k/s" Higher "sync" [at_least(3.5, Against::BestPeer)];
    "cask sync 64 x 1 KiB, zipf" "cask-sync" "k/s" Higher "sync" [at_least(3.5, Against::BestPeer)];
    "cask sync 64 x 16 KiB, uniform" "cask-sync" "k/s" Higher "sync" [at_least(3.5, Against::BestPeer)];
    "cask sync 64 x 16 KiB, zipf" "cask-sync" "k/s" Higher "sync" [at_least(3.5, Against::BestPeer)];
    "cask disk get 100 B, depth 1" "cask-disk" "k/s" Higher "" [at_least(0.85, Against::Column(RAW))];
    "cask disk get 100 B, depth 16" "cask-disk" "k/s" Higher "" [at_least(0.85, Against::Column(RAW))];
    "cask disk get 1 KiB, depth 1" "cask-disk" "k/s" Higher "" [at_least(0.85, Against::Column(RAW))];
    "cask disk get 1 KiB, depth 16" "cask-disk" "k/s" Higher "" [at_least(0.85, Against::Column(RAW))];
    "cask disk get 16 KiB, depth 1" "cask-disk" "k/s" Higher "" [at_least(0.85, Against::Column(RAW))];
    "cask disk get 16 KiB, depth 16" "cask-disk" "k/s" Higher "" [at_least(0.85, Against::Column(RAW))];
    "cask 100 B sustained" "cask-merge" "k/s" Higher "buffered" [];
    "cask 100 B p50, no merge" "cask-merge" "us" Lower "buffered" [];
    "cask 100 B p50, merge" "cask-merge" "us" Lower "buffered" [];
    "cask 100 B p99.9, no merge" "cask-merge" "us" Lower "buffered" [];
    "cask 100 B p99.9, merge" "cask-merge" "us" Lower "buffered" [
        at_least(THIRD, Against::Row("cask 100 B p99.9, no merge"))
    ];
    "cask 100 B longest, no merge" "cask-merge" "us" Lower "buffered" [];
    "cask 100 B longest, merge" "cask-merge" "us" Lower "buffered" [at_least(THIRD, Against::Column(RAW))];
    "cask 100 B merged meanwhile" "cask-merge" "MB/s" Higher "" [];
    "cask 1 KiB sustained" "cask-merge" "k/s" Higher "buffered" [];
    "cask 1 KiB p50, no merge" "cask-merge" "us" Lower "buffered" [];
    "cask 1 KiB p50, merge" "cask-merge" "us" Lower "buffered" [];
    "cask 1 KiB p99.9, no merge" "cask-merge" "us" Lower "buffered" [];
    "cask 1 KiB p99.9, merge" "cask-merge" "us" Lower "buffered" [
        at_least(THIRD, Against::Row("cask 1 KiB p99.9, no merge"))
    ];
    "cask 1 KiB longest, no merge" "cask-merge" "us" Lower "buffered" [];
    "cask 1 KiB longest, merge" "cask-merge" "us" Lower "buffered" [at_least(THIRD, Against::Column(RAW))];
    "cask 1 KiB merged meanwhile" "cask-merge" "MB/s" Higher "" [];
    "cask space 100 B" "cask-space" "times" Lower "buffered" [];
    "cask space 100 B, peak" "cask-space" "times" Lower "buffered" [];
    "cask space 100 B, less 3 seg." "cask-space" "times" Lower "buffered" [at_most(1.6)];
    "cask space 100 B, written" "cask-space" "times" Lower "buffered" [];
    "cask space 100 B, segments" "cask-space" "files" Lower "buffered" [];
    "cask space 1 KiB" "cask-space" "times" Lower "buffered" [];
    "cask space 1 KiB, peak" "cask-space" "times" Lower "buffered" [];
    "cask space 1 KiB, less 3 seg." "cask-space" "times" Lower "buffered" [at_most(1.6)];
    "cask space 1 KiB, written" "cask-space" "times" Lower "buffered" [];
    "cask space 1 KiB, segments" "cask-space" "files" Lower "buffered" [];
    "cask space 1 KiB, sync" "cask-space" "times" Lower "sync" [];
    "cask space 1 KiB, sync, segments" "cask-space" "files" Lower "sync" [];
    "cask memory 3 M, 16 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 3 M, 64 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 3 M, TTL adds" "cask-memory" "bytes/key" Lower "buffered" [at_most(20.0)];
    "cask memory 3 M, keydir" "cask-memory" "bytes/key" Lower "buffered" [];
    "cask memory 3.7 M, 16 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 3.7 M, 64 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 3.7 M, TTL adds" "cask-memory" "bytes/key" Lower "buffered" [at_most(20.0)];
    "cask memory 3.7 M, keydir" "cask-memory" "bytes/key" Lower "buffered" [];
    "cask memory 5 M, 16 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 5 M, 64 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 5 M, TTL adds" "cask-memory" "bytes/key" Lower "buffered" [at_most(20.0)];
    "cask memory 5 M, keydir" "cask-memory" "bytes/key" Lower "buffered" [];
    "cask memory 8 M, 16 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 8 M, 64 B keys" "cask-memory" "bytes/key" Lower "buffered" [at_most(28.0)];
    "cask memory 8 M, TTL adds" "cask-memory" "bytes/key" Lower "buffered" [at_most(20.0)];
    "cask memory 8 M, keydir" "cask-memory" "bytes/key" Lower "buffered" [];
    "cask open 100 B, hints" "cask-open" "M keys/s" Higher "" [at_least(10.0, BITCASKS)];
    "cask open 100 B, hints, time" "cask-open" "s" Lower "" [];
    "cask open 100 B, from the log" "cask-open" "M keys" Lower "" [];
    "cask open 100 B, no hints" "cask-open" "M keys/s" Higher "" [at_least(6.0, Against::Itself)];
    "cask open 1 KiB, hints" "cask-open" "M keys/s" Higher "" [];
    "cask open 1 KiB, hints, time" "cask-open" "s" Lower "" [];
    "cask open 1 KiB, from the log" "cask-open" "M keys" Lower "" [];
    "cask open 1 KiB, no hints" "cask-open" "GB/s" Higher "" [at_least(1.5, Against::Itself)];
}
