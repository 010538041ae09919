//! What the command line takes and says, and how the program ends.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use authtap::rules::RULES;
use common::process::Process;
use common::{DEADLINE, cert};

/// How a call of the program ended.
struct Called {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(command: Command) -> Called {
    let shown = format!("{command:?}");
    let mut process = Process::spawn(command).unwrap();
    let status = process.wait(DEADLINE);
    Called {
        code: status.code().unwrap_or_else(|| panic!("{shown} was ended by a signal")),
        stdout: process.stdout.whole(DEADLINE),
        stderr: process.stderr.whole(DEADLINE),
    }
}

fn call(args: &[&str]) -> Called {
    let mut command = common::tap::command();
    command.args(args);
    run(command)
}

fn call_with(variables: &[(&str, &str)], args: &[&str]) -> Called {
    let mut command = common::tap::command();
    command.args(args).envs(variables.iter().copied());
    run(command)
}

impl Called {
    /// It ended so, said all of `words` on stderr, and nothing on stdout.
    #[track_caller]
    fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in:\n{}", self.stderr);
        }
        // Nothing was listened on, so no banner came before the complaint.
        assert!(!self.stderr.contains("->"), "{}", self.stderr);
    }

    #[track_caller]
    fn assert_fine(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        &self.stdout
    }
}

/// A folder with a file of that name and text.
fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_and_version_go_to_stdout() {
    let help = call(&["--help"]);
    let help = help.assert_fine();
    for option in [
        "--config",
        "--host",
        "--threads",
        "--drain",
        "-k, --insecure",
        "--cacert",
        "--cert",
        "--key",
        "--tls",
        "--tls-cert",
        "--tls-key",
        "--record",
        "--har",
        "--log-format",
        "--show ",
        "--show-secrets",
        "--fingerprint-key-file",
        "--admin",
        "SSLKEYLOGFILE",
        "RUST_LOG",
        "AUTHTAP_",
        "TOML",
        "Exit codes:",
        "[NAME@][LISTEN=]UPSTREAM",
        "demo",
        "explain",
        "rules",
        "https://api.example.com",
    ] {
        assert!(help.contains(option), "{option} is not in:\n{help}");
    }
    let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 120).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    // The short help is shorter, and has every option as well.
    let short = call(&["-h"]);
    let short = short.assert_fine();
    assert!(short.lines().count() < help.lines().count());
    for option in help.lines().filter_map(|line| line.trim_start().strip_prefix("--")) {
        let name = format!("--{}", option.split([' ', '[']).next().unwrap());
        assert!(short.contains(&name), "{name} is not in:\n{short}");
    }
    let expected = format!("authtap {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(call(&["--version"]).assert_fine(), expected);
    assert_eq!(call(&["-V"]).assert_fine(), expected);
    for command in ["demo", "explain", "rules"] {
        assert!(call(&[command, "--help"]).assert_fine().contains(&format!("authtap {command}")));
    }
}

#[test]
fn wrong_usage_is_refused() {
    call(&[]).assert_refused(2, &["no tap was given", "try: authtap https://api.example.com"]);
    call(&["--recrod", "a", "http://a"]).assert_refused(2, &["--recrod", "--record"]);
    call(&["demo", "--what"]).assert_refused(2, &["--what"]);
    call(&["--record"]).assert_refused(2, &["--record", "FILE"]);
    call(&["--record", "a", "--record", "b", "http://a"]).assert_refused(2, &["--record"]);
    call(&["explain"]).assert_refused(2, &["RULE"]);
    call(&["rules", "--format", "xml"]).assert_refused(2, &["xml", "text", "json", "markdown"]);
}

#[test]
fn a_wrong_tap_says_what_would_be_right() {
    for (tap, words) in [
        ("ftp://a.example", &["\"ftp\"", "http://", "https://", "h2c://"][..]),
        ("http://a.example/v1", &["has a path", "leave the path out"]),
        ("http://", &["names no host", "[NAME@][LISTEN=]UPSTREAM"]),
        ("http://a.example:70000", &["no valid port"]),
        ("http://[::1", &["no closing bracket"]),
        ("http://[::x]", &["no IPv6 address"]),
        ("nowhere=http://a.example", &["can't listen on \"nowhere\"", ":8080"]),
        ("9000=http://a.example", &["can't listen on \"9000\"", ":8080"]),
        ("a b@:9000=http://a.example", &["a tap's name"]),
        (":8080=http://localhost:8080", &["its own upstream", "another port"]),
    ] {
        call(&[tap]).assert_refused(2, words);
    }
    call(&["http://a", "http://b"]).assert_refused(2, &["two taps would listen on 127.0.0.1:8080"]);
    call(&["a@:1=http://a", "a@:2=http://b"]).assert_refused(2, &["two taps are called \"a\""]);
}

#[test]
fn a_password_in_an_upstream_is_refused_and_not_repeated() {
    for upstream in [
        "http://alice:hunter2@a.example",
        "https://alice:hunter2@a.example:8443/",
        ":9000=http://alice:hunter2@a.example",
        "edge@:9000=http://alice:hunter2@a.example",
        "http://hunter2@a.example",
        "http://alice:hunter2/hunter2@a.example",
        "http://alice:hunter2#hunter2@a.example",
        "http://alice:hunter2@hunter2@a.example",
        "ftp://alice:hunter2@a.example",
        "alice:hunter2@a.example",
        "https://a.example/?key=hunter2",
        "https://a.example/hunter2",
        "https://a.example#hunter2",
        "https//alice:hunter2@a.example",
        "http://a.example:hunter2",
    ] {
        for called in [call(&[upstream]), call_with(&[("AUTHTAP_TAPS", upstream)], &[])] {
            called.assert_refused(2, &["try: "]);
            assert!(!called.stderr.contains("hunter2"), "{upstream}: {}", called.stderr);
        }
        let (_dir, path) = file("authtap.toml", &format!("taps = [\"{upstream}\"]\n"));
        let called = call(&["--config", text(&path)]);
        called.assert_refused(2, &[]);
        assert!(!called.stderr.contains("hunter2"), "{upstream}: {}", called.stderr);
    }
}

/// Options with a wrong value each, and what the complaint says would be right.
const WRONG: [(&str, &str, &str); 17] = [
    ("threads", "many", "invalid digit"),
    ("max-connections", "-1", "invalid digit"),
    ("connect-timeout", "10", "unit"),
    ("handshake-timeout", "soon", "30s"),
    ("response-timeout", "1y", "30s"),
    ("idle-timeout", "0s", "between 1ms and 168h"),
    ("drain", "9999999h", "between 1ms and 168h"),
    ("insecure", "perhaps", "true or false"),
    ("tls", "perhaps", "true or false"),
    ("tls-key-log", "2", "true or false"),
    ("show-secrets", "maybe", "such as 10m"),
    ("log-format", "xml", "text, json"),
    ("head-limit", "12", "between 1KiB and 4GiB"),
    ("queue-memory", "lots", "64MiB"),
    ("admin", "localhost", "127.0.0.1:9901"),
    ("host", "a b", "keep, upstream"),
    ("host", "a/b", "keep, upstream"),
];

#[test]
fn a_wrong_value_names_its_source_and_what_would_be_right() {
    for (option, value, right) in WRONG {
        let flag = format!("--{option}={value}");
        let called = call(&[&flag, "http://127.0.0.1:1"]);
        called.assert_refused(2, &[&format!("--{option}"), right]);

        let variable = format!("AUTHTAP_{}", option.replace('-', "_").to_uppercase());
        let called = call_with(&[(&variable, value)], &["http://127.0.0.1:1"]);
        called.assert_refused(2, &[&variable, right]);

        let (_dir, path) = file("authtap.toml", &format!("taps = [\"http://127.0.0.1:1\"]\n{option} = \"{value}\"\n"));
        let called = call(&["--config", text(&path)]);
        called.assert_refused(2, &[&format!("{}: {option}", path.display()), right]);
        let called = call_with(&[("AUTHTAP_CONFIG", text(&path))], &[]);
        called.assert_refused(2, &[&format!("{}: {option}", path.display()), right]);
    }
}

#[test]
fn a_wrong_tap_of_a_lower_layer_names_its_source() {
    let called = call_with(&[("AUTHTAP_TAPS", "http://a.example ftp://b.example")], &[]);
    called.assert_refused(2, &["AUTHTAP_TAPS: ", "\"ftp\"", "h2c://"]);
    let (_dir, path) = file("authtap.toml", "taps = [\"http://a.example/v1\"]\n");
    let called = call(&["--config", text(&path)]);
    called.assert_refused(2, &[&format!("{}: taps: ", path.display()), "has a path"]);
}

#[test]
fn a_wrong_value_in_a_lower_layer_does_not_matter_where_a_higher_one_has_its_own() {
    // The run gets as far as the missing tap.
    let (_dir, path) = file("authtap.toml", "drain = \"soon\"\n");
    call_with(&[("AUTHTAP_DRAIN", "later")], &["--config", text(&path), "--drain", "1s"])
        .assert_refused(2, &["no tap was given"]);
}

#[test]
fn a_wrong_file_of_options_is_refused() {
    for (content, words) in [
        ("drain = \n", &[][..]),
        ("dran = \"1s\"\n", &["\"dran\"", "drain"]),
        ("config = \"a.toml\"\n", &["\"config\""]),
        ("drain = { a = 1 }\n", &["drain", "list of strings"]),
        ("taps = [1]\n", &["taps", "list of strings"]),
        ("[proxy]\ndrain = \"1s\"\n", &["\"proxy\""]),
    ] {
        let (_dir, path) = file("authtap.toml", content);
        let mut expected = vec![text(&path)];
        expected.extend(words);
        call(&["--config", text(&path)]).assert_refused(2, &expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_option() {
    let missing = "/nowhere/at/all.pem";
    let https = "https://127.0.0.1:1";
    let pem = cert("server.pem");
    for args in [
        &["--config", missing, https][..],
        &["--cacert", missing, https],
        &["--cert", missing, "--key", &pem, https],
        &["--tls-cert", missing, "--tls-key", &pem, https],
        &["--fingerprint-key-file", missing, https],
        &["--record", missing, https],
    ] {
        call(args).assert_refused(1, &[args[0], missing, "No such file", "try: "]);
    }
    let (_dir, path) = file("empty.pem", "nothing\n");
    let empty = text(&path);
    call(&["--cacert", empty, https]).assert_refused(1, &["--cacert", empty, "certificate"]);
    call(&["--tls-cert", empty, "--tls-key", empty, https]).assert_refused(1, &["--tls-cert", empty, "certificate"]);
    call(&["--fingerprint-key-file", empty, https])
        .assert_refused(2, &["--fingerprint-key-file", "16 bytes", "urandom"]);
    call(&["--tls-cert", empty, https]).assert_refused(2, &["--tls-cert and --tls-key go together"]);
    call(&["--key", empty, https]).assert_refused(2, &["--cert and --key go together"]);
    call(&["-k", "--cacert", empty, https]).assert_refused(2, &["contradict"]);
}

#[test]
fn the_catalogue_is_printed_in_every_format() {
    let plain = call(&["rules"]);
    let plain = plain.assert_fine();
    assert_eq!(plain, call(&["rules", "--format", "text"]).assert_fine());
    assert_eq!(plain.lines().count(), RULES.len());
    for (line, rule) in plain.lines().zip(RULES) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..2], [rule.severity.id(), rule.name]);
        assert!(line.ends_with(rule.title), "{line}");
    }
    let json = call(&["rules", "--format", "json"]);
    let json: Vec<serde_json::Value> = serde_json::from_str(json.assert_fine()).unwrap();
    assert_eq!(json.len(), RULES.len());
    for (entry, rule) in json.iter().zip(RULES) {
        assert_eq!(entry["rule"], rule.name);
        assert_eq!(entry["severity"], rule.severity.id());
        for key in ["title", "why", "fix", "family"] {
            assert!(entry[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {entry:#}");
        }
        assert!(entry["spec"].is_array() && entry["supersedes"].is_array(), "{entry:#}");
    }
    let page = call(&["rules", "--format", "markdown"]);
    let page = page.assert_fine();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert_eq!(cells, 4, "{line}");
    }
    let mut fences = 0;
    for rule in RULES {
        let (_, part) = page.split_once(&format!("\n### {}\n\n{}. (", rule.name, rule.title)).expect(rule.name);
        let part = part.split("\n### ").next().unwrap();
        assert!(part.contains(rule.why) && part.contains(&format!("**Fix.** {}", rule.fix)), "{part}");
        assert!(part.contains("\nBad: ") && part.contains("\nGood: "), "{part}");
        assert!(rule.spec.iter().all(|spec| part.contains(&spec.link())), "{part}");
        fences += part.matches("```").count();
    }
    assert_eq!(fences, 4 * RULES.len());
    // Every link within the page leads somewhere.
    for link in page.split("](#").skip(1) {
        let name = link.split(')').next().unwrap();
        assert!(page.contains(&format!("\n### {name}\n")), "{name}");
    }
}

/// The lines of the page's table, without its links.
fn table_of(page: &str) -> String {
    let lines = page.lines().filter(|line| line.starts_with('|'));
    let unlinked = lines.map(|line| match line.strip_prefix("| [").and_then(|rest| rest.split_once("](#")) {
        Some((name, rest)) => format!("| {name}{}", rest.split_once(')').unwrap().1),
        None => line.to_owned(),
    });
    unlinked.map(|line| line + "\n").collect()
}

#[test]
fn the_readme_has_the_table_of_rules() {
    const BEGIN: &str = "<!-- rules -->\n";
    const END: &str = "<!-- /rules -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let page = call(&["rules", "--format", "markdown"]);
    let table = table_of(page.assert_fine());
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the mark <!-- rules -->");
    let (shown, after) = rest.split_once(END).expect("README.md has the mark <!-- /rules -->");
    if std::env::var_os("AUTHTAP_WRITE").is_some() {
        fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(shown == table, "AUTHTAP_WRITE=1 cargo test --test cli brings the README's table up to date");
}

#[test]
fn every_rule_is_explained() {
    for rule in RULES {
        let called = call(&["explain", rule.name]);
        let text = called.assert_fine();
        assert!(text.starts_with(&format!("{} ({})\n\n{}\n", rule.name, rule.severity.id(), rule.title)), "{text}");
        for heading in ["\nWhy   ", "\nFix   ", "\nBad: ", "\nGood: "] {
            assert_eq!(text.matches(heading).count(), 1, "{heading:?} in {text}");
        }
        let (_, examples) = text.split_once("\nBad: ").unwrap();
        let (bad, good) = examples.split_once("\nGood: ").unwrap();
        for example in [bad, good] {
            assert!(example.lines().any(|line| line.starts_with("    > ")), "{example}");
        }
        assert!(!text.chars().any(|char| char.is_control() && char != '\n'), "{text:?}");
    }
}

#[test]
fn an_unknown_rule_is_answered_with_near_ones() {
    call(&["explain", "challenge-mising"])
        .assert_refused(2, &["\"challenge-mising\"", "authtap explain challenge-missing"]);
    call(&["explain", "Token_Expired"]).assert_refused(2, &["authtap explain token-expired"]);
    call(&["explain", "preflight"]).assert_refused(2, &["preflight-rejected"]);
    call(&["explain", "xyzzy"]).assert_refused(2, &["authtap rules lists them all"]);
    let escape = call(&["explain", "\u{1b}[31mred"]);
    escape.assert_refused(2, &[]);
    assert!(!escape.stderr.contains('\u{1b}'), "{:?}", escape.stderr);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let tap = format!("127.0.0.1:{port}=http://127.0.0.1:1");
    let called = call(&[&tap]);
    called.assert_refused(1, &[&format!("cannot listen on 127.0.0.1:{port}"), "already in use", "try: another port"]);
    let admin = call(&["--admin", &format!(":{port}"), "127.0.0.1:0=http://127.0.0.1:1"]);
    admin.assert_refused(1, &[&format!("cannot listen on 127.0.0.1:{port}")]);
}

#[test]
fn a_closed_stdout_is_no_fault_of_a_list() {
    // The reader goes away at once, as `| head -0` does.
    let script = format!("{:?} rules --format json | true", env!("CARGO_BIN_EXE_authtap"));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_record_file_that_is_a_folder_or_closed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = text(dir.path());
    call(&["--record", folder, "127.0.0.1:0=http://127.0.0.1:1"]).assert_refused(1, &["--record", folder, "try: "]);
    let path = dir.path().join("closed.jsonl");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    // For root every file is open.
    if fs::OpenOptions::new().append(true).open(&path).is_err() {
        let called = call(&["--record", text(&path), "127.0.0.1:0=http://127.0.0.1:1"]);
        called.assert_refused(1, &["--record", text(&path)]);
    }
}

#[test]
fn shells_get_completions_and_readers_a_manual() {
    for (shell, mark) in [
        ("bash", "_authtap()"),
        ("zsh", "#compdef authtap"),
        ("fish", "complete -c authtap"),
        ("powershell", "Register"),
    ] {
        let script = call(&["completions", shell]);
        let script = script.assert_fine();
        assert!(script.contains(mark) && script.contains("hop-key-file"), "{shell}: {script}");
    }
    let bash = call(&["completions", "bash"]).stdout;
    let (_dir, path) = file("authtap.bash", &format!("{bash}\ncomplete -p authtap\n"));
    let mut command = Command::new("bash");
    command.arg(text(&path));
    assert!(run(command).assert_fine().contains("_authtap"), "bash takes it");

    let page = call(&["man"]);
    let page = page.assert_fine();
    assert!(page.contains(".TH authtap 1") && page.contains("\\-\\-record") && page.contains("Exit codes"), "{page}");
    let page = call(&["man", "check"]);
    let page = page.assert_fine();
    assert!(page.contains(".TH authtap-check 1") && page.contains("\\-\\-fail\\-on"), "{page}");
    call(&["man", "nothing"]).assert_refused(2, &["there is no command \"nothing\"", "check", "echo"]);
    call(&["completions", "cmd"]).assert_refused(2, &["cmd", "bash"]);
}
