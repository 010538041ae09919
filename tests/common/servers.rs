//! Real servers, each in the foreground with a configuration, a folder and a port of its own.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;
use super::process::Process;

/// A running server. It ends with its value.
///
/// In configurations and files, `@ADDR@` stands for its address, `@PORT@` for its port, `@DIR@` for its folder and
/// `@CERTS@` for the project's test certificates.
pub struct Server {
    // The process is dropped, and so ended, before its folder.
    process: Process,
    dir: TempDir,
    addr: SocketAddr,
}

/// Files to write into a server's folder: name and text. One that starts with `#!` becomes executable.
pub type Files<'a> = &'a [(&'a str, &'a str)];

pub struct Nginx;
pub struct Apache;
pub struct Haproxy;
pub struct Caddy;

/// Envoy before one cluster, `app`. All parts are YAML in its flow style, each with a comma at its end where it is not
/// empty, since there the white space does not matter.
#[derive(Default)]
pub struct Envoy<'a> {
    /// Options of the HTTP connection manager: `http_protocol_options: {...},`.
    pub manager: &'a str,
    /// Filters before the router: `{name: ..., typed_config: {...}},`.
    pub filters: &'a str,
    /// Routes that are tried before the one that takes everything to `app`.
    pub routes: &'a str,
    /// Options of that last route, beside its `match` and `route`: `request_headers_to_remove: [...],`.
    pub last_route: &'a str,
    /// Options of its action, beside the cluster: `prefix_rewrite: /x,`.
    pub action: &'a str,
    /// Options of the cluster.
    pub cluster: &'a str,
    /// Further clusters.
    pub clusters: &'a str,
}

impl Nginx {
    /// `http` goes into the `http` block; it has the whole `server { listen @ADDR@; ... }`.
    pub fn start(http: &str, files: Files<'_>) -> Server {
        let user = if is_root() { "user root;" } else { "" };
        // One process: a master that is killed leaves its workers behind.
        let config = format!(
            r"
            {user}
            daemon off;
            master_process off;
            pid @DIR@/nginx.pid;
            error_log stderr info;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                client_body_temp_path @DIR@/body;
                proxy_temp_path @DIR@/proxy;
                fastcgi_temp_path @DIR@/fastcgi;
                uwsgi_temp_path @DIR@/uwsgi;
                scgi_temp_path @DIR@/scgi;
                {http}
            }}
            "
        );
        // `-e`: nginx opens its log before it has read where it should be.
        launch("nginx", &config, files, |config, dir| {
            vec!["-c".into(), config.into(), "-p".into(), dir.into(), "-e".into(), "stderr".into()]
        })
    }
}

impl Apache {
    /// `config` goes to the end of the main configuration, where the usual modules are loaded.
    pub fn start(config: &str, files: Files<'_>) -> Server {
        // Apache doesn't serve pages as root; a user who isn't root can't switch.
        let user = if is_root() { "User www-data\nGroup www-data" } else { "" };
        let modules = [
            "mpm_event",
            "authn_core",
            "authn_file",
            "authz_core",
            "authz_user",
            "auth_basic",
            "auth_digest",
            "alias",
            "cgid",
            "headers",
            "http2",
            "proxy",
            "proxy_http",
            "proxy_http2",
            "rewrite",
            "setenvif",
        ]
        .map(|module| format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so"))
        .join("\n");
        let config = format!(
            r#"
ServerRoot "@DIR@"
ServerName localhost
Listen @ADDR@
PidFile "@DIR@/apache2.pid"
DefaultRuntimeDir "@DIR@"
ErrorLog "@DIR@/error.log"
{modules}
{user}
ScriptSock "@DIR@/cgid.sock"
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
MinSpareThreads 1
MaxSpareThreads 16
DocumentRoot "@DIR@"
{config}
"#
        );
        launch("apache2", &config, files, |config, _| vec!["-f".into(), config.into(), "-DFOREGROUND".into()])
    }
}

impl Haproxy {
    /// `sections` are the whole `frontend` and `backend` sections, with `bind @ADDR@`.
    pub fn start(sections: &str, files: Files<'_>) -> Server {
        let config = format!(
            r"
global
    nbthread 1
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
{sections}
"
        );
        launch("haproxy", &config, files, |config, _| vec!["-f".into(), config.into(), "-db".into()])
    }
}

impl Caddy {
    /// `site` is what stands in the block of the only site, which answers for every host.
    pub fn start(site: &str, files: Files<'_>) -> Server {
        let config = format!(
            r"
{{
    admin off
    auto_https off
    storage file_system @DIR@/storage
}}
:@PORT@ {{
    bind 127.0.0.1
{site}
}}
"
        );
        launch("caddy", &config, files, |config, _| {
            ["run", "--adapter", "caddyfile", "--config", config].map(str::to_owned).to_vec()
        })
    }
}

impl Envoy<'_> {
    /// Before `app`, such as `127.0.0.1:4711`.
    pub fn start(&self, app: &str, files: Files<'_>) -> Server {
        let Self { manager, filters, routes, last_route, action, cluster, clusters } = self;
        let app = Self::endpoint(app);
        let config = format!(
            r#"
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: @PORT@}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config: {{
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager,
          stat_prefix: in,
          {manager}
          http_filters: [
            {filters}
            {{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
          ],
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [
            {routes}
            {{match: {{prefix: "/"}}, {last_route} route: {{{action} cluster: app}}}}
          ]}}]}}
        }}
  clusters: [
    {{name: app, connect_timeout: 5s, {cluster} {app}}},
    {clusters}
  ]
"#
        );
        launch("envoy", &config, files, |config, _| {
            ["--disable-hot-restart", "--concurrency", "1", "-l", "warning", "--config-path", config]
                .map(str::to_owned)
                .to_vec()
        })
    }

    /// The part of a cluster that says where it is, for [`Envoy::clusters`].
    pub fn endpoint(addr: &str) -> String {
        let (host, port) = addr.rsplit_once(':').unwrap();
        format!(
            "type: STATIC, load_assignment: {{cluster_name: any, endpoints: [{{lb_endpoints: [{{endpoint: {{address: \
             {{socket_address: {{address: {host}, port_value: {port}}}}}}}}}]}}]}}"
        )
    }
}

impl Server {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn https_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.addr)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the server has to say about itself.
    pub fn log(&self) -> String {
        let file = fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default();
        format!("{}{}{file}", self.process.stdout.text(), self.process.stderr.text())
    }
}

/// Where a program is. A missing one is a failure that says how to get it, never a reason to skip.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    // Debian keeps daemons where an ordinary user's PATH does not look; Envoy is put among the build's files.
    let envoy = concat!(env!("CARGO_MANIFEST_DIR"), "/target/envoy");
    let places = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin", envoy]);
    places
        .map(|place| Path::new(place).join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed; get it with: bash tests/install.sh"))
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A port that is free at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn launch(name: &str, config: &str, files: Files<'_>, args: impl Fn(&str, &str) -> Vec<String>) -> Server {
    let mut last = String::new();
    // Between finding a free port and the server's taking it, somebody else may: then another port is tried.
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        // The server may run as another user than the one who starts it.
        fs::set_permissions(dir.path(), Permissions::from_mode(if is_root() { 0o777 } else { 0o755 })).unwrap();
        let dir_text = dir.path().to_str().unwrap();
        let filled = |text: &str| {
            text.replace("@ADDR@", &addr.to_string())
                .replace("@PORT@", &addr.port().to_string())
                .replace("@DIR@", dir_text)
                .replace("@CERTS@", concat!(env!("CARGO_MANIFEST_DIR"), "/certs"))
        };
        for (file, text) in files {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, filled(text)).unwrap();
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        }
        // Envoy goes by the file's ending.
        let config_file = dir.path().join(if name == "envoy" { "server.yaml" } else { "server.conf" });
        fs::write(&config_file, filled(config)).unwrap();
        let mut command = Command::new(program(name));
        command.args(args(config_file.to_str().unwrap(), dir_text)).current_dir(dir.path());
        // Caddy keeps what it was told in the home of whoever runs it, unless told where else.
        command.env("XDG_CONFIG_HOME", dir.path()).env("XDG_DATA_HOME", dir.path());
        let mut server = Server { process: Process::spawn(command).unwrap(), dir, addr };
        match await_listening(&mut server.process, addr.port()) {
            Ok(()) => return server,
            Err(why) => last = format!("{why}\n{}", server.log()),
        }
    }
    panic!("{name} does not start: {last}");
}

/// Waits until this very process listens on the port; that somebody accepts there would not be proof enough.
fn await_listening(process: &mut Process, port: u16) -> Result<(), String> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = process.has_ended() {
            process.stderr.whole(Duration::from_secs(1));
            return Err(format!("it ended with {status}"));
        }
        if let Some(inode) = listening_inode(port)
            && holds_socket(process.id(), &inode)
        {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("it does not listen on port {port}"));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn listening_inode(port: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let address = format!("0100007F:{port:04X}");
    table.lines().find_map(|line| {
        let columns = line.split_whitespace().collect::<Vec<_>>();
        // 0A is LISTEN.
        (columns.get(1) == Some(&address.as_str()) && columns.get(3) == Some(&"0A"))
            .then(|| columns.get(9).map(|inode| (*inode).to_owned()))
            .flatten()
    })
}

fn holds_socket(pid: u32, inode: &str) -> bool {
    let wanted = format!("socket:[{inode}]");
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
}
