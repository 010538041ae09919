//! The built program, run as a user runs it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::DEADLINE;
use super::canaries::assert_no_secret;
use super::process::Process;

/// A running `authtap` with one or more taps, each on a port of its own, and a record file.
///
/// When it stops, in whatever way, all that it wrote is searched for the secrets of the tests.
pub struct Tap {
    process: Process,
    addresses: Vec<Address>,
    dir: TempDir,
    shows_secrets: bool,
}

/// One tap of the process, as its banner announces it.
#[derive(Clone, Debug)]
pub struct Address {
    /// `http`, `https`, or `unix`, of which the address is none.
    pub scheme: String,
    pub addr: SocketAddr,
    /// The whole line.
    pub line: String,
}

/// How a tap ended.
#[derive(Debug)]
pub struct Stopped {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub records: Vec<Value>,
}

impl Tap {
    /// One tap before `upstream`.
    pub fn start(upstream: &str) -> Self {
        Self::start_with(upstream, &[])
    }

    /// One tap before `upstream`, with further options.
    pub fn start_with(upstream: &str, options: &[&str]) -> Self {
        Self::run(options, &[&format!("127.0.0.1:0={upstream}")])
    }

    /// Any options and any `TAP` arguments. With a `--record` of the test's own there are no records to ask for.
    pub fn run(options: &[&str], taps: &[&str]) -> Self {
        Self::run_in(&[], options, taps)
    }

    /// The same, with these variables in its environment.
    pub fn run_in(variables: &[(&str, &str)], options: &[&str], taps: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command();
        command.envs(variables.iter().copied());
        if !options.contains(&"--record") {
            command.arg("--record").arg(dir.path().join("record.jsonl"));
        }
        command.args(options).args(taps);
        let shown = format!("{command:?}");
        let process = Process::spawn(command).unwrap_or_else(|error| panic!("start {shown}: {error}"));
        let addresses = process.stderr.wait_until(DEADLINE, |text| {
            let found = addresses(text);
            (found.len() >= taps.len()).then_some(found)
        });
        let Some(addresses) = addresses else {
            panic!(
                "{shown} announced no address for each of its {} taps\nstdout: {}\nstderr: {}",
                taps.len(),
                process.stdout.text(),
                process.stderr.text()
            );
        };
        Self {
            process,
            addresses,
            dir,
            shows_secrets: options.iter().any(|option| option.starts_with("--show-secrets")),
        }
    }

    /// The address of the first tap.
    pub fn addr(&self) -> SocketAddr {
        self.addresses[0].addr
    }

    /// All taps, in the order of the banner.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The address of the first tap with `path` behind it.
    pub fn url(&self, path: &str) -> String {
        let Address { scheme, addr, .. } = &self.addresses[0];
        format!("{scheme}://{addr}{path}")
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn stdout(&self) -> String {
        self.process.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.process.stderr.text()
    }

    pub fn record_file(&self) -> PathBuf {
        self.dir.path().join("record.jsonl")
    }

    /// The records, as soon as there are `n`; more than `n` is a failure.
    pub fn records(&self, n: usize) -> Vec<Value> {
        self.records_within(n, DEADLINE)
    }

    /// As [`Tap::records`], with a deadline of one's own.
    pub fn records_within(&self, n: usize, limit: Duration) -> Vec<Value> {
        let end = Instant::now() + limit;
        loop {
            let records = self.records_now();
            if records.len() >= n {
                assert_eq!(records.len(), n, "more exchanges were recorded than there were: {records:#?}");
                return records;
            }
            assert!(
                Instant::now() < end,
                "{n} records awaited, {} there: {records:#?}\nstdout: {}\nstderr: {}",
                records.len(),
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The only record.
    pub fn record(&self) -> Value {
        self.records(1).remove(0)
    }

    /// The records that are written out by now.
    pub fn records_now(&self) -> Vec<Value> {
        let bytes = fs::read(self.record_file()).unwrap_or_default();
        let text = String::from_utf8(bytes).expect("a record file is UTF-8");
        text.split_inclusive('\n')
            // What has no line end yet is still being written.
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}")))
            .collect()
    }

    /// The most memory that it has held until now, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM in status");
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Ends it with no chance to say a last word, and gives what it had written by then.
    pub fn kill(mut self) -> Vec<u8> {
        self.signal("KILL");
        self.process.wait(DEADLINE);
        fs::read(self.record_file()).unwrap_or_default()
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Ends it as a service manager does, and checks what it wrote.
    pub fn stop(self) -> Stopped {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for it to end by itself or after [`Tap::signal`].
    pub fn wait(mut self) -> Stopped {
        let status = self.process.wait(DEADLINE);
        Stopped {
            code: status.code(),
            stdout: self.process.stdout.whole(DEADLINE),
            stderr: self.process.stderr.whole(DEADLINE),
            records: self.records_now(),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.process.end();
        if self.shows_secrets || thread::panicking() {
            return;
        }
        assert_no_secret(&self.process.stdout.whole(DEADLINE));
        assert_no_secret(&self.process.stderr.whole(DEADLINE));
        assert_no_secret(&String::from_utf8_lossy(&fs::read(self.record_file()).unwrap_or_default()));
    }
}

/// The program without the settings of whoever runs the tests.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authtap"));
    command.env_clear();
    for kept in ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// Finds `http://ADDRESS  ->` in the lines that are whole.
fn addresses(banner: &str) -> Vec<Address> {
    let whole = banner.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.filter_map(|line| address(line.trim_end())).collect()
}

fn address(line: &str) -> Option<Address> {
    let (before, _) = line.split_once("->")?;
    if before.split_whitespace().any(|word| word.starts_with("unix:")) {
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        return Some(Address { scheme: "unix".to_owned(), addr, line: line.to_owned() });
    }
    let url = before.split_whitespace().find(|word| word.starts_with("http://") || word.starts_with("https://"))?;
    let (scheme, rest) = url.split_once("://")?;
    let addr = rest.trim_end_matches('/').parse().ok()?;
    Some(Address { scheme: scheme.to_owned(), addr, line: line.to_owned() })
}
