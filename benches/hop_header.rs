//! What the hop header costs: processor time of two taps with it and without it, in one process and in two.
//!
//! `cargo bench --bench hop_header` prints seconds for 100,000 requests, the median of some rounds in which the variants
//! take turns, and their ratio: the machine may be busy, but then it is so for all of them.

#![allow(clippy::expect_used)]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use support::{Program, load, median, origin};

const ROUNDS: usize = 5;
const REQUESTS: usize = 40_000;

/// Requests that are sent before it is measured.
const WARM_UP: usize = 4_000;

struct Variant {
    name: &'static str,
    start: fn(SocketAddr, &str) -> Vec<Program>,
}

const VARIANTS: [Variant; 4] = [
    Variant { name: "one process, without", start: |origin, _| one_process(origin, &["--no-hop-header"]) },
    Variant { name: "one process, with", start: |origin, _| one_process(origin, &[]) },
    Variant { name: "two processes, without", start: |origin, _| two_processes(origin, None) },
    Variant { name: "two processes, with", start: |origin, key| two_processes(origin, Some(key)) },
];

/// A path of two taps. What stands between them in life would only add its own time.
fn one_process(origin: SocketAddr, options: &[&str]) -> Vec<Program> {
    // The outer tap goes to the inner one, whose port has to be known before.
    let inner = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let taps = [format!("edge@127.0.0.1:0=http://{inner}"), format!("app@{inner}=http://{origin}")];
    vec![Program::start(options, &taps)]
}

fn two_processes(origin: SocketAddr, key: Option<&str>) -> Vec<Program> {
    let options =
        |side: &'static str| key.map_or_else(Vec::new, |key| vec!["--hop-key-file", key, "--hop-peers", side]);
    let app = Program::start(&options("before"), &[format!("app@127.0.0.1:0=http://{origin}")]);
    let edge = Program::start(&options("behind"), &[format!("edge@127.0.0.1:0=http://{}", app.taps[0])]);
    vec![edge, app]
}

fn measure(variant: &Variant, origin: SocketAddr, key: &str) -> f64 {
    let programs = (variant.start)(origin, key);
    let outer = programs[0].taps[0];
    load(outer, WARM_UP);
    let cpu = || programs.iter().map(Program::cpu).sum::<Duration>();
    let before = cpu();
    load(outer, REQUESTS);
    (cpu() - before).as_secs_f64() * 100_000.0 / REQUESTS as f64
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("hop.key");
    fs::write(&key, "a key for this run of the bench").expect("a file");
    let key = key.to_str().expect("a path in UTF-8");
    let origin = origin();
    let mut seconds: Vec<Vec<f64>> = VARIANTS.iter().map(|_| Vec::new()).collect();
    for round in 1..=ROUNDS {
        for (variant, seconds) in VARIANTS.iter().zip(&mut seconds) {
            eprint!("\rround {round} of {ROUNDS}: {:<24}", variant.name);
            seconds.push(measure(variant, origin, key));
        }
    }
    eprintln!("\r{:<48}", "");
    let medians: Vec<f64> = seconds.into_iter().map(median).collect();
    println!("{:<24}  {:>16}  {:>6}", "two taps", "CPU s / 100,000", "ratio");
    for (at, variant) in VARIANTS.iter().enumerate() {
        let base = medians[at - at % 2];
        println!("{:<24}  {:>16.2}  {:>6.2}", variant.name, medians[at], medians[at] / base);
    }
}
