//! The `slotcask` binary: the engine on a directory, one verb a call.
//!
//! Each verb is a file in `commands/`; what it prints goes through `output`, what goes wrong through `errors`, which
//! holds the table of exit codes. `shell` ties them together.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod commands;
mod errors;
mod formats;
mod load;
mod opening;
mod output;
mod rows;
mod shell;
mod signals;
mod text;

fn main() -> std::process::ExitCode {
    // Each store keeps some files open, and those who read them at once more.
    slotcask_io::raise_descriptor_limit();
    shell::run(std::env::args_os())
}
