//! Where text goes: a file or stdout, written by a thread of its own.
//!
//! Whoever writes never waits. When the thread can't keep up, because a reader stopped or a disk is full, lines are
//! dropped and counted; a disk that has room again is written to again. A file can be opened anew while it is written, so
//! that somebody may move what was written away.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::archive::Archive;
use super::counted;
use crate::error::Error;
use crate::process::{self, NO_LINK};

/// Prints all of a text to stdout. A reader that has seen enough is fine.
///
/// # Errors
/// Where nothing can be written.
pub fn print(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::run(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Bytes after which a batch goes to the thread even if more is to come.
const BATCH: usize = 64 * 1024;

/// Batches that may wait; together with [`BATCH`] this bounds the memory of a stopped reader.
const BATCHES: usize = 128;

/// How long a full disk is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a file on which nothing is written looks whether it is to be opened anew.
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of the program waits for a reader that does not read.
const GOODBYE: Duration = Duration::from_secs(2);

/// Batches that were written and whose room is used again.
const SPARE: usize = 4;

/// A place that lines go to.
pub struct Output {
    batch: Vec<u8>,
    sender: Option<SyncSender<Batch>>,
    spare: Receiver<Vec<u8>>,
    ended: Receiver<()>,
    counts: Arc<Counts>,
    reopening: Reopening,
    name: String,
}

/// Asks an output to open its file anew. What is there keeps its lines whole, and what comes later is in the new file.
#[derive(Clone, Default)]
pub struct Reopening(Arc<AtomicBool>);

impl Reopening {
    /// Asks; it is done before the next lines are written, and at the latest a second later.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn was_asked(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Lines on their way.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    /// How many they are.
    lines: u64,
}

/// Opens a place again.
type Open<W> = Box<dyn FnMut() -> io::Result<W> + Send>;

/// Lines, counted by both threads.
#[derive(Default)]
struct Counts {
    lost: AtomicU64,
    /// Handed over, and neither written nor lost so far.
    waiting: AtomicU64,
}

impl Output {
    /// Lines to the end of a file, which is made readable for its owner alone if it is new. A symbolic link is not followed:
    /// who may write into the folder could lead the record elsewhere.
    ///
    /// # Errors
    /// What the operating system says when the file can't be opened or written to.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let (file, within_line) = open(path)?;
        let path = path.to_owned();
        let name = format!("the record {}", path.display());
        let reopen: Open<File> = Box::new(move || open(&path).map(|(file, _)| file));
        Self::start_with(name, file, within_line, Some(reopen))
    }

    /// Records to an HTTP Archive, which is readable for its owner alone if it is new.
    ///
    /// # Errors
    /// What the operating system says when the file can't be opened or written to, and where it is none that authtap wrote.
    pub fn to_archive(path: &Path) -> io::Result<Self> {
        let archive = Archive::open(path)?;
        let path = path.to_owned();
        let name = format!("the archive {}", path.display());
        let reopen: Open<Archive> = Box::new(move || Archive::open(&path));
        Self::start_with(name, archive, false, Some(reopen))
    }

    /// Lines to stdout.
    ///
    /// # Errors
    /// What the operating system says when a thread can't be started.
    pub fn to_stdout() -> io::Result<Self> {
        Self::start("stdout".to_owned(), io::stdout())
    }

    /// Lines to stderr, where stdout belongs to somebody else.
    ///
    /// # Errors
    /// What the operating system says when a thread can't be started.
    pub fn to_stderr() -> io::Result<Self> {
        Self::start("stderr".to_owned(), io::stderr())
    }

    /// Lines to anything.
    ///
    /// # Errors
    /// What the operating system says when a thread can't be started.
    pub fn start(name: String, sink: impl Write + Send + 'static) -> io::Result<Self> {
        Self::start_with(name, sink, false, None)
    }

    fn start_with<W: Write + Send + 'static>(
        name: String,
        sink: W,
        within_line: bool,
        reopen: Option<Open<W>>,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Batch>(BATCHES);
        let (written, spare) = sync_channel(SPARE);
        let (tell, ended) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let reopening = Reopening::default();
        let asked = reopening.clone();
        let own_name = name.clone();
        let mut writer =
            Writer { name, sink, counts: counts.clone(), failed: None, lost_before: 0, within_line, reopen };
        thread::Builder::new().name("output".to_owned()).spawn(move || {
            process::step_back();
            while let Some(batch) = writer.next(&receiver) {
                if asked.was_asked() {
                    writer.open_anew();
                }
                writer.write(&batch);
                writer.counts.waiting.fetch_sub(batch.lines, Ordering::Relaxed);
                if (BATCH..=2 * BATCH).contains(&batch.text.capacity()) {
                    let mut room = batch.text;
                    room.clear();
                    // Where there is enough of it, it is given back.
                    let _ = written.try_send(room);
                }
            }
            // What it holds back goes out with it.
            drop(writer);
            // Nobody listens any more when the program did not want to wait.
            let _ = tell.send(());
        })?;
        Ok(Output { batch: Vec::new(), sender: Some(sender), spare, ended, counts, reopening, name: own_name })
    }

    /// The way to have its file opened anew, where it is one.
    pub fn reopening(&self) -> Reopening {
        self.reopening.clone()
    }

    /// Adds whole lines.
    pub fn put(&mut self, lines: &[u8]) {
        self.batch.extend_from_slice(lines);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands over what was added.
    pub fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let next = self.spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(self.batch.len()));
        let text = std::mem::replace(&mut self.batch, next);
        let lines = lines_in(&text);
        self.counts.waiting.fetch_add(lines, Ordering::Relaxed);
        if let Some(sender) = &self.sender
            && sender.try_send(Batch { text, lines }).is_err()
        {
            self.counts.waiting.fetch_sub(lines, Ordering::Relaxed);
            self.counts.lost.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// How many lines were lost so far.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Writes what is left, as far as the reader takes it. Gives the number of lines that were lost in all.
    pub fn finish(mut self) -> u64 {
        self.flush();
        self.sender = None;
        if self.ended.recv_timeout(GOODBYE).is_err() {
            tracing::warn!("{} did not take its last lines in time", self.name);
            return self.lost() + self.counts.waiting.load(Ordering::Relaxed);
        }
        self.lost()
    }
}

/// Opens a file to write at its end. Says as well whether it ends within a line, as it does where whoever wrote it last was
/// killed.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(NO_LINK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok((file, false));
    }
    warn_of_other_readers(path, &metadata);
    let mut last = [b'\n'];
    if let (Some(at), Ok(written)) = (metadata.len().checked_sub(1), File::open(path)) {
        // What can't be read can't be looked at; the worst that comes of it is one broken line.
        let _ = written.read_exact_at(&mut last, at);
    }
    Ok((file, last != [b'\n']))
}

pub(super) fn warn_of_other_readers(path: &Path, metadata: &Metadata) {
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!("others than its owner may read or write {}; chmod 600 it", path.display());
    }
}

struct Writer<W> {
    name: String,
    sink: W,
    counts: Arc<Counts>,
    failed: Option<Instant>,
    /// The number of lines that were lost when writing failed.
    lost_before: u64,
    /// Whether the last thing written was a part of a line.
    within_line: bool,
    reopen: Option<Open<W>>,
}

impl<W: Write> Writer<W> {
    /// The next batch; nothing when there will be none. An empty one says that it is time to look around.
    fn next(&self, receiver: &Receiver<Batch>) -> Option<Batch> {
        if self.reopen.is_none() {
            return receiver.recv().ok();
        }
        match receiver.recv_timeout(LOOK) {
            Ok(batch) => Some(batch),
            Err(RecvTimeoutError::Timeout) => Some(Batch::default()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn open_anew(&mut self) {
        let Some(reopen) = &mut self.reopen else { return };
        match reopen() {
            Ok(sink) => {
                self.sink = sink;
                self.within_line = false;
                tracing::info!("{} was opened anew", self.name);
            }
            Err(error) => tracing::error!("cannot open {} anew: {error}; the old file is written on", self.name),
        }
    }

    fn write(&mut self, batch: &Batch) {
        let text = batch.text.as_slice();
        if text.is_empty() {
            return;
        }
        if self.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            self.counts.lost.fetch_add(batch.lines, Ordering::Relaxed);
            return;
        }
        let mut left = text;
        if self.within_line && self.try_write(&mut &b"\n"[..]).is_ok() {
            self.within_line = false;
        }
        match self.try_write(&mut left) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    let lost = self.counts.lost.load(Ordering::Relaxed).saturating_sub(self.lost_before);
                    let lines = counted(lost, "line was", "lines were");
                    tracing::warn!("{} can be written again; {lines} lost", self.name);
                }
            }
            Err(error) => {
                let written = text.len() - left.len();
                if let Some(last) = written.checked_sub(1).and_then(|at| text.get(at)) {
                    self.within_line = *last != b'\n';
                }
                let lost_before = self.counts.lost.fetch_add(lines_in(left), Ordering::Relaxed);
                if self.failed.replace(Instant::now()).is_none() {
                    self.lost_before = lost_before;
                    tracing::error!(
                        "cannot write {}: {error}; traffic goes on, what is lost is counted, and it is tried again",
                        self.name
                    );
                }
            }
        }
    }

    fn try_write(&mut self, left: &mut &[u8]) -> io::Result<()> {
        while !left.is_empty() {
            match self.sink.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => *left = left.get(size..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sink.flush()
    }
}

fn lines_in(batch: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', batch).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A disk that is full after some bytes.
    struct Disk {
        room: usize,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let size = bytes.len().min(self.room);
            if size == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= size;
            self.written.lock().unwrap().extend_from_slice(&bytes[..size]);
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_lines_and_counts_them() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut output = Output::start("a disk".to_owned(), Disk { room: 6, written: written.clone() }).unwrap();
        output.put(b"one\ntwo\nthree\n");
        output.flush();
        output.put(b"four\n");
        assert_eq!(output.finish(), 3);
        assert_eq!(*written.lock().unwrap(), b"one\ntw");
    }

    #[test]
    fn rooms_that_are_used_again_bring_nothing_back() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { room: usize::MAX, written: written.clone() };
        let mut output = Output::start("a disk".to_owned(), disk).unwrap();
        let mut expected = Vec::new();
        for number in 0..20 * BATCH / 100 {
            let line = format!("{number:099}\n");
            output.put(line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
            // So many batches never wait at once.
            while output.counts.waiting.load(Ordering::Relaxed) > 2 * BATCH as u64 / 100 {
                thread::yield_now();
            }
        }
        assert_eq!(output.finish(), 0);
        assert!(*written.lock().unwrap() == expected, "other bytes than those that were put");
    }

    /// A reader that does not read until it is told to.
    struct Stopped(Receiver<()>);

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_takes_at_the_end_is_lost() {
        let (_go, wait): (Sender<()>, _) = channel();
        let mut output = Output::start("a pipe".to_owned(), Stopped(wait)).unwrap();
        output.put(b"one\ntwo\n");
        assert_eq!(output.finish(), 2);
    }

    #[test]
    fn a_stopped_reader_holds_nobody_up() {
        let (go, wait): (Sender<()>, _) = channel();
        let mut output = Output::start("a pipe".to_owned(), Stopped(wait)).unwrap();
        let batches = BATCHES as u64 + 10;
        for _ in 0..batches {
            output.put(b"line\n");
            output.flush();
        }
        let lost = output.lost();
        assert!((9..=10).contains(&lost), "one batch may be with the writer: {lost}");
        for _ in 0..batches {
            go.send(()).unwrap();
        }
        assert_eq!(output.finish(), lost);
    }

    /// A place whose writing is at fault itself.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("a fault of the tests' own")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_fault_in_a_writer_is_a_loss_and_nothing_else() {
        let mut output = Output::start("a broken place".to_owned(), Broken).unwrap();
        for _ in 0..3 {
            output.put(b"line\n");
            output.flush();
        }
        assert_eq!(output.finish(), 3);
    }
}
