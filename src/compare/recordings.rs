//! The recordings that are compared: their records, by tap, and what could not be read of them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Error;
use crate::exchange::record::read::Read;
use crate::hops::from_record::milliseconds;
use crate::hops::join::Marks;

/// The longest line that is read; a record with heads of the largest recorded size is far shorter.
const LONGEST: u64 = 16 << 20;

/// What could not be read is told up to here, and then counted.
const FAULTS: usize = 20;

/// Records of all files.
pub(crate) struct Recordings {
    records: Vec<Read>,
    /// The taps, in the order in which a request passes them.
    pub(crate) taps: Vec<String>,
    /// What could not be read: the file, the line, and why.
    pub(crate) faults: Vec<String>,
}

impl Recordings {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that can't be read, or fewer than two taps in all of them.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Error> {
        let mut recordings = Recordings { records: Vec::new(), taps: Vec::new(), faults: Vec::new() };
        for path in files {
            recordings.read_file(path)?;
        }
        if recordings.taps.len() < 2 {
            let advice = "authtap compare edge.jsonl app.jsonl, with the recordings of two taps that have other names \
                          (edge@… and app@…)";
            let found = match recordings.taps.as_slice() {
                [] => "no record was found".to_owned(),
                taps => format!("all records are of the tap {:?}", taps.join(", ")),
            };
            return Err(Error::usage(format!("there is nothing to compare: {found}")).advice(advice));
        }
        Ok(recordings)
    }

    fn read_file(&mut self, path: &PathBuf) -> Result<(), Error> {
        let cannot = |error: &std::io::Error| {
            Error::run(format!("cannot read {}: {error}", path.display()))
                .advice("check the path and who may read the file")
        };
        let file = File::open(path).map_err(|error| cannot(&error))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        let mut faults = 0;
        for number in 1.. {
            line.clear();
            let mut limited = std::io::Read::take(&mut reader, LONGEST);
            if limited.read_until(b'\n', &mut line).map_err(|error| cannot(&error))? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            if text.trim().is_empty() {
                continue;
            }
            match Read::of_line(text.trim()) {
                Ok(read) => self.add(read),
                Err(why) => {
                    faults += 1;
                    if faults <= FAULTS {
                        self.faults.push(format!("{}:{number}: not read: {why}", path.display()));
                    }
                }
            }
        }
        if faults > FAULTS {
            self.faults.push(format!("{}: {} more lines were not read", path.display(), faults - FAULTS));
        }
        Ok(())
    }

    fn add(&mut self, read: Read) {
        if !self.taps.contains(&read.tap) {
            self.taps.push(read.tap.clone());
        }
        self.records.push(read);
    }

    /// The record of that number.
    pub(crate) fn record(&self, number: usize) -> Option<&Read> {
        self.records.get(number)
    }

    /// The numbers of a tap's records, by time.
    pub(crate) fn of_tap(&self, tap: &str) -> Vec<usize> {
        let mut numbers: Vec<usize> =
            self.records.iter().enumerate().filter(|(_, read)| read.tap == tap).map(|(at, _)| at).collect();
        numbers.sort_by_key(|at| self.record(*at).and_then(|read| read.time.parse::<Timestamp>().ok()));
        numbers
    }

    /// Whether some of the records carry the id of a path that began at another tap.
    pub(crate) fn have_path_ids(&self, numbers: &[usize]) -> bool {
        numbers.iter().filter_map(|at| self.record(*at)).any(|read| read.parent_id.is_some())
    }

    /// Whether a tap's recording goes on at that time: what is not there then did not come.
    pub(crate) fn covers(&self, tap: &str, time: &Timestamp) -> bool {
        let times = self.records.iter().filter(|read| read.tap == tap).filter_map(|read| read.time.parse().ok());
        let (mut first, mut last) = (None::<Timestamp>, None::<Timestamp>);
        for at in times {
            first = Some(first.map_or(at, |first| first.min(at)));
            last = Some(last.map_or(at, |last| last.max(at)));
        }
        first.is_some_and(|first| first <= *time) && last.is_some_and(|last| *time <= last)
    }

    /// The requests that an id, or the end of one, can mean: the numbers of their first records.
    pub(crate) fn find(&self, id: &str) -> Vec<usize> {
        let id = id.to_ascii_uppercase();
        let mut found: Vec<usize> = Vec::new();
        for (number, read) in self.records.iter().enumerate() {
            let is_meant = [&read.id, &read.path_id].into_iter().any(|known| known.to_ascii_uppercase().ends_with(&id));
            let is_known = found.iter().filter_map(|at| self.record(*at)).any(|known| known.path_id == read.path_id);
            if is_meant && !is_known {
                found.push(number);
            }
        }
        found
    }
}

/// By what a recorded request may be known again. Where fingerprints are of different keys, what is masked is no mark.
pub(crate) fn marks_of(read: &Read, can_compare: bool) -> Option<Marks> {
    let time = read.time.parse().ok()?;
    let total = read.timing.total_ms.map_or(Duration::ZERO, milliseconds);
    let value = |name: &str| {
        let found = read.request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| can_compare || !value.contains("<redacted"))
    };
    Some(Marks::of_record((time, total), &read.request.method, &read.request.target, value))
}
