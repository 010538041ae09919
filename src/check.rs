//! `authtap check`: recorded traffic, diagnosed like live traffic.
//!
//! An HTTP Archive has what was sent, and every rule is run over it, in the order of its requests. authtap's own records
//! have their secrets masked and carry the diagnosis that was made when the bytes were there; that is what is told.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::FingerprintKey;
use crate::cli::{CheckOptions, FailOn, LogFormat};
use crate::config::GivenConfig;
use crate::diagnose::Diagnoser;
use crate::error::{self, Error};
use crate::exchange::View;
use crate::exchange::har::{self, Archive};
use crate::exchange::record::Record;
use crate::exchange::record::read::{Read, ReadFinding};
use crate::exchange::redact::Redactor;
use crate::keys::Keys;
use crate::rules::{At, Certainty, Evidence, Finding, NOT_DIAGNOSED, Severity, find};
use crate::sinks::console::{self, Console};
use crate::sinks::filter::{Filter, Heads};
use crate::sinks::output::print;
use crate::sinks::shown::Shown;
use crate::sinks::summary::Summary;
use crate::sinks::{Lost, counted, heads, recorded, wrap};

/// The largest file that is read; a browser's archive of a whole day is smaller.
const LARGEST: u64 = 1 << 30;

/// What could not be read is told up to here for each file, and then counted.
const FAULTS: usize = 20;

const WIDTH: usize = 80;

/// What was found in all files.
struct Checked {
    text: String,
    console: Console,
    summary: Summary,
    number: u64,
    worst: Option<Severity>,
    /// When the first request began, and when the last one did.
    span: Option<(Timestamp, Timestamp)>,
    faults: Vec<String>,
    format: LogFormat,
    filter: Filter,
    shows_heads: bool,
    redactor: Rc<Redactor>,
    /// What was given of the service, where anything was.
    keys: Option<Keys>,
}

/// Checks the files and prints what came of it. Gives the exit code.
///
/// # Errors
/// What keeps it from starting: a file that can't be read, or that is no recording.
pub fn run(options: &CheckOptions) -> Result<u8, Error> {
    let key =
        FingerprintKey::random().map_err(|error| Error::run(format!("cannot get random bytes for a key: {error}")))?;
    let mut checked = Checked {
        text: String::new(),
        console: Console::new(console::is_coloured(), false),
        summary: Summary::default(),
        number: 0,
        worst: None,
        span: None,
        faults: Vec::new(),
        format: options.format,
        filter: Filter::parse("--filter", options.filter.as_deref().unwrap_or_default())?,
        shows_heads: options.verbose,
        keys: Keys::start(&GivenConfig::new(&options.given, None)?)?,
        redactor: Rc::new(Redactor::new(key, options.show.iter().cloned()).masking(options.redact.iter().cloned())),
    };
    for path in &options.files {
        checked.file(path)?;
    }
    checked.finish();
    print(&checked.text)?;
    for fault in &checked.faults {
        eprintln!("{fault}");
    }
    if fails(options.fail_on, checked.worst) {
        return Ok(error::FINDINGS);
    }
    Ok(if checked.faults.is_empty() { error::FINE } else { error::INCOMPLETE })
}

/// Whether the worst that was found is as bad as what the user calls a failure.
pub(crate) fn fails(fail_on: Option<FailOn>, worst: Option<Severity>) -> bool {
    let least = match fail_on.unwrap_or(FailOn::Never) {
        FailOn::Error => Some(Severity::Error),
        FailOn::Warning => Some(Severity::Warning),
        FailOn::Info => Some(Severity::Info),
        FailOn::Never => None,
    };
    least.is_some_and(|least| worst.is_some_and(|worst| worst >= least))
}

impl Checked {
    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let cannot = |why: String| {
            Error::run(format!("cannot read {}: {why}", path.display()))
                .advice("check the path, and who may read the file")
        };
        let size = fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
        if size > LARGEST {
            return Err(cannot(format!("it has {size} bytes, and {LARGEST} are the most")));
        }
        let bytes = fs::read(path).map_err(|error| cannot(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        match har::read(&text) {
            Some(archive) => self.archive(path, &archive),
            None => self.recording(path, &text)?,
        }
        Ok(())
    }

    fn archive(&mut self, path: &Path, archive: &Archive) {
        let creator = if archive.creator.is_empty() { "nobody who says so" } else { &archive.creator };
        let count = archive.exchanges.len() + archive.records.len();
        self.headline(path, count, &format!("written by {creator}"));
        let lines = archive.records.iter().enumerate().map(|(number, line)| (number + 1, line.as_str()));
        let (reads, mut faults) = read_records("record", lines);
        self.records(&reads, &mut faults);
        if let Some(why) = archive.sanitised {
            self.note(&format!(
                "This archive was sanitised: {why}. That a header is not there proves nothing here; challenges, statuses and \
                 dates still do."
            ));
        }
        let mut diagnoser = Diagnoser::default();
        if let Some(keys) = &self.keys {
            diagnoser.set_given(keys.given().clone());
        }
        let redactor = self.redactor.clone();
        for exchange in &archive.exchanges {
            let view = View::new(exchange, &redactor);
            if let Some(keys) = self.keys.as_mut()
                && keys.prepare(std::slice::from_ref(&view))
            {
                diagnoser.set_given(keys.given().clone());
            }
            let diagnosis = diagnoser.diagnose(&view);
            let shown = Shown::of(&view);
            if !self.filter.holds(&shown, &diagnosis.findings, std::slice::from_ref(&view)) {
                continue;
            }
            self.seen_at(exchange.time);
            if self.format == LogFormat::Json || self.shows_heads {
                let record = Record::new(&view, recorded(diagnosis.verdict(), &diagnosis.findings), Vec::new());
                self.line(&record.to_line());
            }
            self.tell(&shown, &diagnosis.findings);
        }
        faults.extend(archive.faults.iter().cloned());
        self.keep_faults(path, faults.iter().map(String::as_str));
    }

    fn recording(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let (reads, mut faults) = read_records("line", lines.filter(|(_, line)| !line.is_empty()));
        if reads.is_empty() {
            let why = faults.into_iter().next().unwrap_or_else(|| "it is empty".to_owned());
            return Err(Error::run(format!(
                "{} is neither an HTTP Archive nor authtap's record: {why}",
                path.display()
            ))
            .advice("a HAR file of a browser's developer tools, or what --record wrote"));
        }
        self.headline(path, reads.len(), "recorded by authtap");
        self.records(&reads, &mut faults);
        self.keep_faults(path, faults.iter().map(String::as_str));
        Ok(())
    }

    /// Tells of records with the diagnosis that they carry.
    fn records(&mut self, reads: &[(Read, &str)], faults: &mut Vec<String>) {
        let ids: HashSet<&str> = reads.iter().map(|(read, _)| read.id.as_str()).collect();
        let mut told: HashSet<(&str, &str)> = HashSet::new();
        let mut left_out = 0;
        for (read, line) in reads {
            let mut findings: Vec<Finding> = read.diagnosis.findings.iter().filter_map(finding).collect();
            let shown = Shown::of_record(read);
            if !self.filter.holds(&shown, &findings, read) {
                continue;
            }
            self.line(line.as_bytes());
            let unknown = read.diagnosis.findings.len() - findings.len();
            if unknown > 0 {
                faults.push(format!("{}: {unknown} findings of rules that this version does not have", read.id));
            }
            let is_left_out = read.diagnosis.verdict == NOT_DIAGNOSED && read.diagnosis.findings.is_empty();
            left_out += usize::from(is_left_out);
            // What several taps saw of one request is told once, with what the first of them saw.
            findings.retain(|finding| told.insert((&read.path_id, finding.rule.name)));
            let is_inner = read.parent_id.as_deref().is_some_and(|parent| ids.contains(parent));
            if !is_inner || findings.first().is_some_and(|finding| finding.severity > Severity::Info) {
                read.time.parse().into_iter().for_each(|time| self.seen_at(time));
                self.tell(&shown, &findings);
                if is_left_out {
                    self.summary.leave_out();
                }
            }
        }
        if left_out > 0 {
            let exchanges = counted(left_out, "exchange was", "exchanges were");
            faults.push(format!("{exchanges} recorded with --no-diagnosis: nobody looked for faults there"));
        }
    }

    /// The record of an exchange, in the form that was asked for.
    fn line(&mut self, record: &[u8]) {
        match self.format {
            LogFormat::Json => {
                self.text.push_str(String::from_utf8_lossy(record).trim_end());
                self.text.push('\n');
            }
            LogFormat::Text if self.shows_heads => self.text.push_str(&heads(record)),
            LogFormat::Text => {}
        }
    }

    fn seen_at(&mut self, time: Timestamp) {
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }

    fn tell(&mut self, shown: &Shown, findings: &[Finding]) {
        self.number += 1;
        self.worst = self.worst.max(findings.first().map(|finding| finding.severity));
        self.summary.add(shown, findings);
        // A file is looked through for what is wrong in it; what is not is in the count.
        let is_alarm = findings.first().is_some_and(|finding| finding.severity > Severity::Info);
        if self.format == LogFormat::Text && (is_alarm || self.shows_heads) {
            self.text.push_str(&self.console.exchange(shown, self.number, findings));
        }
    }

    fn headline(&mut self, path: &Path, count: usize, what: &str) {
        if self.format == LogFormat::Text {
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
            let line = format!("{name}   {}   {what}", counted(count, "exchange", "exchanges"));
            self.text.push_str(&crate::sinks::cut(&crate::sinks::printable(&line), WIDTH));
            self.text.push('\n');
        }
    }

    fn note(&mut self, note: &str) {
        if self.format == LogFormat::Text {
            for (number, line) in wrap(note, WIDTH - 2).into_iter().enumerate() {
                self.text.push_str(if number == 0 { "! " } else { "  " });
                self.text.push_str(&line);
                self.text.push('\n');
            }
        }
    }

    fn keep_faults<'f>(&mut self, path: &Path, faults: impl ExactSizeIterator<Item = &'f str>) {
        let more = faults.len().saturating_sub(FAULTS);
        self.faults.extend(faults.take(FAULTS).map(|fault| format!("{}: {fault}", path.display())));
        if more > 0 {
            self.faults.push(format!("{}: {more} more parts were not read", path.display()));
        }
    }

    fn finish(&mut self) {
        if self.format == LogFormat::Text {
            self.text.push_str(&self.console.unfold(true));
            let span = self.span.map(|(first, last)| last.duration_since(first));
            let span = span.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default();
            self.text.push_str(&self.summary.text(span, &Lost::default(), 0, 0));
        }
    }
}

impl Heads for Read {
    fn has_header(&self, name: &str) -> bool {
        Read::has_header(self, name)
    }

    fn agent_begins(&self, prefix: &str) -> bool {
        self.request_value("user-agent").is_some_and(|agent| agent.starts_with(prefix))
    }
}

/// The records of numbered lines, and what could not be read. `part` is what such a line is called.
fn read_records<'t>(part: &str, lines: impl Iterator<Item = (usize, &'t str)>) -> (Vec<(Read, &'t str)>, Vec<String>) {
    let (mut reads, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in lines {
        match Read::of_line(line) {
            Ok(read) => reads.push((read, line)),
            Err(why) => faults.push(format!("{part} {number}: {why}")),
        }
    }
    (reads, faults)
}

/// A finding as it was recorded; `None` where its rule is not known here.
fn finding(read: &ReadFinding) -> Option<Finding> {
    let rule = find(&read.rule)?;
    let certainty = match read.certainty.as_str() {
        "certain" => Certainty::Certain,
        "likely" => Certainty::Likely,
        _ => Certainty::Possible,
    };
    let severity = match read.severity.as_str() {
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        _ => Severity::Info,
    };
    let at = match read.at.as_str() {
        "client" => At::Client,
        "backend" => At::Backend,
        "tap" => At::Tap,
        text => match text.strip_prefix("hop:").and_then(|hop| hop.split_once('>')) {
            Some((from, to)) => At::Hop(from.to_owned(), to.to_owned()),
            None => At::Unknown,
        },
    };
    let found = rule.found(certainty, read.summary.clone()).severity(severity).at(at).fix(read.fix.clone());
    let mut found = match &read.header {
        Some(name) => found.header(name),
        None => found,
    };
    found.evidence = read.evidence.iter().map(|text| Evidence { text: text.clone(), place: None }).collect();
    Some(found)
}
