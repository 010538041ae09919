//! The latest records, kept for the inspector page: bounded by bytes, the oldest dropped and counted.
//!
//! Whoever puts a record in copies its line and nothing more. A thread of the ring's own packs what came together, so that
//! several times as many fit; who reads holds the lock for as long as it takes to find where to read.

mod block;
mod row;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::json;

use crate::exchange::har::recorded::entry;
use crate::process;
use block::{Block, Open};

/// Rows that are given at once, and bytes of records that are read for them: the record that passes this is the last.
const ROWS: usize = 2_000;
const READ_FOR_ROWS: usize = 8 * 1024 * 1024;

/// The same for records that are given whole.
const READ: usize = 1024 * 1024;

/// The latest records. Each has a number, from 1 on, in the order in which they came.
pub struct Ring {
    state: Mutex<State>,
    /// Says that there is something to pack, or that nothing will be any more.
    work: Condvar,
    most: usize,
    grown: Box<dyn Fn(u64, bool) + Send + Sync>,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<Arc<Block>>,
    open: Open,
    /// Bytes that the blocks take.
    bytes: usize,
    /// Records that were dropped to make room.
    dropped: u64,
    /// The first record that was not packed yet.
    unpacked: u64,
    /// How far those who wait were told.
    told: u64,
    /// Whether secrets are in the clear in what is kept.
    shows_secrets: bool,
    is_over: bool,
}

/// What the ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The number of the oldest record that is there.
    pub oldest: u64,
    /// The number that the next one will get.
    pub next: u64,
    /// How many were dropped to make room.
    pub dropped: u64,
    /// How many bytes it takes.
    pub bytes: usize,
}

/// A part of the records, and where to go on.
pub struct Part {
    /// JSON objects, one a line.
    pub lines: Vec<u8>,
    /// The number of the last record that was looked at.
    pub until: u64,
}

impl Ring {
    /// A ring that takes at most `most` bytes, with secrets in the clear until it forgets them, or masked. `grown` hears the
    /// number of the latest record, and whether secrets are shown, when some came or all were forgotten; it must not wait.
    ///
    /// # Errors
    /// What the system says when the thread that packs can't be started.
    pub fn start(
        most: usize,
        shows_secrets: bool,
        grown: impl Fn(u64, bool) + Send + Sync + 'static,
    ) -> io::Result<Arc<Self>> {
        let ring = Arc::new(Self::new(most, shows_secrets, grown));
        let packing = ring.clone();
        thread::Builder::new().name("inspector".to_owned()).spawn(move || {
            process::step_back();
            while packing.pack_one() {}
        })?;
        Ok(ring)
    }

    fn new(most: usize, shows_secrets: bool, grown: impl Fn(u64, bool) + Send + Sync + 'static) -> Self {
        let state = State { open: Open::new(1, block_size(most)), unpacked: 1, shows_secrets, ..State::default() };
        Ring { state: Mutex::new(state), work: Condvar::new(), most, grown: Box::new(grown) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a record that is one line of JSON, with its line end.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = self.state();
        state.open.put(line);
        if state.open.is_full() {
            let next = Open::new(state.open.next(), block_size(self.most));
            let block = Arc::new(std::mem::replace(&mut state.open, next).close());
            state.bytes += block.memory();
            state.blocks.push_back(block);
            self.work.notify_one();
        }
        while state.bytes + state.open.memory() > self.most {
            let Some(oldest) = state.blocks.pop_front() else { break };
            state.bytes -= oldest.memory();
            state.dropped += oldest.len();
        }
    }

    /// Drops all that there is, which has secrets in it that are not to be told any more, and tells those who wait.
    pub(super) fn forget(&self) {
        let latest = self.drop_all();
        (self.grown)(latest, false);
    }

    /// Gives the number of the latest record.
    fn drop_all(&self) -> u64 {
        let mut state = self.state();
        let next = state.open.next();
        let held: u64 = state.blocks.iter().map(|block| block.len()).sum();
        state.dropped += held + (next - state.open.first());
        state.blocks.clear();
        state.bytes = 0;
        state.open = Open::new(next, block_size(self.most));
        state.shows_secrets = false;
        state.told = next - 1;
        next - 1
    }

    /// Whether secrets are in the clear in what it keeps. Once they are not, they never will be again.
    pub fn shows_secrets(&self) -> bool {
        self.state().shows_secrets
    }

    /// Tells those who wait that something came, if it did.
    pub(super) fn tell(&self) {
        let (latest, shows_secrets) = {
            let mut state = self.state();
            let latest = state.open.next() - 1;
            if state.told == latest {
                return;
            }
            state.told = latest;
            (latest, state.shows_secrets)
        };
        (self.grown)(latest, shows_secrets);
    }

    /// Nothing will be put in any more.
    pub(super) fn end(&self) {
        self.tell();
        self.state().is_over = true;
        self.work.notify_all();
    }

    /// Packs the oldest block that is not packed; waits for one. False where none will come.
    fn pack_one(&self) -> bool {
        let block = {
            let mut state = self.state();
            loop {
                let from = state.unpacked;
                let at = state.blocks.partition_point(|block| block.first < from);
                if let Some(block) = state.blocks.get(at) {
                    break block.clone();
                }
                if state.is_over {
                    return false;
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let packed = block.packed();
        let mut state = self.state();
        state.unpacked = block.first + block.len();
        let Some(packed) = packed else { return true };
        if let Ok(at) = state.blocks.binary_search_by_key(&block.first, |block| block.first)
            && let Some(place) = state.blocks.get_mut(at)
        {
            let (before, after) = (place.memory(), packed.memory());
            *place = Arc::new(packed);
            state.bytes = state.bytes - before + after;
        }
        true
    }

    /// What it holds now.
    pub fn held(&self) -> Held {
        let state = self.state();
        let oldest = state.blocks.front().map_or(state.open.first(), |block| block.first);
        let bytes = state.bytes + state.open.memory();
        Held { oldest, next: state.open.next(), dropped: state.dropped, bytes }
    }

    /// The block with the record of that number, or the first one behind it.
    fn block(&self, number: u64) -> Option<Arc<Block>> {
        let state = self.state();
        let at = state.blocks.partition_point(|block| block.first + block.len() <= number);
        match state.blocks.get(at) {
            Some(block) => Some(block.clone()),
            None => (number < state.open.next()).then(|| Arc::new(state.open.clone().close())),
        }
    }

    /// Short rows of the records behind `after`, in the order in which they came, as many as are given at once.
    pub fn rows(&self, after: u64) -> Part {
        let mut part = Part { lines: Vec::new(), until: after };
        let (mut rows, mut read) = (0, 0);
        self.each(&[(after.saturating_add(1), u64::MAX)], |number, line| {
            if let Some(row) = row::row(number, line) {
                part.lines.extend_from_slice(&row);
                part.lines.push(b'\n');
            }
            part.until = number;
            rows += 1;
            read += line.len();
            rows < ROWS && read < READ_FOR_ROWS
        });
        part
    }

    /// The records of these numbers, from the first to the last of each pair.
    pub fn records(&self, numbers: &[(u64, u64)]) -> Part {
        self.part(numbers, |number, line| {
            let line = String::from_utf8_lossy(line);
            Some(format!("{{\"number\":{number},\"record\":{line}}}").into_bytes())
        })
    }

    /// The same as entries of an HTTP Archive.
    pub fn entries(&self, numbers: &[(u64, u64)]) -> Part {
        self.part(numbers, |_, line| entry(line))
    }

    fn part(&self, numbers: &[(u64, u64)], make: impl Fn(u64, &[u8]) -> Option<Vec<u8>>) -> Part {
        let mut part = Part { lines: Vec::new(), until: 0 };
        let mut read = 0;
        self.each(numbers, |number, line| {
            if let Some(made) = make(number, line) {
                part.lines.extend_from_slice(&made);
                part.lines.push(b'\n');
            }
            part.until = number;
            read += line.len();
            read < READ
        });
        part
    }

    /// Shows the records of these numbers that are there, without their line ends, until `show` has enough. The lock is not
    /// held meanwhile.
    fn each(&self, numbers: &[(u64, u64)], mut show: impl FnMut(u64, &[u8]) -> bool) {
        let mut current: Option<(Arc<Block>, Vec<u8>)> = None;
        for (first, last) in numbers {
            let mut number = *first;
            while number <= *last {
                if current.as_ref().is_none_or(|(block, _)| !block.has(number)) {
                    let Some(block) = self.block(number) else { break };
                    let text = block.text();
                    current = Some((block, text));
                }
                let Some((block, text)) = &current else { break };
                // What stood between has been dropped.
                number = number.max(block.first);
                if number > *last {
                    break;
                }
                if let Some(line) = block.line(text, number)
                    && !show(number, line)
                {
                    return;
                }
                number += 1;
            }
        }
    }
}

impl Part {
    /// The lines, behind one that says how far they go.
    pub fn with_place(self) -> Vec<u8> {
        let mut text = json!({ "until": self.until }).to_string().into_bytes();
        text.push(b'\n');
        text.extend_from_slice(&self.lines);
        text
    }
}

/// How large blocks get: large enough to pack well, and small beside the whole.
fn block_size(most: usize) -> usize {
    (64 * 1024).min(most / 16)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// The least memory that is taken.
    const LEAST: usize = 1024 * 1024;

    fn line(number: u64, size: usize) -> Vec<u8> {
        let pad = "x".repeat(size);
        format!(
            "{{\"schema\":\"authtap/1\",\"id\":\"{number}\",\"time\":\"2026-11-24T12:00:00Z\",\"request\":\
             {{\"method\":\"GET\",\"target\":\"/{number}\"}},\"pad\":\"{pad}\"}}\n"
        )
        .into_bytes()
    }

    fn numbers(part: &Part) -> Vec<u64> {
        let lines = part.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["number"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn it_stays_within_its_bytes_and_counts_what_it_drops() {
        let ring = Ring::new(LEAST, false, |_, _| {});
        for number in 1..=3_000 {
            ring.put(&line(number, (number as usize * 37) % 3_000));
            assert!(ring.held().bytes <= LEAST, "{:?}", ring.held());
        }
        let held = ring.held();
        assert!(held.dropped > 1_000 && held.bytes > LEAST / 2, "{held:?}");
        assert_eq!((held.next, held.oldest), (3_001, held.dropped + 1));
        let rows = String::from_utf8(ring.rows(0).lines).unwrap();
        assert_eq!(rows.lines().count() as u64, 3_000 - held.dropped);
        assert!(rows.starts_with(&format!("[{},", held.oldest)), "{}", &rows[..80]);
    }

    #[test]
    fn a_record_that_is_larger_than_all_leaves_nothing_behind_for_long() {
        let ring = Ring::new(LEAST, false, |_, _| {});
        ring.put(&line(1, 10));
        ring.put(&line(2, 2 * LEAST));
        assert_eq!((ring.held().dropped, ring.held().oldest), (2, 3));
        ring.put(&line(3, 10));
        assert_eq!(numbers(&ring.records(&[(1, 9)])), [3]);
    }

    #[test]
    fn packing_makes_room_and_changes_no_record() {
        let ring = Ring::new(LEAST, false, |_, _| {});
        for number in 1..=400 {
            ring.put(&line(number, 600));
        }
        let (before, text) = (ring.held(), ring.records(&[(1, 400)]).lines);
        let sealed = ring.state().blocks.len();
        (0..sealed).for_each(|_| assert!(ring.pack_one()));
        let after = ring.held();
        assert!(after.bytes < before.bytes / 2, "{before:?} {after:?}");
        assert_eq!(ring.records(&[(1, 400)]).lines, text);
        assert_eq!(numbers(&ring.records(&[(7, 9), (3, 3), (398, 1_000)])), [7, 8, 9, 3, 398, 399, 400]);
        ring.end();
        assert!(!ring.pack_one());
    }

    #[test]
    fn what_is_forgotten_is_gone_and_counted() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = told.clone();
        let ring = Ring::new(LEAST, true, move |latest, shows_secrets| {
            hears.lock().unwrap().push((latest, shows_secrets));
        });
        for number in 1..=400 {
            ring.put(&line(number, 600));
        }
        assert!(ring.pack_one());
        ring.tell();
        assert!(ring.shows_secrets());
        ring.forget();
        assert!(!ring.shows_secrets());
        assert_eq!(*told.lock().unwrap(), [(400, true), (400, false)]);
        assert_eq!((ring.held().dropped, ring.held().oldest, ring.held().next), (400, 401, 401));
        assert!(ring.records(&[(1, 1_000)]).lines.is_empty());
        ring.put(&line(401, 600));
        assert_eq!(numbers(&ring.records(&[(1, 1_000)])), [401]);
    }

    #[test]
    fn those_who_wait_are_told_once_of_what_came() {
        let told = Arc::new(AtomicU64::new(0));
        let count = told.clone();
        let ring = Ring::new(LEAST, false, move |latest, _| {
            count.fetch_add(100 + latest, Ordering::Relaxed);
        });
        ring.tell();
        assert_eq!(told.load(Ordering::Relaxed), 0);
        ring.put(&line(1, 1));
        ring.put(&line(2, 1));
        ring.tell();
        ring.tell();
        assert_eq!(told.load(Ordering::Relaxed), 102);
    }

    #[test]
    fn rows_and_records_come_in_parts() {
        let ring = Ring::new(16 * LEAST, false, |_, _| {});
        for number in 1..=2_500 {
            ring.put(&line(number, 100));
        }
        let first = ring.rows(0);
        assert_eq!(first.until, 2_000);
        assert_eq!(ring.rows(first.until).until, 2_500);
        assert_eq!(ring.rows(2_500).until, 2_500);
        let large = Ring::new(64 * LEAST, false, |_, _| {});
        (1..=100).for_each(|number| large.put(&line(number, 100_000)));
        let part = large.records(&[(1, 100)]);
        assert!(part.until < 50 && part.lines.len() < READ + 200_000, "{}", part.until);
    }
}
