//! The rows of ordered tables and their bars. `docs/BENCHMARKS.md` explains each.

use crate::bars::{Against, Better, Row, at_least, at_most, rows};

rows! { ORDERED:
    "range of 100" "ordered-scan" "us" Lower "" [at_least(0.5, Against::BestPeer)];
    "range of 100, keys" "ordered-scan" "us" Lower "" [at_least(1.0, Against::BestPeer)];
    "range of 100, fixed" "ordered-scan" "us" Lower "" [at_least(3.0, Against::BestPeer)];
    "range of 100, fixed, keys" "ordered-scan" "us" Lower "" [at_least(3.0, Against::BestPeer)];
    "new key beside ordered" "ordered-data" "ns/op" Lower "buffered" [];
    "new key, ordered" "ordered-data" "ns/op" Lower "buffered" [
        at_least(0.4, Against::Row("new key beside ordered"))
    ];
    "put beside ordered" "ordered-data" "ns/op" Lower "buffered" [];
    "put, ordered" "ordered-data" "ns/op" Lower "buffered" [
        at_least(0.4, Against::Row("put beside ordered"))
    ];
    "get beside ordered" "ordered-data" "ns/op" Lower "" [];
    "get, ordered" "ordered-data" "ns/op" Lower "" [at_least(0.5, Against::Row("get beside ordered"))];
    "cask new key beside ordered" "ordered-data" "ns/op" Lower "buffered" [];
    "cask new key, ordered" "ordered-data" "ns/op" Lower "buffered" [
        at_least(0.4, Against::Row("cask new key beside ordered"))
    ];
    "cask put beside ordered" "ordered-data" "ns/op" Lower "buffered" [];
    "cask put, ordered" "ordered-data" "ns/op" Lower "buffered" [
        at_least(0.4, Against::Row("cask put beside ordered"))
    ];
    "cask get beside ordered" "ordered-data" "ns/op" Lower "" [];
    "cask get, ordered" "ordered-data" "ns/op" Lower "" [
        at_least(0.5, Against::Row("cask get beside ordered"))
    ];
    "memory, order adds" "ordered-memory" "bytes/key" Lower "buffered" [at_most(40.0)];
    "cask memory, order adds" "ordered-memory" "bytes/key" Lower "buffered" [at_most(40.0)];
}
