//! The log for people: verdict first, then the evidence, then the fix, then how sure it is, in 80 columns.
//!
//! A healthy exchange is one line, and repeats of it fold into one with a counter. A finding is a block of at most 14
//! lines; found again for the same cause it is one line.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

use super::escape::printable;
use super::shown::Shown;
use super::wrap::{cut, wrap};
use crate::rules::{At, Finding, Severity};

const WIDTH: usize = 80;
const BLOCK_LINES: usize = 14;
const EVIDENCE_LINES: usize = 6;

/// How long repeats are collected before they are told.
const WINDOW: Duration = Duration::from_secs(10);

/// Lines that are folded at once; beyond that they are printed as they come.
const FOLDS: usize = 256;

/// Causes that are remembered to have been explained; when there are more, they are explained again.
const EXPLAINED: usize = 1024;

/// Whether stdout is a terminal that wants colour, by the conventions of `NO_COLOR`, `CLICOLOR` and `TERM`.
pub fn is_coloured() -> bool {
    wants_colour(&io::stdout())
}

/// The same for any stream.
pub fn wants_colour(stream: &(impl anstream::stream::RawStream + IsTerminal)) -> bool {
    let choice = anstream::AutoStream::choice(stream);
    IsTerminal::is_terminal(stream) && choice != anstream::ColorChoice::Never
}

/// Makes the text of the log.
pub struct Console {
    coloured: bool,
    several_taps: bool,
    folds: Vec<Fold>,
    explained: HashSet<u64>,
    looked: Instant,
}

/// A line that was printed, and its repeats since.
struct Fold {
    key: u64,
    since: Instant,
    count: u64,
    last: Line,
}

/// A line of the log before it has its final width.
struct Line {
    sign: String,
    left: String,
    /// What stands behind it, or at the right edge.
    credential: String,
    right: Option<String>,
}

impl Line {
    /// The line, with what counts its repeats.
    fn text(&self, counter: &str) -> String {
        let room = WIDTH - 2 - counter.chars().count();
        let text = match &self.right {
            Some(right) => beside(&self.left, right, room),
            None => cut(format!("{}  {}", self.left, self.credential).trim_end(), room),
        };
        format!("{}{text}{counter}\n", self.sign)
    }
}

impl Console {
    /// A log with or without colour, that names the tap where there are several.
    pub fn new(coloured: bool, several_taps: bool) -> Self {
        Console { coloured, several_taps, folds: Vec::new(), explained: HashSet::new(), looked: Instant::now() }
    }

    /// What is printed for an exchange, which is often nothing: it was folded. `number` counts the exchanges of the run.
    pub fn exchange(&mut self, shown: &Shown, number: u64, findings: &[Finding]) -> String {
        let mut text = String::new();
        if self.looked.elapsed() > Duration::from_secs(1) {
            text = self.unfold(false);
        }
        if !self.tells_of(shown, findings) {
            return text;
        }
        let alarm = findings.first().filter(|finding| finding.severity > Severity::Info);
        let key = key_of(shown, findings.first());
        if let Some(finding) = alarm
            && self.is_new_cause(key)
        {
            text.push_str(&self.block(shown, number, finding, findings));
            return text;
        }
        let line = self.line(shown, number, findings);
        match self.folds.iter_mut().find(|fold| fold.key == key) {
            Some(fold) => {
                fold.count += 1;
                fold.last = line;
            }
            None => {
                text.push_str(&line.text(""));
                if self.folds.len() < FOLDS {
                    self.folds.push(Fold { key, since: Instant::now(), count: 0, last: line });
                }
            }
        }
        text
    }

    /// Whether anything is told of the exchange at all: probes are counted only, while nothing is wrong with them.
    pub fn tells_of(&self, shown: &Shown, findings: &[Finding]) -> bool {
        !shown.is_probe || findings.first().is_some_and(|finding| finding.severity > Severity::Info)
    }

    /// What was folded for long enough, or all of it.
    pub fn unfold(&mut self, all: bool) -> String {
        self.looked = Instant::now();
        let mut text = String::new();
        self.folds.retain_mut(|fold| {
            let age = fold.since.elapsed();
            if !all && age < WINDOW {
                return true;
            }
            if fold.count == 0 {
                return false;
            }
            let counter = match fold.count {
                1 => String::new(),
                count => format!("   (x{count} in {}s)", age.as_secs().max(1)),
            };
            text.push_str(&fold.last.text(&counter));
            fold.count = 0;
            fold.since = Instant::now();
            true
        });
        text
    }

    /// What was folded, and nothing of it is kept: it may say what is not to be said any more.
    pub fn forget(&mut self) -> String {
        let text = self.unfold(true);
        self.folds.clear();
        text
    }

    fn is_new_cause(&mut self, key: u64) -> bool {
        if self.explained.len() >= EXPLAINED {
            self.explained.clear();
        }
        self.explained.insert(key)
    }

    /// `✓ 200 GET /v1/orders    41ms  Bearer jwt#7f3a, expires in 52m`
    fn line(&self, shown: &Shown, number: u64, findings: &[Finding]) -> Line {
        let credential = match &shown.credential {
            Some(label) => label.clone() + &expiry(shown),
            None => String::new(),
        };
        let right = findings.first().map(|finding| format!("#{number}  {}", finding.rule.name));
        Line { sign: self.sign(shown, findings), left: self.left(shown), credential, right }
    }

    fn block(&self, shown: &Shown, number: u64, finding: &Finding, findings: &[Finding]) -> String {
        let name = format!("#{number}  {}", finding.rule.name);
        let mut lines = vec![
            self.sign(shown, findings)
                + &self.bold_end(&beside(&self.left(shown), &name, WIDTH - 2), finding.rule.name),
        ];
        lines.extend(wrap(&sentence(&finding.summary), WIDTH - 2).into_iter().take(3).map(indent(2)));
        lines.push(String::new());
        let mut room = EVIDENCE_LINES;
        for evidence in &finding.evidence {
            let rows = evidence_rows(&evidence.text, room.min(2));
            room -= rows.len();
            lines.extend(rows);
        }
        let others: Vec<&str> = findings
            .iter()
            .skip(1)
            .filter(|other| other.severity > Severity::Info)
            .map(|other| other.rule.name)
            .collect();
        let tail = 1 + usize::from(!others.is_empty());
        let room = BLOCK_LINES.saturating_sub(lines.len() + tail).max(1);
        let mut fix = wrap(&finding.fix, WIDTH - 8);
        if fix.len() > room {
            // The rest is in the record.
            fix.truncate(room);
            if let Some(last) = fix.last_mut() {
                *last = cut(&format!("{last} …"), WIDTH - 8);
            }
        }
        for (row, line) in fix.into_iter().enumerate() {
            lines.push(format!("  {}  {}", if row == 0 { "Fix " } else { "    " }, printable(&line)));
        }
        if !others.is_empty() {
            lines.push(cut(&format!("  Also  {}", others.join(", ")), WIDTH));
        }
        let place = match &finding.at {
            At::Unknown => String::new(),
            At::Hop(from, to) => format!("; look between {from} and {to}"),
            at => format!("; look at the {at}"),
        };
        lines.push(cut(&format!("  Sure  {}{place}", finding.certainty.id()), WIDTH));
        lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// `401 GET /v1/orders    7ms`
    fn left(&self, shown: &Shown) -> String {
        let status = match shown.status {
            Some(status) => format!("{status:03}"),
            None => "---".to_owned(),
        };
        let method = printable(&cut(&shown.method, 12));
        let target = cut(&printable(&shown.target), 34);
        // What the first tap saw is the request as the client knows it.
        let tap =
            if self.several_taps && shown.is_inner { format!("{} ", printable(&shown.tap)) } else { String::new() };
        let what = format!("{tap}{status} {method} {target}");
        let took = match shown.end {
            Some(end) => end.to_owned(),
            None if shown.total < Duration::from_millis(1) => "<1ms".to_owned(),
            None => format!("{}ms", shown.total.as_millis()),
        };
        format!("{what}  {took:>5}")
    }

    /// The sign, with its colour; the colour alone never says anything.
    fn sign(&self, shown: &Shown, findings: &[Finding]) -> String {
        let healthy = matches!(shown.status, Some(100..400));
        let (sign, colour) = match findings.first().map(|finding| finding.severity) {
            Some(Severity::Error) => ('✗', AnsiColor::Red),
            Some(Severity::Warning) => ('!', AnsiColor::Yellow),
            _ if healthy => ('✓', AnsiColor::Green),
            _ => return "· ".to_owned(),
        };
        if !self.coloured {
            return format!("{sign} ");
        }
        let style = Style::new().fg_color(Some(colour.into())).bold();
        format!("{style}{sign}{style:#} ")
    }

    fn bold_end(&self, line: &str, end: &str) -> String {
        match line.strip_suffix(end) {
            Some(start) if self.coloured => {
                let style = Style::new().bold();
                format!("{start}{style}{end}{style:#}")
            }
            _ => line.to_owned(),
        }
    }
}

/// A summary as a sentence of its own.
fn sentence(summary: &str) -> String {
    let summary = printable(summary);
    let mut chars = summary.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The left text, and the right one at the right edge of `width` columns.
fn beside(left: &str, right: &str, width: usize) -> String {
    let room = width.saturating_sub(right.chars().count() + 2);
    let left = cut(left, room);
    format!("{left:<room$}  {right}")
}

/// A piece of evidence in at most `most` lines, the later ones hanging.
fn evidence_rows(text: &str, most: usize) -> Vec<String> {
    if most == 0 {
        return Vec::new();
    }
    let text = printable(text);
    // What fits is left as it is: columns are made of spaces.
    if text.chars().count() <= WIDTH - 6 {
        return vec![indent(4)(text)];
    }
    // What stands before a column stays there, and the later lines hang at the column.
    let column = text.find("  ").map(|end| (end, text.len() - text.get(end..).unwrap_or_default().trim_start().len()));
    let (label, text) = match column.filter(|(end, column)| *end > 0 && *column <= 24) {
        Some((_, column)) => text.split_at(column),
        None => ("", text.as_str()),
    };
    let hang = if label.is_empty() { 2 } else { label.chars().count() };
    let rows = wrap(text, WIDTH - 6 - hang);
    let is_cut = rows.len() > most;
    let shown = rows.into_iter().take(most).enumerate().map(|(row, line)| {
        let mark = if is_cut && row + 1 == most { " …" } else { "" };
        let line = if row == 0 { format!("{label}{line}{mark}") } else { indent(hang)(line + mark) };
        indent(4)(cut(&line, WIDTH - 6))
    });
    shown.collect()
}

fn indent(by: usize) -> impl Fn(String) -> String {
    move |line| format!("{:by$}{line}", "")
}

/// What makes two exchanges the same for a reader: the same cause, from the same hands, on the same path.
fn key_of(shown: &Shown, finding: Option<&Finding>) -> u64 {
    let mut hasher = DefaultHasher::new();
    shown.tap.hash(&mut hasher);
    finding.map(|finding| (finding.rule.name, &finding.header, finding.certainty)).hash(&mut hasher);
    if shown.has_failed {
        // An upstream that is down is one cause, whoever asks it for what.
        return hasher.finish();
    }
    shown.status.hash(&mut hasher);
    if let Some(At::Hop(from, to)) = finding.map(|finding| &finding.at) {
        // What a hop does to a header is one cause, whatever is asked for with it.
        (from, to).hash(&mut hasher);
        return hasher.finish();
    }
    (&shown.method, shown.path(), shown.whose).hash(&mut hasher);
    hasher.finish()
}

fn expiry(shown: &Shown) -> String {
    match shown.expires_in.map(|left| (u64::try_from(left), left)) {
        None => String::new(),
        Some((Ok(left), _)) => format!(", expires in {}", rough(left)),
        Some((Err(_), left)) => format!(", expired {} ago", rough(left.unsigned_abs())),
    }
}

fn rough(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::diagnose::Diagnoser;
    use crate::exchange::redact::Redactor;
    use crate::exchange::{View, transcript};

    /// What is printed for each exchange of a transcript, and what is left folded at the end.
    fn printed(text: &str) -> Vec<String> {
        let exchanges = transcript::parse(text).unwrap_or_else(|error| panic!("line {}: {}", error.line, error.what));
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let mut diagnoser = Diagnoser::default();
        let mut console = Console::new(false, false);
        let mut printed: Vec<String> = exchanges
            .iter()
            .zip(1..)
            .map(|(exchange, number)| {
                let view = View::new(exchange, &redactor);
                let diagnosis = diagnoser.diagnose(&view);
                console.exchange(&Shown::of(&view), number, &diagnosis.findings)
            })
            .collect();
        printed.push(console.unfold(true));
        printed
    }

    const HEALTHY: &str = "> GET /a HTTP/1.1\n> Host: x\n> Authorization: Bearer abcdefghijklmnop\n< HTTP/1.1 200 OK\n";
    const BARE_401: &str = "> GET /a HTTP/1.1\n> Host: x\n< HTTP/1.1 401 Unauthorized\n";

    #[test]
    fn a_healthy_exchange_is_one_line_and_its_repeats_fold() {
        let lines = printed(&HEALTHY.repeat(4));
        assert!(lines[0].starts_with("✓ 200 GET /a") && lines[0].contains("Bearer token#"), "{lines:?}");
        assert_eq!(lines[0].lines().count(), 1);
        assert_eq!(lines[1..4], ["", "", ""]);
        assert!(lines[4].starts_with("✓ 200 GET /a") && lines[4].ends_with("(x3 in 1s)\n"), "{lines:?}");
    }

    #[test]
    fn a_finding_is_a_block_once_and_then_a_line_that_folds() {
        let lines = printed(&BARE_401.repeat(3));
        let block: Vec<&str> = lines[0].lines().collect();
        assert!(block[0].starts_with("! 401 GET /a") && block[0].ends_with("#1  challenge-missing"), "{block:#?}");
        assert!((5..=BLOCK_LINES).contains(&block.len()), "{block:#?}");
        assert!(block.iter().any(|line| line.starts_with("  Fix   ")), "{block:#?}");
        assert!(block.last().is_some_and(|line| line.starts_with("  Sure  certain")), "{block:#?}");
        assert!(lines[1].starts_with("! 401 GET /a") && lines[1].lines().count() == 1, "{lines:?}");
        assert_eq!(lines[2], "");
        assert!(lines[3].starts_with("! 401 GET /a") && lines[3].ends_with("#3  challenge-missing\n"), "{lines:?}");
    }

    #[test]
    fn a_folded_line_is_no_wider_than_another() {
        let asked =
            "> GET /a HTTP/1.1\n> Host: x\n< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Basic realm=\"a\"\n";
        let lines = printed(&asked.repeat(4));
        assert!(lines[4].ends_with("credentials-absent   (x3 in 1s)\n"), "{lines:?}");
        assert!(lines.iter().all(|line| line.trim_end().chars().count() <= WIDTH), "{lines:?}");
    }

    #[test]
    fn an_upstream_that_is_down_is_explained_once() {
        let down =
            |path: &str| format!("* outcome upstream-failed connect refused\n> GET {path} HTTP/1.1\n> Host: x\n");
        let lines = printed(&(down("/a") + &down("/b")));
        assert!(lines[0].lines().count() > 4 && lines[1].lines().count() <= 1, "{lines:?}");
    }

    #[test]
    fn a_probe_is_not_shown_while_nothing_is_wrong() {
        let probe = HEALTHY.replace("> Host", "> User-Agent: kube-probe/1.34\n> Host");
        assert_eq!(printed(&probe), ["", ""]);
    }

    #[test]
    fn what_a_peer_sends_is_escaped_and_cut() {
        let nasty = HEALTHY.replace("/a", &format!("/a\u{202e}b/{}", "c-".repeat(60)));
        let lines = printed(&nasty);
        assert!(!lines[0].contains('\u{202e}'), "{lines:?}");
        assert!(lines[0].trim_end().chars().count() <= WIDTH, "{lines:?}");
    }
}
