//! `authtap har`: an HTTP Archive of what --record wrote.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use crate::cli::HarOptions;
use crate::error::{self, Error};
use crate::exchange::har::recorded::{BETWEEN, CLOSING, OPENING, entry};
use crate::exchange::record::read::Read;
use crate::process::NO_LINK;
use crate::sinks::output::print;

/// What could not be read is told up to here for each file, and then counted.
const FAULTS: usize = 20;

/// Makes the archive. Gives the exit code.
///
/// # Errors
/// A recording that can't be read or has no record, and an archive that can't be written.
pub fn run(options: &HarOptions) -> Result<u8, Error> {
    let mut entries = Vec::new();
    let mut is_whole = true;
    for path in &options.files {
        is_whole &= add(path, &mut entries)?;
    }
    entries.sort_by_key(|(time, _)| *time);
    let entries: Vec<String> = entries.into_iter().map(|(_, entry)| entry).collect();
    let archive = format!("{OPENING}\n{}{CLOSING}", entries.join(BETWEEN));
    match &options.output {
        Some(path) => write(path, &archive)?,
        None => print(&archive)?,
    }
    Ok(if is_whole { error::FINE } else { error::INCOMPLETE })
}

/// Adds the entries of a recording. Says whether all of it was read.
fn add(path: &Path, entries: &mut Vec<(Timestamp, String)>) -> Result<bool, Error> {
    let bytes = fs::read(path).map_err(|error| {
        Error::run(format!("cannot read {}: {error}", path.display()))
            .advice("check the path, and who may read the file")
    })?;
    let before = entries.len();
    let mut faults = Vec::new();
    for (number, line) in
        String::from_utf8_lossy(&bytes).lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
        match made(line) {
            Ok(made) => entries.push(made),
            Err(why) => faults.push(format!("line {}: {why}", number + 1)),
        }
    }
    if entries.len() == before {
        let why = faults.into_iter().next().unwrap_or_else(|| "it is empty".to_owned());
        return Err(Error::run(format!("{} is no recording of authtap's: {why}", path.display()))
            .advice("give a file that --record wrote"));
    }
    for fault in faults.iter().take(FAULTS) {
        eprintln!("{}: {fault}", path.display());
    }
    if let Some(more) = faults.len().checked_sub(FAULTS + 1) {
        eprintln!("{}: {} more lines were not read", path.display(), more + 1);
    }
    Ok(faults.is_empty())
}

fn made(line: &str) -> Result<(Timestamp, String), String> {
    let read = Read::of_line(line)?;
    let time = read.time.parse().map_err(|_| "its time can't be read")?;
    let entry = entry(line.as_bytes()).ok_or("it lacks a field of a record")?;
    Ok((time, String::from_utf8_lossy(&entry).into_owned()))
}

/// Writes the file for its owner alone, and not where a link leads.
fn write(path: &Path, archive: &str) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(NO_LINK);
    let written = options.open(path).and_then(|mut file| file.write_all(archive.as_bytes()));
    written.map_err(|error| {
        Error::run(format!("--output: cannot write {}: {error}", path.display()))
            .advice("check that the folder is there and may be written to")
    })
}
