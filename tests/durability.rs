//! The record file: it is there after a kill, goes on after a full disk, can be moved away, and belongs to its owner alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::head::answer;
use common::{Client, DEADLINE, Origin, Tap, cert, curl, wait_for};
use serde_json::Value;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// How long the record of an exchange that is over may take to be in the file: 50 ms while more comes, and then the time
/// that a loaded machine needs for it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

fn origin() -> Origin {
    Origin::reply(answer("200 OK", &[], "served"))
}

fn ask(tap: &Tap, times: usize) {
    let mut client = Client::connect(tap.addr());
    (0..times).for_each(|_| assert_eq!(client.send(GET).read_response().1, b"served"));
}

/// The lines of a record that are whole, each an object, and whether there is something behind the last of them.
fn lines(record: &[u8]) -> (usize, bool) {
    let text = std::str::from_utf8(record).unwrap();
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    let count = text[..whole].lines().inspect(|line| drop(serde_json::from_str::<Value>(line).unwrap())).count();
    (count, whole < text.len())
}

#[test]
fn what_was_answered_is_in_the_record_after_a_kill() {
    const REQUESTS: usize = 500;
    let origin = origin();
    let tap = Tap::start(&origin.url());
    ask(&tap, REQUESTS);
    // The bound is what is tested: nobody asks whether the lines are there before.
    std::thread::sleep(WRITTEN_WITHIN);
    assert_eq!(lines(&tap.kill()), (REQUESTS, false));
}

#[test]
fn a_line_that_a_kill_cut_spoils_no_other() {
    let origin = origin();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("record.jsonl");
    fs::write(&file, "{\"schema\":\"authtap/1\",\"id\":\"01").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let path = file.to_str().unwrap();
    let tap = Tap::run(&["--record", path], &[&format!("127.0.0.1:0={}", origin.url())]);
    ask(&tap, 1);
    assert_eq!(tap.stop().code, Some(0));
    let text = fs::read_to_string(&file).unwrap();
    let (cut, rest) = text.split_once('\n').unwrap();
    assert_eq!(cut, "{\"schema\":\"authtap/1\",\"id\":\"01");
    assert_eq!(lines(rest.as_bytes()), (1, false));
}

#[test]
fn a_record_can_be_moved_away() {
    let origin = origin();
    let tap = Tap::start(&origin.url());
    ask(&tap, 2);
    tap.records(2);
    let moved = tap.record_file().with_extension("1");
    fs::rename(tap.record_file(), &moved).unwrap();
    tap.signal("HUP");
    wait_for("the new file", DEADLINE, || tap.record_file().exists().then_some(()));
    ask(&tap, 3);
    tap.records(3);
    assert_eq!(lines(&fs::read(&moved).unwrap()), (2, false));
    assert_eq!(fs::metadata(tap.record_file()).unwrap().permissions().mode() & 0o777, 0o600);
    // Where it can't be opened anew, the old one is written on.
    let folder = tap.record_file();
    fs::rename(&folder, folder.with_extension("2")).unwrap();
    fs::create_dir(&folder).unwrap();
    tap.signal("HUP");
    wait_for("the complaint", DEADLINE, || tap.stderr().contains("the old file is written on").then_some(()));
    ask(&tap, 1);
    let old = folder.with_extension("2");
    wait_for("its line", DEADLINE, || (lines(&fs::read(&old).unwrap()).0 == 4).then_some(()));
    fs::remove_dir(&folder).unwrap();
    assert_eq!(tap.stop().code, Some(0));
}

#[test]
fn a_certificate_is_read_again_and_a_wrong_one_changes_nothing() {
    let origin = origin();
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        for end in ["pem", "key"] {
            fs::copy(cert(&format!("{name}.{end}")), dir.path().join(format!("own.{end}"))).unwrap();
        }
    };
    put("self-signed");
    let files = ["pem", "key"].map(|end| dir.path().join(format!("own.{end}")).to_str().unwrap().to_owned());
    let tap = Tap::start_with(&origin.url(), &["--tls-cert", &files[0], "--tls-key", &files[1]]);
    let port = tap.addr().port();
    let (ca, resolve) = (cert("ca.pem"), format!("localhost:{port}:127.0.0.1"));
    let trusted =
        || curl(&["--cacert", &ca, "--resolve", &resolve, &format!("https://localhost:{port}/")]).status == 200;
    assert!(!trusted());
    put("localhost");
    tap.signal("HUP");
    wait_for("the new certificate", DEADLINE, || trusted().then_some(()));
    fs::write(&files[0], "no certificate").unwrap();
    tap.signal("HUP");
    wait_for("the complaint", DEADLINE, || tap.stderr().contains("the certificate stays as it was").then_some(()));
    assert!(trusted());
}

/// Sets how large a file may get that the tap writes: beyond it a write fails as on a full disk.
fn limit_files(tap: &Tap, size: &str) {
    let limit = format!("--fsize={size}:unlimited");
    let id = tap.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &id, &limit]).status();
    assert!(done.expect("prlimit is not there; get it with: bash tests/install.sh").success());
}

#[test]
fn a_record_goes_on_when_there_is_room_again_and_the_gap_is_told() {
    let origin = origin();
    let tap = Tap::start(&origin.url());
    ask(&tap, 1);
    let first = wait_for("the first record", DEADLINE, || {
        let size = fs::metadata(tap.record_file()).unwrap().len();
        (size > 0).then_some(size)
    });
    // Room for one and a half.
    limit_files(&tap, &(first * 5 / 2).to_string());
    ask(&tap, 10);
    wait_for("the complaint", DEADLINE, || tap.stderr().contains("cannot write the record").then_some(()));
    ask(&tap, 10);
    limit_files(&tap, "unlimited");
    wait_for("the record to go on", DEADLINE, || {
        ask(&tap, 1);
        tap.stderr().contains("can be written again").then_some(())
    });
    let file = fs::read_to_string(tap.record_file()).unwrap();
    // All lines are whole but the one within which the disk was full.
    let broken = file.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert!(broken <= 1, "{file}");
    // The broken one is no longer needed, and whoever reads the record behind this test wants it whole.
    let whole: String = file.split_inclusive('\n').filter(|line| serde_json::from_str::<Value>(line).is_ok()).collect();
    let stderr = tap.stderr();
    let (before, _) = stderr.split_once(" lines were lost").unwrap();
    let lost: usize = before.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(lost >= 10, "{stderr}");
    tap.signal("TERM");
    fs::write(tap.record_file(), whole).unwrap();
    let stopped = tap.wait();
    assert_eq!(stopped.code, Some(4), "{stopped:#?}");
    assert!(stopped.stdout.contains("records could not be written"), "{stopped:#?}");
}

fn refused(record: &Path) -> String {
    let mut command = common::tap::command();
    command.arg("--record").arg(record).arg("127.0.0.1:0=http://127.0.0.1:1");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    for is_there in [false, true] {
        if is_there {
            fs::write(&target, "").unwrap();
        } else {
            symlink(&target, &link).unwrap();
        }
        let words = refused(&link);
        assert!(words.contains("--record") && words.contains("symbolic link"), "{words}");
    }
    assert_eq!(fs::read(&target).unwrap(), b"");
}

#[test]
fn a_record_that_others_may_read_is_told() {
    let origin = origin().may_be_unused();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("record.jsonl");
    fs::write(&file, "").unwrap();
    for (mode, is_told) in [(0o600, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let tap = Tap::run(&["--record", file.to_str().unwrap()], &[&format!("127.0.0.1:0={}", origin.url())]);
        let stopped = tap.stop();
        assert_eq!(stopped.stderr.contains("chmod 600"), is_told, "{stopped:#?}");
    }
}
