//! The pages under `docs/`: every command in them is run, in a network of its own, and prints what the page says.
//!
//! A comment before a block says what becomes of it:
//!
//! | comment | the block behind it |
//! | --- | --- |
//! | `<!-- file: NAME -->` | is written to that file |
//! | `<!-- run -->`, `<!-- run: CODE -->` | is run to its end, with that exit code |
//! | `<!-- start: WORDS -->` | is started, and goes on once it has printed the words |
//! | `<!-- shows -->` | each line was printed since the last such block, in that order |
//!
//! `<!-- hosts: NAME … -->` gives names, `<!-- stop -->` ends what was started, and `<!-- unseen: … -->` is run by the test
//! alone, or, with `start WORDS: …`, started. `<!-- until: … -->` waits until that command succeeds.
//!
//! What kubectl asks of a cluster, `tests/docs/cluster.py` answers, and runs pods as processes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::DEADLINE;
use common::canaries::BEARER_TOKEN;
use common::island::Island;
use common::process::Process;
use common::tools::run;

/// A comment, and the block behind it.
struct Step {
    line: usize,
    comment: String,
    block: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Takes a page apart. A block of commands without a comment is a failure: nobody would run it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines().enumerate().peekable();
    let mut pending: Option<(usize, String)> = None;
    while let Some((at, line)) = lines.next() {
        if let Some(rest) = line.strip_prefix("<!--") {
            let mut comment = rest.to_owned();
            while !comment.contains("-->") {
                comment.push('\n');
                comment.push_str(lines.next().expect("the end of a comment").1);
            }
            let comment = comment.split("-->").next().unwrap().trim().to_owned();
            let has_block = ["file:", "run", "start:", "shows"].iter().any(|word| comment.starts_with(word));
            match has_block {
                true => pending = Some((at + 1, comment)),
                false => steps.push(Step { line: at + 1, comment, block: String::new() }),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let mut block = String::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| !line.starts_with("```")) {
                block.push_str(line);
                block.push('\n');
            }
            match pending.take() {
                Some((line, comment)) => steps.push(Step { line, comment, block }),
                None => panic!("line {}: nothing says what becomes of this block of {language}", at + 1),
            }
        } else {
            assert!(!line.starts_with("    "), "line {}: an indented block is run by nobody", at + 1);
        }
    }
    assert!(pending.is_none(), "no block behind {pending:?}");
    steps
}

/// The page as it is played.
struct Play {
    island: Island,
    started: Vec<Process>,
    /// What was run to its end has printed, and how much of what was started was looked at.
    printed: String,
}

impl Play {
    fn shell(&self, script: &str) -> std::process::Command {
        let mut command = self.island.command("bash");
        command.args(["-euo", "pipefail", "-c", script.trim_end()]);
        command.env("TOKEN", BEARER_TOKEN).env("ROOT", root()).env("KUBECONFIG", self.island.home().join("kubeconfig"));
        // What the test makes for a page, such as an authority, is trusted as the platform's is.
        let authority = self.island.home().join("ca.pem");
        if authority.exists() {
            command.env("SSL_CERT_FILE", &authority).env("CURL_CA_BUNDLE", &authority);
        }
        command
    }

    fn run(&mut self, script: &str, code: i32) {
        let ran = run(self.shell(script));
        assert_eq!(ran.code, Some(code), "{script}\n{}\n{}{}", ran.stdout, ran.stderr, self.all());
        self.printed.push_str(&ran.stdout);
        self.printed.push_str(&ran.stderr);
    }

    fn start(&mut self, script: &str, words: &str) {
        let process = self.island.start(self.shell(script));
        let said = |text: &str| text.contains(words).then_some(());
        common::wait_for(&format!("{words:?} of {script}"), DEADLINE, || {
            said(&process.stdout.text()).or_else(|| said(&process.stderr.text()))
        });
        self.started.push(process);
    }

    fn all(&self) -> String {
        let started = self.started.iter().flat_map(|process| [process.stdout.text(), process.stderr.text()]);
        self.printed.clone() + &started.collect::<String>()
    }

    /// Every line of the block, in the order of one output.
    fn shows(&self, block: &str) {
        let wanted: Vec<String> = block.lines().map(steady).filter(|line| !line.is_empty()).collect();
        assert!(!wanted.is_empty(), "nothing is shown");
        let has_all = |printed: &str| {
            let mut printed = printed.lines().map(steady);
            wanted.iter().all(|wanted| printed.any(|line| line == *wanted))
        };
        let is_shown = common::wait_for_or_none(DEADLINE / 3, || {
            let started = self.started.iter().flat_map(|process| [process.stdout.text(), process.stderr.text()]);
            std::iter::once(self.printed.clone()).chain(started).any(|printed| has_all(&printed)).then_some(())
        });
        assert!(is_shown.is_some(), "this was not printed:\n{block}\nbut this:\n{}", self.all());
    }

    fn step(&mut self, step: &Step) {
        let (word, rest) = step.comment.split_once(':').unwrap_or((&step.comment, ""));
        let rest = rest.trim();
        match word {
            "file" => fs::write(self.island.home().join(rest), &step.block).unwrap(),
            "run" => self.run(&step.block, rest.parse().unwrap_or_default()),
            "start" => self.start(&step.block, rest),
            "shows" => self.shows(&step.block),
            "stop" => self.started.clear(),
            "unseen" => match rest.strip_prefix("start ").and_then(|rest| rest.split_once(": ")) {
                Some((words, script)) => self.start(script, words),
                None => self.run(rest, 0),
            },
            "until" => {
                let succeeds = || run(self.shell(rest)).code.filter(|code| *code == 0);
                common::wait_for(rest, DEADLINE, succeeds);
            }
            "hosts" => {}
            other => panic!("{other:?} is no such comment"),
        }
    }
}

/// The line with what differs from run to run made the same: times, fingerprints, numbers, and so columns of white space.
fn steady(line: &str) -> String {
    let word = |word: &str| {
        let is_hex = |text: &str| text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if word.ends_with("ms") && word.trim_start_matches('<').starts_with(|first: char| first.is_ascii_digit()) {
            return "…ms".to_owned();
        }
        match word.split_once('#') {
            Some((kind, rest)) if !kind.is_empty() && is_hex(rest.trim_end_matches([',', ')'])) => format!("{kind}#…"),
            Some(("", rest)) if is_hex(rest) || rest.bytes().all(|byte| byte.is_ascii_digit()) => "#…".to_owned(),
            _ if word.starts_with("fp=") => "fp=…".to_owned(),
            _ => word.to_owned(),
        }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn play(name: &str) {
    let page = fs::read_to_string(root().join("docs").join(name)).unwrap();
    let steps = steps(&page);
    for needed in ["run", "shows"] {
        assert!(steps.iter().any(|step| step.comment.starts_with(needed)), "docs/{name} {needed} nothing");
    }
    let hosts = steps.iter().find_map(|step| step.comment.strip_prefix("hosts:")).unwrap_or_default();
    let island = Island::new(&hosts.split_whitespace().collect::<Vec<_>>());
    let mut play = Play { island, started: Vec::new(), printed: String::new() };
    for step in &steps {
        println!("docs/{name}:{}: {}", step.line, step.comment);
        play.step(step);
    }
}

#[test]
fn a_client_you_can_change() {
    play("client-you-can-change.md");
}

#[test]
fn a_client_you_cannot_change() {
    play("client-you-cannot-change.md");
}

#[test]
fn around_nginx() {
    play("around-nginx.md");
}

#[test]
fn around_envoy() {
    play("around-envoy.md");
}

#[test]
fn in_kubernetes() {
    let client = root().join("target/kubectl/kubectl");
    assert!(client.is_file(), "{} is not there; get it with: bash tests/install.sh", client.display());
    play("kubernetes.md");
}

#[test]
fn in_ci() {
    play("ci.md");
}

#[test]
fn from_a_har() {
    play("from-a-har.md");
}

#[test]
fn every_page_is_played_and_can_be_found() {
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docs.rs")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(own.contains(&format!("play(\"{name}\")")), "{name} is played by no test");
        assert!(readme.contains(&format!("(docs/{name})")), "the README does not lead to {name}");
    }
}
