//! One request across all taps, as a table: what is the same, what was removed, added and changed.

use std::fmt::Write;

use super::Hop;
use super::recordings::Recordings;
use crate::exchange::record::read::Read;
use crate::sinks::{cut, printable};

const WIDTH: usize = 80;
const NAME: usize = 20;

/// A row: a name, and what each tap saw of it.
struct Row {
    name: String,
    cells: Vec<Option<String>>,
}

/// The table of the request whose outermost record has that number.
pub(super) fn table(recordings: &Recordings, hops: &[Hop], outermost: usize) -> String {
    let records = way_of(hops, outermost);
    let reads: Vec<Option<&Read>> = records.iter().map(|number| number.and_then(|at| recordings.record(at))).collect();
    let taps: Vec<&str> = recordings.taps.iter().map(String::as_str).collect();
    let column = ((WIDTH - NAME - 4) / taps.len().max(1)).max(12);
    let mut text = String::new();
    let heads: String =
        taps.iter().map(|tap| format!("  {:<width$}", cut(tap, column - 2), width = column - 2)).collect();
    // Writing to a String can't fail.
    let _ = writeln!(text, "    {:<NAME$}{}", "request", heads.trim_end());
    for row in request_rows(&reads) {
        write_row(&mut text, &row, column, false);
    }
    text.push_str("    answer\n");
    for row in answer_rows(&reads) {
        write_row(&mut text, &row, column, true);
    }
    text
}

/// The record at each tap of the request, from the outermost one on.
fn way_of(hops: &[Hop], outermost: usize) -> Vec<Option<usize>> {
    let mut way = vec![Some(outermost)];
    for hop in hops {
        let before = way.last().copied().flatten();
        let next = before.and_then(|before| hop.ways.iter().find(|way| way.outer == before));
        way.push(next.and_then(|way| way.inners.last().copied()));
    }
    way
}

fn request_rows(reads: &[Option<&Read>]) -> Vec<Row> {
    let each = |name: &str, of: &dyn Fn(&Read) -> Option<String>| Row {
        name: name.to_owned(),
        cells: reads.iter().map(|read| read.and_then(of)).collect(),
    };
    let mut rows = vec![
        each("method", &|read| Some(read.request.method.clone())),
        each("target", &|read| Some(read.request.target.clone())),
        each("version", &|read| Some(read.request.version.clone())),
    ];
    rows.extend(field_rows(reads, |read| &read.request.headers));
    rows
}

fn answer_rows(reads: &[Option<&Read>]) -> Vec<Row> {
    const NONE: &Vec<(String, String)> = &Vec::new();
    let status = Row {
        name: "status".to_owned(),
        cells: reads
            .iter()
            .map(|read| read.and_then(|read| read.response.as_ref()).map(|response| response.status.to_string()))
            .collect(),
    };
    let fields = field_rows(reads, |read| read.response.as_ref().map_or(NONE, |response| &response.headers));
    std::iter::once(status).chain(fields).collect()
}

/// A row for each field, in the order in which the first tap that has it saw it; equal names line up by their number.
fn field_rows<'r>(reads: &[Option<&'r Read>], of: impl Fn(&'r Read) -> &'r Vec<(String, String)>) -> Vec<Row> {
    let mut keys: Vec<(String, usize)> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for (tap, read) in reads.iter().enumerate() {
        let Some(read) = read else { continue };
        let mut counts: Vec<(String, usize)> = Vec::new();
        for (name, value) in of(read) {
            let lower = name.to_ascii_lowercase();
            let number = match counts.iter_mut().find(|(known, _)| *known == lower) {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => {
                    counts.push((lower.clone(), 0));
                    0
                }
            };
            let key = (lower, number);
            let at = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                rows.push(Row { name: name.clone(), cells: vec![None; reads.len()] });
                keys.len() - 1
            });
            if let Some(cell) = rows.get_mut(at).and_then(|row| row.cells.get_mut(tap)) {
                *cell = Some(value.clone());
            }
        }
    }
    rows
}

fn write_row(text: &mut String, row: &Row, column: usize, is_answer: bool) {
    let sign = sign(&row.cells, is_answer);
    let mut cells = String::new();
    let mut before: Option<&Option<String>> = None;
    for cell in &row.cells {
        let shown = match (cell, before) {
            (Some(value), Some(Some(same))) if value == same => "=".to_owned(),
            (Some(value), _) => cut(&printable(&briefly(value)), column - 2),
            (None, _) => "(none)".to_owned(),
        };
        before = Some(cell);
        let _ = write!(cells, "  {shown:<width$}", width = column - 2);
    }
    let name = cut(&printable(&row.name), NAME);
    let _ = writeln!(text, "  {sign} {name:<NAME$}{}", cells.trim_end());
}

/// Masks as the log has them: `Bearer #3fa9 (812 bytes)` for `Bearer <redacted fp=3fa9c1d2 len=812>`.
fn briefly(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, mask)) = rest.split_once("<redacted fp=") {
        let Some((inner, behind)) = mask.split_once('>') else { break };
        let (print, length) = inner.split_once(' ').unwrap_or((inner, ""));
        text.push_str(before);
        text.push('#');
        text.extend(print.chars().take(4));
        if let Some(length) = length.strip_prefix("len=") {
            let _ = write!(text, " ({length} bytes)");
        }
        rest = behind;
    }
    text + rest
}

/// What became of it on its way: a request goes from the first tap to the last, an answer the other way.
fn sign(cells: &[Option<String>], is_answer: bool) -> char {
    let (first, last) = match is_answer {
        false => (cells.first(), cells.last()),
        true => (cells.last(), cells.first()),
    };
    match (first.and_then(Option::as_ref), last.and_then(Option::as_ref)) {
        (Some(_), None) => '-',
        (None, Some(_)) => '+',
        _ if cells.windows(2).any(|pair| pair.first() != pair.last()) => '~',
        _ => ' ',
    }
}
