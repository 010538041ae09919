//! authtap beside what else could stand in its place: processor time, latency and memory.
//!
//! `bash benches/run` prints a table. Each workload goes through all subjects in turns, round after round, because the machine
//! may be busy, but then it is so for all of them. What counts are medians, and ratios to nginx with an access log in the same
//! run.
//!
//! Options: `--rounds=N`, `--workload=A,B`, `--subject=A,B`, `--share=PERCENT` of the usual number of requests.

#![allow(clippy::expect_used)]

mod load;
mod origin;
mod process;
mod subject;
mod workload;

use std::collections::BTreeMap;

use subject::Subject;
use workload::{Figure, NOISY, WORKLOADS, Workload};

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = options.iter().find_map(|option| option.strip_prefix("--role=")) {
        return origin::run(role, options.get(1).and_then(|to| to.parse().ok()));
    }
    let value =
        |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    let rounds = value("--rounds").and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let share = value("--share").and_then(|share| share.parse::<usize>().ok()).unwrap_or(100);
    let is_named = |option: &str, name: &str| value(option).is_none_or(|names| names.split(',').any(|one| one == name));
    let folder = tempfile::tempdir().expect("a folder");
    let origin = subject::own("origin", None);
    for workload in WORKLOADS.iter().filter(|workload| is_named("--workload", workload.name)) {
        let subjects: Vec<Subject> = subject::ALL
            .into_iter()
            .filter(|subject| is_named("--subject", subject.name()) && workload.has(*subject))
            .collect();
        let mut figures: BTreeMap<usize, Vec<Vec<Figure>>> = BTreeMap::new();
        for round in 1..=rounds {
            for (at, subject) in subjects.iter().enumerate() {
                eprint!("\r{:<12} round {round} of {rounds}: {:<20}", workload.name, subject.name());
                let figure = workload.measure(*subject, origin.addr, share, folder.path());
                figures.entry(at).or_default().push(figure);
            }
        }
        eprint!("\r{:<60}\r", "");
        table(workload, &subjects, &figures);
    }
}

/// One line for each subject: the medians of its figures, how far one of them went from round to round where that matters,
/// and the ratio of the first of them to nginx's.
fn table(workload: &Workload, subjects: &[Subject], figures: &BTreeMap<usize, Vec<Vec<Figure>>>) {
    let rounds = |at: usize| figures.get(&at).map(Vec::as_slice).unwrap_or_default();
    let all_of = |at: usize, number: usize| rounds(at).iter().filter_map(move |round| round.get(number).copied());
    let medians = |at: usize| -> Vec<Figure> {
        let count = rounds(at).first().map_or(0, Vec::len);
        (0..count).map(|number| median(all_of(at, number).collect())).collect()
    };
    let noisy = workload.figures.iter().position(|name| *name == NOISY);
    let nginx = subjects.iter().position(|subject| *subject == Subject::Nginx).map(medians);
    println!("\n{}", workload.title);
    print!("{:<16}", "");
    workload.figures.iter().for_each(|name| print!("{name:>16}"));
    if noisy.is_some() {
        print!("{:>16}", format!("± {NOISY}"));
    }
    println!("{:>10}", "ratio");
    for (at, subject) in subjects.iter().enumerate() {
        print!("{:<20}", subject.name());
        let own = medians(at);
        let noise = noisy.map(|number| half_range(all_of(at, number).flatten()));
        own.iter().copied().chain(noise).for_each(|figure| match figure {
            Some(figure) => print!("{figure:>16.2}"),
            None => print!("{:>16}", "-"),
        });
        let ratio = nginx.as_ref().and_then(|nginx| Some(own.first().copied()?? / nginx.first().copied()??));
        match ratio {
            Some(ratio) => println!("{ratio:>10.2}"),
            None => println!("{:>10}", "-"),
        }
    }
}

/// Half of what lies between the least and the greatest.
fn half_range(figures: impl Iterator<Item = f64> + Clone) -> Figure {
    let (least, greatest) = (figures.clone().min_by(f64::total_cmp)?, figures.max_by(f64::total_cmp)?);
    Some((greatest - least) / 2.0)
}

fn median(figures: Vec<Figure>) -> Figure {
    let mut known: Vec<f64> = figures.into_iter().flatten().collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied()
}
