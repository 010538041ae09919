//! curl, with nothing from the settings of whoever runs the tests.

use std::process::{Command, Stdio};

use super::servers::program;

#[derive(Debug)]
pub struct CurlResult {
    /// curl's exit code; 0 means that the transfer went well, whatever the status.
    pub exit: i32,
    /// The status of the last response, 0 if there was none.
    pub status: u16,
    /// `1.1` or `2`.
    pub http_version: String,
    /// The body, unless the arguments sent it elsewhere.
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// Every response head that came, interim and handshake ones included.
    pub heads: String,
}

impl CurlResult {
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last response's field of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<String> {
        let last = self.heads.trim_end().rsplit("\r\n\r\n").next()?;
        last.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    }

    /// The transfer went through, with that status.
    #[track_caller]
    pub fn assert_status(&self, expected: u16) -> &Self {
        assert_eq!((self.exit, self.status), (0, expected), "{self:#?}");
        self
    }
}

/// Runs curl; it gives up by itself after a minute.
pub fn curl(args: &[&str]) -> CurlResult {
    const MARK: &str = "\n--transfer-- ";
    let dir = tempfile::tempdir().unwrap();
    let heads = dir.path().join("heads");
    let output = Command::new(program("curl"))
        // `-q` has to come first: no ~/.curlrc.
        .args(["-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60"])
        .args(["--write-out", &format!("{MARK}%{{http_code}} %{{http_version}}")])
        .arg("--dump-header")
        .arg(&heads)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut stdout = output.stdout;
    let at = stdout.windows(MARK.len()).rposition(|window| window == MARK.as_bytes());
    let said = at.map(|at| String::from_utf8(stdout.split_off(at)).unwrap()).unwrap_or_default();
    let mut words = said.trim_start_matches(MARK).split(' ');
    CurlResult {
        exit: output.status.code().unwrap_or(-1),
        status: words.next().and_then(|code| code.parse().ok()).unwrap_or(0),
        http_version: words.next().unwrap_or_default().to_owned(),
        stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        heads: String::from_utf8_lossy(&std::fs::read(&heads).unwrap_or_default()).into_owned(),
    }
}
