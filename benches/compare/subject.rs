//! What stands between the load and the origin, and how each of it is started.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Tree;

/// One of those that are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Direct,
    Splice,
    Nginx,
    Haproxy,
    Mitmproxy,
    /// With the record and the log for programs.
    Authtap,
    /// With the record and the log for people.
    AuthtapText,
    /// And with a header for a tap behind.
    AuthtapHops,
    /// With the record and the log for programs, and no diagnosis.
    AuthtapUndiagnosed,
}

pub(crate) const ALL: [Subject; 9] = [
    Subject::Direct,
    Subject::Splice,
    Subject::Nginx,
    Subject::Haproxy,
    Subject::Mitmproxy,
    Subject::Authtap,
    Subject::AuthtapText,
    Subject::AuthtapHops,
    Subject::AuthtapUndiagnosed,
];

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Direct => "direct",
            Subject::Splice => "splice",
            Subject::Nginx => "nginx",
            Subject::Haproxy => "haproxy",
            Subject::Mitmproxy => "mitmproxy",
            Subject::Authtap => "authtap",
            Subject::AuthtapText => "authtap-text",
            Subject::AuthtapHops => "authtap-hops",
            Subject::AuthtapUndiagnosed => "authtap-undiagnosed",
        }
    }

    /// Whether it can be reached so at all.
    pub(crate) fn has_tls(self) -> bool {
        !matches!(self, Subject::Direct | Subject::Splice)
    }
}

/// How a subject is to be set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Whether it speaks TLS with clients.
    pub(crate) tls: bool,
    /// Whether each connection of a client has one of its own to the origin, which with the tap is so anyway.
    pub(crate) is_anew: bool,
}

/// A program that is ended with this.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    child: Option<Child>,
}

impl Running {
    pub(crate) fn tree(&self) -> Option<Tree> {
        self.child.as_ref().map(|child| Tree(child.id()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // SIGTERM, so that children are ended as well.
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = child.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// This program in another role, on a port that it chooses.
pub(crate) fn own(role: &str, to: Option<SocketAddr>) -> Running {
    let mut command = Command::new(std::env::current_exe().expect("this program's file"));
    command.arg(format!("--role={role}")).args(to.map(|to| to.to_string()));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("this program");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its words")).read_line(&mut line).expect("its port");
    Running { addr: line.trim().parse().expect("its address"), child: Some(child) }
}

/// Starts a subject in front of an origin, with files of its own in `folder`.
pub(crate) fn start(subject: Subject, origin: SocketAddr, setup: Setup, folder: &Path) -> Running {
    let tls = setup.tls;
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a folder");
    match subject {
        Subject::Direct => Running { addr: origin, child: None },
        Subject::Splice => own("splice", Some(origin)),
        Subject::Nginx => nginx(origin, setup, folder),
        Subject::Haproxy => haproxy(origin, setup, folder),
        Subject::Mitmproxy => mitmproxy(origin, tls, folder),
        Subject::Authtap => authtap(origin, tls, folder, &["--log-format", "json"]),
        Subject::AuthtapText => authtap(origin, tls, folder, &[]),
        Subject::AuthtapUndiagnosed => authtap(origin, tls, folder, &["--log-format", "json", "--no-diagnosis"]),
        Subject::AuthtapHops => {
            let key = folder.join("hop.key");
            fs::write(&key, "a key for this run of the bench").expect("a file");
            let key = key.to_string_lossy();
            authtap(origin, tls, folder, &["--log-format", "json", "--hop-key-file", &key, "--hop-peers", "behind"])
        }
    }
}

fn authtap(origin: SocketAddr, tls: bool, folder: &Path, options: &[&str]) -> Running {
    let addr = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_authtap"));
    command.args(options).arg("--record").arg(folder.join("record.jsonl"));
    if tls {
        command.arg("--tls-cert").arg(cert("localhost.pem")).arg("--tls-key").arg(cert("localhost.key"));
    }
    command.arg(format!("{addr}=http://{origin}"));
    running(command, addr, folder)
}

fn nginx(origin: SocketAddr, setup: Setup, folder: &Path) -> Running {
    let addr = free_port();
    let (cert, key, here) = (cert("localhost.pem"), cert("localhost.key"), folder.display());
    let listen = if setup.tls {
        format!(
            "{addr} ssl http2 reuseport backlog=8192; ssl_certificate {cert}; ssl_certificate_key {key}",
            cert = cert.display(),
            key = key.display()
        )
    } else {
        format!("{addr} reuseport backlog=8192")
    };
    let (pool, reuse) = match setup.is_anew {
        true => ("", "proxy_http_version 1.0;"),
        false => {
            ("keepalive 64; keepalive_requests 100000000;", "proxy_http_version 1.1; proxy_set_header Connection \"\";")
        }
    };
    let text = format!(
        "daemon off; worker_processes 2; worker_rlimit_nofile 32768; pid {here}/pid; error_log {here}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log {here}/access.log combined;
  keepalive_requests 100000000;
  client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f;
  uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  client_max_body_size 0; proxy_max_temp_file_size 0; proxy_request_buffering off;
  upstream origin {{ server {origin}; {pool} }}
  server {{
    listen {listen};
    location / {{ proxy_pass http://origin; {reuse} }}
  }}
}}
"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).expect("a configuration");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(file);
    running(command, addr, folder)
}

fn haproxy(origin: SocketAddr, setup: Setup, folder: &Path) -> Running {
    let addr = free_port();
    let pem = folder.join("both.pem");
    let both = [fs::read(cert("localhost.pem")), fs::read(cert("localhost.key"))].map(|file| file.expect("a PEM file"));
    fs::write(&pem, both.concat()).expect("a file");
    let ssl = if setup.tls { format!(" ssl crt {} alpn h2,http/1.1", pem.display()) } else { String::new() };
    let reuse = if setup.is_anew { "http-reuse never" } else { "" };
    let text = format!(
        "global
  nbthread 2
  maxconn 8000
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 10s
  timeout client 300s
  timeout server 300s
frontend front
  bind {addr}{ssl} backlog 8192
  capture request header Authorization len 1024
  capture response header WWW-Authenticate len 256
  default_backend origin
backend origin
  {reuse}
  server origin {origin}
"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).expect("a configuration");
    let mut command = Command::new("haproxy");
    command.arg("-f").arg(file);
    running(command, addr, folder)
}

fn mitmproxy(origin: SocketAddr, tls: bool, folder: &Path) -> Running {
    let addr = free_port();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mitmproxy/bin/mitmdump");
    let mut command = Command::new(program);
    command.args(["--listen-host", "127.0.0.1", "--listen-port", &addr.port().to_string()]);
    command.args(["--mode", &format!("reverse:http://{origin}"), "--set", "flow_detail=1"]);
    command.arg("--set").arg(format!("confdir={}", folder.display()));
    command.arg("--save-stream-file").arg(folder.join("flows"));
    if tls {
        let pem = folder.join("both.pem");
        let both =
            [fs::read(cert("localhost.key")), fs::read(cert("localhost.pem"))].map(|file| file.expect("a PEM file"));
        fs::write(&pem, both.concat()).expect("a file");
        command.arg("--certs").arg(format!("*={}", pem.display()));
    }
    running(command, addr, folder)
}

fn cert(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(name)
}

/// A port that nobody listens on. None of these programs can tell of one that it chose.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn running(mut command: Command, addr: SocketAddr, folder: &Path) -> Running {
    let file = |name: &str| File::create(folder.join(name)).expect("a file");
    let child = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr")).spawn();
    let child =
        child.unwrap_or_else(|error| panic!("start {command:?}: {error}; `bash benches/install.sh` installs it"));
    let mut running = Running { addr, child: Some(child) };
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(addr).is_err() {
        let ended = running.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        let words = || fs::read_to_string(folder.join("stderr")).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < until, "{command:?} does not listen: {}", words());
        thread::sleep(Duration::from_millis(20));
    }
    running
}
