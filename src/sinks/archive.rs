//! An HTTP Archive that is whole while it grows.
//!
//! Each write begins where the closing brackets stand, and brings new entries with the closing behind them, in one piece: a
//! reader who opens the file sees an archive that is complete so far, and so does whoever comes after the program was
//! killed. The system copies such a piece page by page: who reads at just that moment, or kills in it, may get an archive
//! that breaks off within its last entries. It is whole at the second look, or when it is taken up again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::output::warn_of_other_readers;
use crate::exchange::har::recorded::{BETWEEN, CLOSING, MARK, OPENING, entry};
use crate::process::NO_LINK;

/// Bytes that are looked through at once for where the last whole entry ends.
const BLOCK: u64 = 64 * 1024;

/// Takes records, one a line, and writes them as entries.
pub(super) struct Archive {
    file: File,
    /// Where the last entry ends and the closing begins.
    end: u64,
    is_empty: bool,
    /// Whether a write failed and what it left could not be taken away.
    is_torn: bool,
}

impl Archive {
    /// Opens an archive, new or begun by an earlier run. A symbolic link is not followed: who may write into the folder could
    /// lead it elsewhere.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(NO_LINK);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(invalid("it is no regular file"));
        }
        warn_of_other_readers(path, &metadata);
        Self::of(file)
    }

    fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length == 0 {
            file.write_all_at([OPENING, CLOSING].concat().as_bytes(), 0)?;
            return Ok(Archive { file, end: OPENING.len() as u64, is_empty: true, is_torn: false });
        }
        let mut first = vec![0; length.min(256) as usize];
        file.read_exact_at(&mut first, 0)?;
        let start = memchr::memchr(b'\n', &first).filter(|_| first.starts_with(MARK.as_bytes()));
        let Some(start) = start else { return Err(invalid("it is there already, and is no archive of authtap's")) };
        let start = start as u64;
        let mut last = vec![0; CLOSING.len()];
        let closing = length.checked_sub(last.len() as u64).filter(|at| *at >= start);
        if let Some(at) = closing {
            file.read_exact_at(&mut last, at)?;
        }
        if let (Some(end), true) = (closing, last == CLOSING.as_bytes()) {
            return Ok(Archive { file, end, is_empty: end == start, is_torn: false });
        }
        let end = last_whole_entry(&file, start, length)?;
        let archive = Archive { file, end: end.unwrap_or(start), is_empty: end.is_none(), is_torn: false };
        archive.close()?;
        tracing::warn!("the archive broke off within an entry; it goes on behind the last one that is surely whole");
        Ok(archive)
    }

    /// Writes the closing behind the last entry, and nothing behind it.
    fn close(&self) -> io::Result<()> {
        self.file.write_all_at(CLOSING.as_bytes(), self.end)?;
        self.file.set_len(self.end + CLOSING.len() as u64)
    }

    fn is_as_it_was_left(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == self.end + CLOSING.len() as u64)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The end of the last entry with another one begun behind it, between both places.
fn last_whole_entry(file: &File, start: u64, length: u64) -> io::Result<Option<u64>> {
    let mut to = length;
    while to > start {
        let from = to.saturating_sub(BLOCK).max(start);
        let mut block = vec![0; (to - from) as usize];
        file.read_exact_at(&mut block, from)?;
        if let Some(at) = memchr::memmem::rfind(&block, BETWEEN.as_bytes()) {
            return Ok(Some(from + at as u64));
        }
        // What is searched for may lie on both sides of the cut.
        to = if from == start { start } else { from + 1 };
    }
    Ok(None)
}

impl Write for Archive {
    /// Takes all of the lines, or none.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.is_torn {
            self.close()?;
            self.is_torn = false;
        }
        if !self.is_as_it_was_left()? {
            *self = Self::of(self.file.try_clone()?)?;
        }
        let mut text = Vec::with_capacity(2 * lines.len());
        for entry in lines.split(|byte| *byte == b'\n').filter_map(entry) {
            let is_first = self.is_empty && text.is_empty();
            text.extend_from_slice(if is_first { b"\n" } else { BETWEEN.as_bytes() });
            text.extend_from_slice(&entry);
        }
        let end = self.end + text.len() as u64;
        text.extend_from_slice(CLOSING.as_bytes());
        if let Err(error) = self.file.write_all_at(&text, self.end) {
            // A part of it may be there.
            self.is_torn = self.close().is_err();
            return Err(error);
        }
        self.is_empty &= end == self.end;
        self.end = end;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::exchange::har;

    fn line(id: u32) -> String {
        format!(
            r#"{{"schema":"authtap/1","id":"{id}","time":"2026-11-24T12:00:00Z","request":{{"method":"GET","target":"/{id}"}}}}"#
        ) + "\n"
    }

    /// The ids of the entries, in an archive that has to be whole.
    fn ids(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let archive: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let read = har::read(&text).unwrap();
        let entries = archive["log"]["entries"].as_array().unwrap();
        assert_eq!(read.records.len(), entries.len());
        entries.iter().map(|entry| entry["_authtap"]["id"].as_str().unwrap().to_owned()).collect()
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.har");
        (dir, path)
    }

    #[test]
    fn it_is_whole_after_each_write_and_goes_on_in_the_next_run() {
        let (_dir, path) = file();
        let mut archive = Archive::open(&path).unwrap();
        assert!(ids(&path).is_empty());
        archive.write_all((line(1) + &line(2)).as_bytes()).unwrap();
        assert_eq!(ids(&path), ["1", "2"]);
        archive.write_all(line(3).as_bytes()).unwrap();
        drop(archive);
        Archive::open(&path).unwrap().write_all(line(4).as_bytes()).unwrap();
        assert_eq!(ids(&path), ["1", "2", "3", "4"]);
    }

    #[test]
    fn one_that_broke_off_anywhere_is_taken_up() {
        let (_dir, path) = file();
        Archive::open(&path).unwrap().write_all((line(1) + &line(2) + &line(3)).as_bytes()).unwrap();
        let whole = fs::read(&path).unwrap();
        let opening = OPENING.len() + 1;
        for length in opening..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            Archive::open(&path).unwrap().write_all(line(9).as_bytes()).unwrap();
            let ids = ids(&path);
            let (last, before) = ids.split_last().unwrap();
            assert_eq!(last, "9");
            assert!(before.is_empty() || before == ["1"] || before == ["1", "2"], "{length}: {ids:?}");
        }
        // One entry that is longer than what is looked through at once.
        let long = line(2).replace("/2", &"/2".repeat(BLOCK as usize));
        fs::remove_file(&path).unwrap();
        Archive::open(&path).unwrap().write_all((line(1) + &long).as_bytes()).unwrap();
        let length = fs::metadata(&path).unwrap().len() - 9;
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        Archive::open(&path).unwrap().write_all(line(3).as_bytes()).unwrap();
        assert_eq!(ids(&path), ["1", "3"]);
    }

    #[test]
    fn one_that_is_cut_while_it_is_written_begins_anew() {
        let (_dir, path) = file();
        let mut archive = Archive::open(&path).unwrap();
        archive.write_all(line(1).as_bytes()).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        archive.write_all(line(2).as_bytes()).unwrap();
        assert_eq!(ids(&path), ["2"]);
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let (_dir, path) = file();
        for text in ["precious\n", "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"Firefox\"}}}\n"] {
            fs::write(&path, text).unwrap();
            assert!(Archive::open(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(Archive::open(&path).is_err() && !path.with_file_name("elsewhere").exists());
    }
}
