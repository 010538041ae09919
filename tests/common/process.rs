//! Child processes: what they print is collected, and they never outlive their test.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{read_once, wait_for};

/// A running program with nothing on its standard input.
pub struct Process {
    child: Child,
    pub stdout: Output,
    pub stderr: Output,
}

impl Process {
    pub fn spawn(mut command: Command) -> std::io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = Output::collect(child.stdout.take().unwrap());
        let stderr = Output::collect(child.stderr.take().unwrap());
        Ok(Self { child, stdout, stderr })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn signal(&self, name: &str) {
        // The shell's own `kill`, since a bare machine has no other.
        let _ = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status();
    }

    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let id = self.id();
        wait_for(&format!("the end of process {id}"), limit, || self.has_ended())
    }

    /// Asks it to end, and makes it end if it doesn't. A server that is asked takes its workers along.
    pub fn end(&mut self) {
        if self.has_ended().is_some() {
            return;
        }
        self.signal("TERM");
        let patience = Instant::now() + Duration::from_secs(5);
        while self.has_ended().is_none() {
            if Instant::now() > patience {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a program has printed so far.
#[derive(Clone)]
pub struct Output(Arc<(Mutex<Printed>, Condvar)>);

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    closed: bool,
}

impl Output {
    fn collect(mut pipe: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let shared = output.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let got = read_once(&mut pipe, &mut buffer).unwrap_or(0);
                let (printed, changed) = &*shared.0;
                let mut printed = printed.lock().unwrap();
                printed.bytes.extend_from_slice(&buffer[..got]);
                printed.closed = got == 0;
                changed.notify_all();
                if got == 0 {
                    return;
                }
            }
        });
        output
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap().bytes).into_owned()
    }

    /// Waits until `look` finds something in the text, the text has ended, or time is up.
    pub fn wait_until<T>(&self, limit: Duration, mut look: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let (printed, changed) = &*self.0;
        let end = Instant::now() + limit;
        let mut printed = printed.lock().unwrap();
        loop {
            if let Some(found) = look(&String::from_utf8_lossy(&printed.bytes)) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if printed.closed || left.is_zero() {
                return None;
            }
            printed = changed.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// All of it, once the program has closed its end.
    pub fn whole(&self, limit: Duration) -> String {
        let (printed, changed) = &*self.0;
        let printed = printed.lock().unwrap();
        let (printed, _) = changed.wait_timeout_while(printed, limit, |printed| !printed.closed).unwrap();
        String::from_utf8_lossy(&printed.bytes).into_owned()
    }
}
