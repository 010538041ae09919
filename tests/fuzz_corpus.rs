//! The inputs that the fuzzers have found, and what holds of them.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz framer` goes on to look for more; what it finds becomes a file in
//! `tests/fuzz/corpus`.

#![allow(clippy::unwrap_used)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn what_the_fuzzers_found_still_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let folder = fs::read_dir(corpus.join(name)).unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
        let mut count = 0;
        for file in folder {
            let input = fs::read(file.unwrap().path()).unwrap();
            target(&input);
            // What is cut off in the midst must hold as well.
            target(&input[..input.len() / 2]);
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

#[test]
fn each_target_has_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/fuzz_targets");
    let mut programs: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
        .collect();
    programs.sort();
    let mut names: Vec<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(programs, names);
}
