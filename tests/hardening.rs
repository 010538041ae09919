//! What the program does for itself: no core file, no debugger, no more clients than descriptors, nothing that the
//! environment asks for behind the operator's back, and nothing of a peer in a panic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::canaries::{API_KEY, BEARER_TOKEN, assert_no_secret};
use common::head::answer;
use common::process::Process;
use common::record::header_values;
use common::{Client, DEADLINE, Origin, Tap, cert, curl, wait_for};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const MISSING: &str = "prlimit and setpriv are not there; get them with: bash tests/install.sh";

fn origin() -> Origin {
    Origin::reply(answer("200 OK", &[], "served"))
}

/// The soft and the hard limit of a process.
fn limit(id: u32, name: &str) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

/// Runs the program until it listens, as a user who is not root: for root the system makes exceptions.
fn as_a_user(options: &[&str]) -> (Process, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = dir.path().join("authtap");
    // By a process of its own: a file that is open for writing here could be so in a child of another test, and can't be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_authtap")).arg(&program).status().unwrap();
    assert!(copied.success());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = match is_root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=12345", "--regid=12345", "--clear-groups"]).arg(&program);
            command
        }
        false => Command::new(&program),
    };
    command.current_dir(dir.path()).args(options).arg("127.0.0.1:0=http://127.0.0.1:1");
    let process = Process::spawn(command).expect(MISSING);
    process.stderr.wait_until(DEADLINE, |text| text.contains("->").then_some(())).expect("a banner");
    (process, dir)
}

#[test]
fn no_core_file_is_written_and_no_debugger_may_attach() {
    for (options, is_open) in [(&[][..], false), (&["--allow-core"], true)] {
        let (mut process, dir) = as_a_user(options);
        let id = process.id();
        let user = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let user = user.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        let user: u32 = user.split_whitespace().next().unwrap().parse().unwrap();
        // What may be looked at by its own user belongs to that user, and to root otherwise (proc(5), ptrace(2)).
        assert_eq!(fs::metadata(format!("/proc/{id}/mem")).unwrap().uid() == user, is_open, "{options:?}");
        if !is_open {
            assert_eq!(limit(id, "Max core file size"), ("0".to_owned(), "0".to_owned()));
            process.signal("ABRT");
            process.wait(DEADLINE);
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(left, ["authtap"]);
        }
    }
}

#[test]
fn the_limit_of_descriptors_is_raised_as_far_as_it_goes() {
    let command = common::tap::command();
    let mut shell = Command::new("sh");
    let program = command.get_program().to_str().unwrap();
    shell.args(["-c", &format!("ulimit -Sn 64; ulimit -Hn 500; exec {program} 127.0.0.1:0=http://127.0.0.1:1")]);
    let process = Process::spawn(shell).unwrap();
    process.stderr.wait_until(DEADLINE, |text| text.contains("->").then_some(())).expect("a banner");
    assert_eq!(limit(process.id(), "Max open files"), ("500".to_owned(), "500".to_owned()));
}

/// Runs a tap that gets so many descriptors and no more.
fn with_descriptors(number: usize, origin: &Origin) -> (Process, std::net::SocketAddr) {
    let program = env!("CARGO_BIN_EXE_authtap");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {number}; exec {program} --threads 1 127.0.0.1:0={}", origin.url())]);
    let process = Process::spawn(shell).unwrap();
    let addr = process.stderr.wait_until(DEADLINE, |text| {
        let (before, _) = text.split_once("  ->")?;
        before.split("http://").nth(1)?.parse().ok()
    });
    let addr = addr.expect("a banner");
    (process, addr)
}

#[test]
fn no_more_clients_are_taken_than_there_are_descriptors_for() {
    let origin = origin();
    let (process, addr) = with_descriptors(200, &origin);
    let mut clients: Vec<Client> = (0..200).map(|_| Client::connect(addr)).collect();
    let mut served = Vec::new();
    for mut client in clients.drain(..) {
        let sent = client.try_send(GET).is_ok();
        if sent && client.read_some().is_some_and(|bytes| bytes.ends_with(b"served")) {
            served.push(client);
        }
    }
    assert!((20..60).contains(&served.len()), "{} were served", served.len());
    // Those that are served still are, and the others are told nothing wrong.
    for client in &mut served {
        assert_eq!(client.send(GET).read_response().1, b"served");
    }
    assert!(process.stderr.text().contains("turned away"), "{}", process.stderr.text());
    assert!(!process.stderr.text().contains("cannot accept"), "{}", process.stderr.text());
    drop(served);
    wait_for("room for another client", DEADLINE, || {
        let mut client = Client::connect(addr);
        client.try_send(GET).ok()?;
        client.read_some().filter(|bytes| bytes.ends_with(b"served")).map(drop)
    });
}

/// The processor time that a process has used, in hundredths of a second.
fn used(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let times: Vec<u64> = rest.split(' ').skip(11).take(2).map(|word| word.parse().unwrap()).collect();
    times.iter().sum()
}

#[test]
fn without_descriptors_it_waits_and_does_not_spin() {
    let origin = origin();
    let tap = Tap::start_with(&origin.url(), &["--threads", "1"]);
    let mut first = Client::connect(tap.addr());
    assert_eq!(first.send(GET).read_response().1, b"served");
    // Somebody takes all that are left.
    let id = tap.id().to_string();
    let set = |number: &str| {
        let limit = format!("--nofile={number}:4096");
        assert!(Command::new("prlimit").args(["--pid", &id, &limit]).status().expect(MISSING).success());
    };
    set("4");
    let mut second = Client::connect(tap.addr());
    second.send(GET);
    wait_for("the complaint", DEADLINE, || tap.stderr().contains("cannot accept a connection").then_some(()));
    let before = used(tap.id());
    // A second in which it could spin, with the client still waiting.
    std::thread::sleep(Duration::from_secs(1));
    let spent = used(tap.id()) - before;
    assert!(spent < 30, "{spent} hundredths of a second of processor time in one second");
    assert!(tap.stderr().matches("cannot accept").count() <= 4, "{}", tap.stderr());
    assert_eq!(first.send(GET).read_response().1, b"served");
    set("4096");
    assert_eq!(second.read_response().1, b"served");
    tap.records(3);
}

#[test]
fn the_keys_of_sessions_are_written_where_that_was_asked_for_and_nowhere_else() {
    let origin = origin();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.log");
    for (asks, is_written) in [(false, false), (true, true)] {
        let mut command = common::tap::command();
        command.env("SSLKEYLOGFILE", &file).args(["--tls", &format!("127.0.0.1:0={}", origin.url())]);
        if asks {
            command.arg("--tls-key-log");
        }
        let process = Process::spawn(command).unwrap();
        let url = process.stderr.wait_until(DEADLINE, |text| {
            text.contains("Ctrl-C")
                .then(|| text.split_whitespace().find(|word| word.starts_with("https://")).unwrap().to_owned())
        });
        curl(&["-k", &url.unwrap()]).assert_status(200);
        assert_eq!(file.exists(), is_written);
        assert_eq!(process.stderr.text().contains("WARNING: --tls-key-log"), is_written);
    }
}

#[test]
fn what_is_to_be_redacted_is_told_nowhere() {
    // They are on the safe list, or harmless by their names.
    const VALUES: [&str; 4] = ["plum-jam", "quince-jam", "gage-jam", "medlar-jam"];
    let origin =
        Origin::reply(answer("401 No", &["Server: gage-jam", "WWW-Authenticate: Basic realm=\"medlar-jam\""], ""));
    let request = "GET /a?page=plum-jam&lang=en HTTP/1.1\r\nHost: a\r\nUser-Agent: quince-jam\r\n\r\n";
    let redact = ["--redact", "PAGE", "--redact", "user-agent", "--redact", "Server", "--redact", "realm"];
    for (options, is_told) in [(&[][..], true), (&redact, false)] {
        let tap = Tap::start_with(&origin.url(), options);
        assert_eq!(Client::connect(tap.addr()).send(request).read_response().0.status(), 401);
        let record = tap.record();
        let agent = header_values(&record["request"], "User-Agent")[0];
        assert_eq!(agent.starts_with("<redacted fp="), !is_told, "{agent}");
        let file = fs::read_to_string(tap.record_file()).unwrap();
        assert!(file.contains("lang=en"), "{file}");
        let told = file + &tap.stop().stdout;
        for value in VALUES {
            assert_eq!(told.contains(value), is_told, "{value}: {told}");
        }
    }
}

#[test]
fn no_secret_can_be_given_on_the_command_line() {
    let output = common::tap::command()
        .arg(format!("127.0.0.1:0=http://anna:{API_KEY}@127.0.0.1:1"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_no_secret(&String::from_utf8_lossy(&output.stderr));
    // Where a key is needed, it is the name of a file.
    let help = common::tap::command().arg("--help").stdin(Stdio::null()).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in ["--key ", "--tls-key ", "--hop-key-file ", "--fingerprint-key-file ", "--jwt-secret-file "] {
        let at = help.find(option).unwrap_or_else(|| panic!("{option} is not in the help"));
        assert!(help[at + option.len()..].starts_with("<FILE>"), "{option}");
    }
}

/// What this test runs again as a process of its own: the program's hook, and a panic that holds a secret.
const PANICS: &str = "AUTHTAP_TEST_PANICS";

#[test]
fn a_panic_says_where_it_was_and_nothing_of_what_was_there() {
    if std::env::var_os(PANICS).is_some() {
        authtap::panics::say_only_where();
        let token = BEARER_TOKEN.to_owned();
        let _ = std::thread::spawn(move || panic!("could not read {token:?}")).join();
        return;
    }
    let name = "a_panic_says_where_it_was_and_nothing_of_what_was_there";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args([name, "--exact", "--nocapture"]).env(PANICS, "1").output().unwrap();
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(all.contains("a fault in the program at tests/hardening.rs:"), "{all}");
    assert_no_secret(&all);
}

#[test]
fn a_crash_report_names_no_certificate_and_no_key() {
    // A key in place of a certificate is not repeated.
    let key = fs::read_to_string(cert("localhost.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let mut command = common::tap::command();
    command.args([
        "--tls-cert",
        &cert("localhost.key"),
        "--tls-key",
        &cert("localhost.pem"),
        "127.0.0.1:0=http://127.0.0.1:1",
    ]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stderr).contains(&line[..20]));
}
