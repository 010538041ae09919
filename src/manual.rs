//! `authtap completions` and `authtap man`: what shells and readers of manuals get, out of the command line alone.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::Error;

/// The script that makes a shell complete the command line.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "authtap", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The page of the program, or of one of its commands, in roff.
///
/// # Errors
/// Where there is no such command.
pub fn man(name: Option<&str>) -> Result<String, Error> {
    let mut program = Cli::command();
    program.build();
    let command = match name {
        None => program,
        Some(name) => {
            let known: Vec<String> = program
                .get_subcommands()
                .map(|known| known.get_name().to_owned())
                .filter(|known| known != "help")
                .collect();
            let found = program.find_subcommand(name).filter(|found| found.get_name() != "help").cloned();
            found.ok_or_else(|| {
                Error::usage(format!("there is no command {name:?}")).advice(format!("one of {}", known.join(", ")))
            })?
        }
    };
    let mut page = Vec::new();
    // Writing to memory can't fail.
    let _ = Man::new(command).render(&mut page);
    Ok(String::from_utf8_lossy(&page).into_owned())
}
