//! What a program and its children take: processor time and memory, read from /proc.

use std::fs;
use std::time::Duration;

/// Kernels of Linux count processor time for programs in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A process with all processes under it.
#[derive(Clone, Copy)]
pub(crate) struct Tree(pub(crate) u32);

impl Tree {
    /// The processor time that it has taken so far, its kernel's included.
    pub(crate) fn cpu(self) -> Duration {
        let ticks: u64 = self.processes().into_iter().filter_map(ticks_of).sum();
        TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// The memory that it holds, in KiB.
    pub(crate) fn memory(self) -> u64 {
        self.processes().into_iter().filter_map(|process| status_of(process, "VmRSS:")).sum()
    }

    /// The most memory that it held at once, in KiB.
    pub(crate) fn peak_memory(self) -> u64 {
        self.processes().into_iter().filter_map(|process| status_of(process, "VmHWM:")).sum()
    }

    fn processes(self) -> Vec<u32> {
        let mut all = vec![self.0];
        let mut at = 0;
        while let Some(parent) = all.get(at).copied() {
            at += 1;
            let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
            for thread in threads.flatten() {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        all
    }
}

/// utime and stime, which are the 14th and 15th fields; behind the name they are the 12th and 13th.
fn ticks_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

fn status_of(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
