//! `authtap compare`: what the hops between taps changed, from recordings that were made apart.

mod clocks;
mod joining;
mod recordings;
mod table;
mod tell;

use jiff::SignedDuration;

use crate::auth::FingerprintKey;
use crate::check::fails;
use crate::cli::CompareOptions;
use crate::diagnose::judge;
use crate::error::{self, Error};
use crate::exchange::record::read::Read;
use crate::exchange::redact::Redactor;
use crate::hops::{Attempt, Crossing, Difference, Join, Sighting, compare};
use crate::memory::Memory;
use crate::rules::{Finding, Severity};
use crate::sinks::output::print;
use clocks::Clocks;
use joining::{Joined, join_by_ids, join_by_marks, join_by_path};
use recordings::Recordings;

/// What was found between two neighbouring taps.
pub(crate) struct Hop {
    /// The tap before it.
    pub(crate) from: String,
    /// The tap behind it.
    pub(crate) to: String,
    /// How far the clock behind it is ahead of the one before it, where that can be told.
    pub(crate) clocks: Option<Clocks>,
    /// Whether fingerprints of both recordings are of one key.
    pub(crate) can_compare: bool,
    /// The requests, in the order of the outer recording.
    pub(crate) ways: Vec<Way>,
    /// Requests of the inner recording that belong to none of the outer one.
    pub(crate) strays: usize,
}

/// One request's way over a hop.
pub(crate) struct Way {
    /// The number of its record at the outer tap, and of those at the inner one.
    pub(crate) outer: usize,
    /// Its records at the inner tap.
    pub(crate) inners: Vec<usize>,
    /// How they were joined.
    pub(crate) join: Option<Join>,
    /// What differs.
    pub(crate) differences: Vec<Difference>,
    /// What the rules say of it.
    pub(crate) findings: Vec<Finding>,
}

impl Way {
    /// How bad it is.
    pub(crate) fn severity(&self) -> Option<Severity> {
        self.findings.first().map(|finding| finding.severity)
    }
}

/// Compares the recordings and prints what came of it. Gives the exit code.
///
/// # Errors
/// What keeps it from starting: a file that can't be read, fewer than two taps.
pub fn run(options: &CompareOptions) -> Result<u8, Error> {
    let recordings = Recordings::read(&options.files)?;
    let hops: Vec<Hop> = recordings.taps.windows(2).map(|pair| hop_between(&recordings, pair)).collect();
    let text = tell::tell(options, &recordings, &hops)?;
    print(&text)?;
    for fault in &recordings.faults {
        eprintln!("{fault}");
    }
    Ok(exit_code(options, &recordings, &hops))
}

fn exit_code(options: &CompareOptions, recordings: &Recordings, hops: &[Hop]) -> u8 {
    let worst = hops.iter().flat_map(|hop| &hop.ways).filter_map(Way::severity).max();
    if fails(options.fail_on, worst) {
        return error::FINDINGS;
    }
    if recordings.faults.is_empty() { error::FINE } else { error::INCOMPLETE }
}

/// Joins the records of two neighbouring taps, and compares what belongs together.
fn hop_between(recordings: &Recordings, pair: &[String]) -> Hop {
    let [from, to] = pair else { return Hop::nothing() };
    let (outers, inners) = (recordings.of_tap(from), recordings.of_tap(to));
    let key_of = |numbers: &[usize]| {
        numbers.first().and_then(|at| recordings.record(*at)).and_then(|read| read.fingerprint_key.clone())
    };
    let can_compare = match (key_of(&outers), key_of(&inners)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let mut joined = join_by_path(recordings, &outers, &inners);
    // Without ids of paths the ids of requests and traces have to tell of the clocks.
    let clocks = Clocks::estimate(&pairs(recordings, &joined)).or_else(|| {
        let by_ids = join_by_ids(recordings, &outers, &inners, can_compare);
        Clocks::estimate(&pairs(recordings, &by_ids))
    });
    let ahead = clocks.as_ref().map_or(SignedDuration::ZERO, |clocks| clocks.ahead);
    join_by_marks(recordings, (&outers, &inners), can_compare, ahead, &mut joined);
    let strays = inners.iter().filter(|inner| !joined.contains_key(inner)).count();
    let by_path = recordings.have_path_ids(&inners);
    let mut memory = Memory::default();
    // Nothing is made of this key: what records show is compared as it is.
    let key = FingerprintKey::from_bytes(b"");
    let redactor = Redactor::new(key.clone(), []);
    let mut ways = Vec::new();
    for outer in outers {
        let mut mine: Vec<(usize, Join)> =
            joined.iter().filter(|(_, (at, _))| *at == outer).map(|(inner, (_, join))| (*inner, *join)).collect();
        mine.sort_unstable_by_key(|(inner, _)| recordings.record(*inner).map(|read| read.time.clone()));
        let Some(seen) = recordings.record(outer).and_then(|read| Sighting::of_record(read, can_compare)) else {
            continue;
        };
        let sightings: Vec<(Sighting<'_>, usize, Join)> = mine
            .iter()
            .filter_map(|(at, join)| Some((Sighting::of_record(recordings.record(*at)?, can_compare)?, *at, *join)))
            .collect();
        let attempts: Vec<Attempt<'_>> = sightings
            .iter()
            .map(|(inner, _, join)| Attempt { inner, join: *join, differences: compare(&seen, inner, &redactor, &key) })
            .collect();
        // That nothing arrived can be said where the taps told each other of requests and the inner recording goes on.
        let is_certain = by_path && recordings.covers(to, &seen.time);
        let crossing = Crossing { outer: &seen, inner_tap: to, attempts, running: 0, is_certain };
        let findings = if crossing.attempts.is_empty() && !is_certain { Vec::new() } else { judge(&crossing, &memory) };
        memory.learn_crossing(&crossing);
        let last = crossing.last();
        ways.push(Way {
            outer,
            inners: sightings.iter().map(|(_, at, _)| *at).collect(),
            join: last.map(|attempt| attempt.join),
            differences: last.map(|attempt| attempt.differences.clone()).unwrap_or_default(),
            findings,
        });
    }
    Hop { from: from.clone(), to: to.clone(), clocks, can_compare, ways, strays }
}

/// The records that belong together.
fn pairs<'r>(recordings: &'r Recordings, joined: &Joined) -> Vec<(&'r Read, &'r Read)> {
    let pairs = joined.iter();
    pairs.filter_map(|(inner, (outer, _))| Some((recordings.record(*outer)?, recordings.record(*inner)?))).collect()
}

impl Hop {
    fn nothing() -> Self {
        Hop { from: String::new(), to: String::new(), clocks: None, can_compare: true, ways: Vec::new(), strays: 0 }
    }
}
