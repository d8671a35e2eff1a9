//! `completions`: what a shell needs to complete this command line.

use crate::args::Cli;
use crate::errors::{Exit, Failure};
use crate::output::Output;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

const EXAMPLES: &str = "\
Where each shell looks for them is its own affair; these are the usual places.

Examples:
  slotcask completions bash > ~/.local/share/bash-completion/completions/slotcask
  slotcask completions zsh > ~/.zfunc/_slotcask       (with fpath+=~/.zfunc before compinit)
  slotcask completions fish > ~/.config/fish/completions/slotcask.fish
  slotcask completions elvish >> ~/.config/elvish/rc.elv
  slotcask completions powershell >> $PROFILE";

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        return Err(Failure::usage("completions are a script, not JSON", "leave out --json"));
    }
    // The generator panics when its writer fails; memory does not.
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "slotcask", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
