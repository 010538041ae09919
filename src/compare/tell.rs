//! What came of a comparison, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::recordings::Recordings;
use super::table::table;
use super::{Hop, Way};
use crate::cli::{CompareOptions, LogFormat};
use crate::error::Error;
use crate::exchange::record::{Diagnosis, HopChange};
use crate::hops::Kind;
use crate::rules::Severity;
use crate::sinks::{cut, printable, recorded, recorded_change, wrap};

const WIDTH: usize = 80;

/// Requests that are shown with their tables, unless all are asked for.
const SHOWN: usize = 5;

/// Changes that are listed for a hop.
const CHANGES: usize = 20;

/// The whole output.
///
/// # Errors
/// A request was asked for that is not there, or that could be one of several.
pub(super) fn tell(options: &CompareOptions, recordings: &Recordings, hops: &[Hop]) -> Result<String, Error> {
    if let Some(id) = &options.request {
        let number = match recordings.find(id).as_slice() {
            [] => {
                return Err(Error::usage(format!("there is no request {id:?} in these recordings"))
                    .advice("give a path_id or an id out of a record, or the end of one"));
            }
            [only] => *only,
            several => {
                return Err(Error::usage(format!("{id:?} is the end of {} ids", several.len()))
                    .advice("give more of its digits"));
            }
        };
        return Ok(one_request(options, recordings, hops, number));
    }
    Ok(match options.format {
        LogFormat::Json => as_json(recordings, hops),
        LogFormat::Text => as_text(options, recordings, hops),
    })
}

fn one_request(options: &CompareOptions, recordings: &Recordings, hops: &[Hop], number: usize) -> String {
    let ways = hops.iter().flat_map(|hop| hop.ways.iter().map(move |way| (hop, way)));
    let own: Vec<(&Hop, &Way)> = ways.filter(|(_, way)| way.outer == number || way.inners.contains(&number)).collect();
    if options.format == LogFormat::Json {
        return own.iter().map(|(hop, way)| way_line(recordings, hop, way)).collect();
    }
    let outermost = own.first().map_or(number, |(_, way)| way.outer);
    let mut text = headline(recordings, outermost);
    text.push_str(&table(recordings, hops, outermost));
    for (_, way) in own {
        text.push_str(&findings(way));
    }
    text
}

fn as_text(options: &CompareOptions, recordings: &Recordings, hops: &[Hop]) -> String {
    let mut text = String::new();
    for hop in hops {
        text.push_str(&overview(hop));
    }
    let mut shown = 0;
    let mut left = 0;
    for hop in hops {
        for way in &hop.ways {
            let is_alarm = way.severity() > Some(Severity::Info);
            let differs = way.differences.iter().any(|difference| difference.kind != Kind::Plumbing);
            if !is_alarm && !(options.all && (differs || !way.findings.is_empty())) {
                continue;
            }
            if shown >= SHOWN && !options.all {
                left += 1;
                continue;
            }
            shown += 1;
            text.push('\n');
            text.push_str(&headline(recordings, way.outer));
            text.push_str(&table(recordings, hops, way.outer));
            text.push_str(&findings(way));
        }
    }
    if left > 0 {
        let _ = writeln!(text, "\n{left} more requests with findings: --all shows them, --request ID one of them");
    }
    text
}

/// What a hop did to all requests together.
fn overview(hop: &Hop) -> String {
    let mut text = format!("{} -> {}\n", hop.from, hop.to);
    let joined = hop.ways.iter().filter(|way| !way.inners.is_empty()).count();
    let retried = hop.ways.iter().filter(|way| way.inners.len() > 1).count();
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    for join in hop.ways.iter().filter_map(|way| way.join) {
        *by.entry(join.id()).or_default() += 1;
    }
    let by = by.iter().map(|(join, count)| format!("{count} by {join}")).collect::<Vec<_>>().join(", ");
    // Writing to a String can't fail.
    let _ = writeln!(text, "  requests  {} at {}, {joined} found again at {} ({by})", hop.ways.len(), hop.from, hop.to);
    if retried > 0 {
        let _ = writeln!(text, "            {retried} arrived more than once: the gateway tried again");
    }
    if hop.strays > 0 {
        let _ = writeln!(text, "            {} at {} belong to none at {}", hop.strays, hop.to, hop.from);
    }
    match &hop.clocks {
        Some(clocks) => {
            for (number, line) in wrap(&clocks.text(&hop.from, &hop.to), WIDTH - 12).into_iter().enumerate() {
                let _ = writeln!(text, "  {:<8}  {line}", if number == 0 { "clocks" } else { "" });
            }
        }
        None if joined > 0 => {
            let _ = writeln!(text, "  clocks    not comparable: no id tells which requests are the same");
        }
        None => {}
    }
    if !hop.can_compare {
        for line in wrap(
            "the recordings have other fingerprint keys, so whether a secret was replaced can't be told. Record with the \
             same --fingerprint-key-file at both taps.",
            WIDTH - 12,
        ) {
            let _ = writeln!(text, "  note      {line}");
        }
    }
    text.push_str(&changes(hop));
    text.push_str(&causes(hop));
    text
}

/// What was changed, most frequent first.
fn changes(hop: &Hop) -> String {
    let mut counts: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    for difference in hop.ways.iter().flat_map(|way| &way.differences) {
        if difference.kind != Kind::Plumbing {
            let key = (difference.side.id(), difference.name.as_str(), difference.change.text());
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = counts.len().saturating_sub(CHANGES);
    let mut text = String::new();
    for (number, ((side, name, change), count)) in counts.into_iter().take(CHANGES).enumerate() {
        let lead = if number == 0 { "changes" } else { "" };
        let line = format!("  {lead:<8}  {count:>5} x {side}: {} {change}", printable(name));
        let _ = writeln!(text, "{}", cut(&line, WIDTH));
    }
    if more > 0 {
        let _ = writeln!(text, "            and {more} more kinds of change");
    }
    text
}

/// What the rules found, by cause.
fn causes(hop: &Hop) -> String {
    let mut counts: BTreeMap<(std::cmp::Reverse<Severity>, &str), usize> = BTreeMap::new();
    for finding in hop.ways.iter().filter_map(|way| way.findings.first()) {
        *counts.entry((std::cmp::Reverse(finding.severity), finding.rule.name)).or_default() += 1;
    }
    let mut text = String::new();
    for ((severity, rule), count) in counts {
        let sign = match severity.0 {
            Severity::Error => '✗',
            Severity::Warning => '!',
            Severity::Info => '·',
        };
        let _ = writeln!(text, "  {sign} {count:>5}  {rule}");
    }
    text
}

fn headline(recordings: &Recordings, number: usize) -> String {
    let Some(read) = recordings.record(number) else { return String::new() };
    let line = format!("{} {}", read.request.method, read.request.target);
    format!("{}  {}\n", cut(&printable(&line), WIDTH - 30), printable(&read.path_id))
}

fn findings(way: &Way) -> String {
    let mut text = String::new();
    for finding in &way.findings {
        let sign = match finding.severity {
            Severity::Error => '✗',
            Severity::Warning => '!',
            Severity::Info => '·',
        };
        let summary = format!("{}: {}", finding.rule.name, printable(&finding.summary));
        for (number, line) in wrap(&summary, WIDTH - 6).into_iter().enumerate() {
            let _ = writeln!(text, "  {} {line}", if number == 0 { sign } else { ' ' });
        }
        if finding.severity > Severity::Info {
            for (number, line) in wrap(&finding.fix, WIDTH - 12).into_iter().enumerate() {
                let _ = writeln!(text, "    {:<4}  {}", if number == 0 { "Fix" } else { "" }, printable(&line));
            }
        }
        let _ = writeln!(text, "    Sure  {}", finding.certainty.id());
    }
    text
}

/// One request's way over a hop, as a line of JSON.
#[derive(Serialize)]
struct WayRecord<'a> {
    schema: &'static str,
    path_id: &'a str,
    from: &'a str,
    to: &'a str,
    /// The ids of the exchanges: the outer one, and the inner ones in their order.
    outer: &'a str,
    inner: Vec<&'a str>,
    join: Option<&'static str>,
    changes: Vec<HopChange<'a>>,
    diagnosis: Diagnosis<'a>,
}

fn way_line(recordings: &Recordings, hop: &Hop, way: &Way) -> String {
    let read = recordings.record(way.outer);
    let id = |number: &usize| recordings.record(*number).map(|read| read.id.as_str());
    let verdict = way.findings.first().filter(|finding| finding.severity > Severity::Info);
    let record = WayRecord {
        schema: "authtap-compare/1",
        path_id: read.map_or("", |read| read.path_id.as_str()),
        from: &hop.from,
        to: &hop.to,
        outer: read.map_or("", |read| read.id.as_str()),
        inner: way.inners.iter().filter_map(id).collect(),
        join: way.join.map(|join| join.id()),
        changes: way.differences.iter().map(recorded_change).collect(),
        diagnosis: recorded(verdict.map_or("ok", |finding| finding.rule.name), &way.findings),
    };
    serde_json::to_string(&record).unwrap_or_default() + "\n"
}

/// What is to be known of a hop as a whole.
#[derive(Serialize)]
struct HopRecord<'a> {
    schema: &'static str,
    from: &'a str,
    to: &'a str,
    requests: usize,
    joined: usize,
    strays: usize,
    clock_ahead_ms: Option<i128>,
    clock_within_ms: Option<i128>,
    fingerprints_comparable: bool,
    unread: usize,
}

fn as_json(recordings: &Recordings, hops: &[Hop]) -> String {
    let mut text = String::new();
    for hop in hops {
        for way in &hop.ways {
            text.push_str(&way_line(recordings, hop, way));
        }
        let record = HopRecord {
            schema: "authtap-compare-hop/1",
            from: &hop.from,
            to: &hop.to,
            requests: hop.ways.len(),
            joined: hop.ways.iter().filter(|way| !way.inners.is_empty()).count(),
            strays: hop.strays,
            clock_ahead_ms: hop.clocks.as_ref().map(|clocks| clocks.ahead.as_millis()),
            clock_within_ms: hop.clocks.as_ref().map(|clocks| clocks.within.as_millis()),
            fingerprints_comparable: hop.can_compare,
            unread: recordings.faults.len(),
        };
        text.push_str(&(serde_json::to_string(&record).unwrap_or_default() + "\n"));
    }
    text
}
