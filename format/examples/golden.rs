//! Writes the golden files, their dumps, and the rendered parts of `docs/FORMAT.md`:
//! `cargo run -p slotcask-format --example golden`.
//!
//! It changes only what differs and names it. A change to the bytes of a released version is a mistake:
//! add a version instead.

#![allow(clippy::disallowed_methods, reason = "a tool that writes source files uses std::fs")]

#[path = "../tests/samples/mod.rs"]
mod samples;

use samples::{dump, page};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let goldens = samples::all();
    for golden in &goldens {
        let name = format!("{}_v1", golden.name);
        replace(&root.join("golden").join(format!("{name}.bin")), &golden.bytes)?;
        replace(&root.join("golden").join(format!("{name}.txt")), dump::text(golden).as_bytes())?;
    }
    let path = root.join("../docs/FORMAT.md");
    let text = page::render(&std::fs::read_to_string(&path)?, &goldens)?;
    replace(&path, text.as_bytes())?;
    Ok(())
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let old = std::fs::read(path).ok();
    if old.as_deref() != Some(bytes) {
        println!("{} {}", if old.is_some() { "changed" } else { "wrote" }, path.display());
        std::fs::write(path, bytes)?;
    }
    Ok(())
}
