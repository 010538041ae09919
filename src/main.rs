//! The `authtap` program.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use authtap::cli::{Cli, Command};
use authtap::config::Config;
use authtap::error::{self, Error};
use authtap::layers::{self, Stop};
use authtap::sinks::output;
use authtap::{check, compare, demo, echo, explain, export, manual, panics, process, redirect, run};
use tracing_subscriber::EnvFilter;

/// Exchanges are made on the threads of the relay and freed on that of the diagnosis. Where more of such memory comes back than
/// a thread keeps to itself, glibc takes the lock of the thread that asked for it, and musl has but one: the relay waits.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    panics::say_only_where();
    let cli = match layers::read(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(cli) => cli,
        Err(Stop::Clap(error)) => {
            // Where there is nobody to read it, the exit code has to do.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { error::USAGE } else { error::FINE });
        }
        Err(Stop::Error(error)) => return failed(&error),
    };
    start_tracing();
    let is_allowed = cli.command.is_none() && cli.run.allow_core.is_on();
    if !is_allowed && let Err(error) = process::forbid_core() {
        tracing::warn!("core files and debuggers can't be forbidden, and could hold secrets: {error}");
    }
    match act(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    }
}

fn act(cli: Cli) -> Result<u8, Error> {
    match cli.command {
        None => {
            for name in layers::unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
                tracing::warn!("{name} is set, and there is no such option; authtap --help lists them");
            }
            run::run(Config::new(cli.run)?)
        }
        Some(Command::Demo) => demo::run(),
        Some(Command::Check(options)) => check::run(&options),
        Some(Command::Compare(options)) => compare::run(&options),
        Some(Command::Echo { listen }) => echo::run(&listen),
        Some(Command::Completions { shell }) => print(&manual::completions(shell)),
        Some(Command::Man { command }) => print(&manual::man(command.as_deref())?),
        Some(Command::Redirect(options)) => print(&redirect::commands(&options)?),
        Some(Command::Har(options)) => export::run(&options),
        Some(Command::Rules { format }) => print(&explain::rules(format)),
        Some(Command::Explain { rule }) => match explain::explain(&rule) {
            Ok(text) => print(&text),
            Err(near) => {
                let error = Error::usage(format!("there is no rule {rule:?}"));
                Err(error.advice(match near.as_slice() {
                    [] => "authtap rules lists them all".to_owned(),
                    near => format!("authtap explain {}", near.join(", or ")),
                }))
            }
        },
    }
}

fn print(text: &str) -> Result<u8, Error> {
    output::print(text).map(|()| error::FINE)
}

fn failed(error: &Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(error.code())
}

/// The program's own words go to stderr. Foreign crates are held to warnings, whatever RUST_LOG asks for: their debugging
/// output repeats what peers sent.
fn start_tracing() {
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    let own = asked.split(',').filter(|part| part.starts_with("authtap") || !part.contains('='));
    let level = own.filter_map(|part| part.rsplit('=').next()).find(|level| is_level(level)).unwrap_or("info");
    let filter = EnvFilter::new(format!("warn,authtap={level}"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}

fn is_level(text: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].contains(&text.to_ascii_lowercase().as_str())
}
