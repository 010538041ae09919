//! What is built into the program: where it comes from, under which licence, and how much of it twice.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

/// Licences that ask for no more than a notice.
const LICENCES: &[&str] =
    &["Apache-2.0", "MIT", "BSD-3-Clause", "ISC", "Zlib", "Unicode-3.0", "CDLA-Permissive-2.0", "MIT-0", "0BSD"];

/// Packages that are built in more than one version, and whom the older ones are for.
const TWICE: &[(&str, &str)] = &[
    ("base64", "jsonwebtoken"),
    ("block-buffer", "the curves of jsonwebtoken"),
    ("const-oid", "the curves of jsonwebtoken, for features that tests switch on"),
    ("cpufeatures", "the curves of jsonwebtoken"),
    ("crypto-common", "the curves of jsonwebtoken"),
    ("digest", "the curves of jsonwebtoken"),
    ("getrandom", "the curves of jsonwebtoken, and opentelemetry_sdk"),
    ("rand", "jsonwebtoken's RSA, and opentelemetry_sdk"),
    ("rand_chacha", "jsonwebtoken's RSA, and opentelemetry_sdk"),
    ("rand_core", "the curves of jsonwebtoken, and opentelemetry_sdk"),
    ("sha2", "the curves of jsonwebtoken"),
    ("syn", "macros that are run while it is built, of most crates still"),
];

/// What is linked into the program with all features, and the macros that make its code.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--all-features", "--format-version", "1"])
        .args(["--filter-platform", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH), "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let root = metadata["resolve"]["root"].as_str().unwrap();
    let mut found = BTreeSet::new();
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        if !found.insert(id) {
            continue;
        }
        let needed = nodes[id]["deps"].as_array().unwrap().iter();
        // What tests and build scripts need is not in the program.
        let is_built_in = |of: &&Value| of["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
        left.extend(needed.filter(is_built_in).map(|of| of["pkg"].as_str().unwrap()));
    }
    let all = metadata["packages"].as_array().unwrap().iter();
    all.filter(|package| package["id"] != root && found.contains(package["id"].as_str().unwrap())).cloned().collect()
}

#[test]
fn everything_is_published_and_under_a_licence_that_asks_for_no_more_than_a_notice() {
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let allows = |one: &LicenseReq| {
        let text = one.to_string();
        LICENCES.iter().any(|known| text == *known || text == format!("{known} WITH LLVM-exception"))
    };
    let mut sources = BTreeSet::new();
    for package in &packages {
        let name = &package["name"];
        let source = package["source"].as_str().unwrap_or_else(|| panic!("{name} is from a folder"));
        assert!(source.starts_with("registry+"), "{name} is from {source}");
        sources.insert(source);
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
        let expression =
            Expression::parse_mode(licence, ParseMode::LAX).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(expression.evaluate(allows), "{name} is under {licence}");
    }
    assert_eq!(sources.len(), 1, "{sources:?}");
}

#[test]
fn nothing_is_built_in_twice_that_is_not_known_to_be() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let text = |field: &str| package[field].as_str().unwrap().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let twice: Vec<&String> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name).collect();
    let known: Vec<&str> = TWICE.iter().map(|(name, _)| *name).collect();
    assert_eq!(twice, known, "bring both to one version, or the list up to date");
}
