//! Connections that the kernel redirects, in network namespaces of the tests' own.
//!
//! Each test runs itself again in a new namespace, where it may set rules that touch nobody else. As root that needs nothing
//! more; other users get a namespace of users as well.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::process::Process;
use common::record::{assert_ok, assert_untouched, assert_verdict, header_values};
use common::servers::{is_root, program};
use common::{Client, Conn, DEADLINE, Nginx, Origin, Server, Tap, cert, curl, tap, wait_for};

/// Set within a namespace.
const INSIDE: &str = "AUTHTAP_TEST_NAMESPACE";

/// An address of this machine that no other test has, since its namespace is its own.
const APP: &str = "10.9.0.1";
const APP6: &str = "fd00:9::1";

/// Runs the test of that name in a namespace of its own.
fn in_namespace(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        sh(&format!("ip link set lo up; ip addr add {APP}/32 dev lo; ip -6 addr add {APP6}/128 dev lo nodad"));
        return body();
    }
    let new = if is_root() { "-n" } else { "-Urn" };
    let mut command = Command::new(program("unshare"));
    command.arg(new).arg(std::env::current_exe().unwrap()).env(INSIDE, "1");
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let mut process = Process::spawn(command).unwrap();
    let status = process.wait(3 * DEADLINE);
    let (said, complained) = (process.stdout.whole(DEADLINE), process.stderr.whole(DEADLINE));
    let was_run = said.contains("test result: ok. 1 passed");
    assert!(
        status.success() && was_run,
        "{said}\n{complained}\nIf it may make no namespace: run it as root, or permit it with: sysctl -w \
         kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
    );
}

/// Runs lines of a shell, each of which has to succeed.
#[track_caller]
fn sh(lines: &str) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh").args(["-ec", lines]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{lines}\n{output:?}");
}

/// What `authtap redirect` prints.
fn rules(args: &[&str]) -> String {
    let output: Output = tap::command().arg("redirect").args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A transparent tap for both families, whose connections have a mark.
fn start(options: &[&str]) -> (Tap, String) {
    let tap = Tap::run(&[&["--transparent", "--mark", "7"], options].concat(), &["[::]:0"]);
    let port = tap.addr().port().to_string();
    (tap, port)
}

/// Rules that are set until this is dropped: a scripted origin, which is declared before, ends by calling itself.
struct Rules(String);

impl Drop for Rules {
    fn drop(&mut self) {
        sh(&self.0);
    }
}

/// Redirects the connections of this namespace to those ports, but for the tap's.
#[must_use]
fn redirect(ports: &[&str], to: &str) -> Rules {
    let args = [ports, &["--to", to, "--mark", "7"]].concat();
    sh(&rules(&args));
    Rules(rules(&[&args[..], &["--undo"]].concat()))
}

/// Another network namespace, at the other end of a cable: 10.NUMBER.0.2 and fd00:NUMBER::2, where this end has 1.
struct Neighbour(Process);

impl Neighbour {
    fn new(name: &str, number: u8) -> Self {
        let mut sleeper = Command::new(program("unshare"));
        sleeper.args(["-n", "sleep", "600"]);
        let neighbour = Neighbour(Process::spawn(sleeper).unwrap());
        let pid = neighbour.0.id();
        // The process is there before its namespace is.
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        wait_for("the namespace of a neighbour", DEADLINE, || {
            std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|its| its != own).then_some(())
        });
        sh(&format!(
            "ip link add to-{name} type veth peer name {name}
             ip link set {name} netns {pid}
             ip addr add 10.{number}.0.1/24 dev to-{name}
             ip -6 addr add fd00:{number}::1/64 dev to-{name} nodad
             ip link set to-{name} up"
        ));
        neighbour.sh(&format!(
            "ip link set lo up
             ip link set {name} up
             ip addr add 10.{number}.0.2/24 dev {name}
             ip -6 addr add fd00:{number}::2/64 dev {name} nodad"
        ));
        neighbour
    }

    /// A command that is run there.
    fn command(&self) -> Command {
        let mut command = Command::new(program("nsenter"));
        command.args(["-t", &self.0.id().to_string(), "-n"]);
        command
    }

    #[track_caller]
    fn sh(&self, lines: &str) {
        sh(&format!("nsenter -t {} -n sh -ec '{lines}'", self.0.id()));
    }

    fn curl(&self, args: &[&str]) -> Output {
        self.command().args(["curl", "-q", "-sS", "-g", "--max-time", "60"]).args(args).output().unwrap()
    }

    /// A server that answers every request.
    fn echo(&self, addr: &str) -> Process {
        let mut command = self.command();
        command.args([env!("CARGO_BIN_EXE_authtap"), "echo", addr]);
        Process::spawn(command).unwrap()
    }
}

fn nginx() -> Server {
    let both = |port: &str| format!("listen {APP}:{port}; listen [{APP6}]:{port};");
    Nginx::start(
        &format!(
            r#"
            server {{
                {}
                listen {APP}:443 ssl http2;
                ssl_certificate @CERTS@/localhost.pem;
                ssl_certificate_key @CERTS@/localhost.key;
                add_header X-Host $http_host;
                add_header X-Protocol $server_protocol;
                return 200 "$server_addr:$server_port\n";
            }}
            server {{
                listen {APP}:81 proxy_protocol;
                add_header X-Client $proxy_protocol_addr;
                return 200 "$proxy_protocol_server_addr:$proxy_protocol_server_port\n";
            }}
            server {{ listen {APP}:82 http2; return 200 two; }}
            server {{ listen @ADDR@; }}
            "#,
            both("80")
        ),
        &[],
    )
}

/// Rules that were set are undone, and both families go through the tap in between.
fn set_and_undone(format: &str) {
    let _nginx = nginx();
    let urls = [format!("http://{APP}/v1"), format!("http://[{APP6}]/v1")];
    let (tap, port) = start(&[]);
    let args = ["80", "--to", &port, "--mark", "7", "--format", format];
    let direct: Vec<String> = urls.iter().map(|url| curl(&[url]).assert_status(200).body()).collect();
    assert_eq!(direct, [format!("{APP}:80\n"), format!("{APP6}:80\n")]);

    // Whoever sets them twice undoes them once.
    sh(&rules(&args));
    sh(&rules(&args));
    let redirected: Vec<String> = urls.iter().map(|url| curl(&[url]).assert_status(200).body()).collect();
    assert_eq!(redirected, direct);
    let records = tap.records(2);
    for (record, addr) in records.iter().zip([format!("{APP}:80"), format!("[{APP6}]:80")]) {
        assert_ok(record);
        assert_untouched(record);
        assert_eq!(record["upstream"]["addr"], addr);
        assert_eq!(record["upstream"]["url"], format!("http://{addr}"));
        // Its port is the scheme's own, so that the client leaves it out.
        assert_eq!(header_values(&record["request"], "Host"), [addr.trim_end_matches(":80")]);
    }

    sh(&rules(&[&args[..], &["--undo"]].concat()));
    let after: Vec<String> = urls.iter().map(|url| curl(&[url]).assert_status(200).body()).collect();
    assert_eq!(after, direct);
    let stopped = tap.stop();
    assert_eq!((stopped.code, stopped.records.len()), (Some(0), 2), "{stopped:#?}");
    assert!(stopped.stderr.contains("->  where each connection was going"), "{}", stopped.stderr);
}

#[test]
fn rules_of_iptables_redirect_both_families_and_can_be_undone() {
    in_namespace("rules_of_iptables_redirect_both_families_and_can_be_undone", || set_and_undone("iptables"));
}

#[test]
fn rules_of_nft_redirect_both_families_and_can_be_undone() {
    in_namespace("rules_of_nft_redirect_both_families_and_can_be_undone", || set_and_undone("nft"));
}

#[test]
fn the_bytes_are_those_of_a_direct_connection() {
    in_namespace("the_bytes_are_those_of_a_direct_connection", || {
        let request = "get  /a HTTP/1.1\r\nhOST: b\r\nX-A:1\r\nX-A: 2\r\n\r\n";
        let reply = b"HTTP/1.1 200 Fine\r\nx-b:  1 \r\nContent-Length: 2\r\n\r\nok";
        let origin = Origin::start(move |conn: &mut Conn| {
            while conn.read_head().is_some() {
                conn.write(reply);
            }
        });
        let (tap, port) = start(&[]);
        let _rules = redirect(&[&origin.addr().port().to_string()], &port);
        let mut client = Client::connect(origin.addr());
        for _ in 0..3 {
            assert_eq!(client.send_bytewise(request).read_exact(reply.len()), reply);
        }
        client.close_write();
        assert!(client.read_to_end().is_empty());
        // One connection, and nothing that was not asked.
        assert_eq!(origin.received(), [request.repeat(3).into_bytes()]);
        let own = client.stream().local_addr().unwrap().to_string();
        for record in tap.records(3) {
            assert_eq!(record["client"]["addr"], own);
            assert_eq!(record["upstream"]["addr"], origin.addr().to_string());
        }
    });
}

/// Root alone can be two users at once.
#[test]
fn the_rules_leave_the_taps_user_alone() {
    in_namespace("the_rules_leave_the_taps_user_alone", || {
        let another = Command::new(program("setpriv")).args(["--reuid", "65534", "--clear-groups", "true"]).status();
        assert!(another.unwrap().success(), "this needs root: sudo -E cargo test --test transparent");
        let _nginx = nginx();
        let tap = Tap::run(&["--transparent"], &["[::]:0"]);
        sh(&rules(&["80", "--to", &tap.addr().port().to_string(), "--user", "0"]));
        let body = |user: &str| {
            let output = Command::new(program("setpriv"))
                .args(["--reuid", user, "--clear-groups", "curl", "-q", "-sS", "--max-time", "60"])
                .arg(format!("http://{APP}/v1"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(body("65534"), format!("{APP}:80\n"));
        assert_ok(&tap.record());
        assert_eq!(body("0"), format!("{APP}:80\n"));
        assert_eq!(tap.stop().records.len(), 1, "what the tap's user does is not redirected");
    });
}

#[test]
fn a_connection_that_was_not_redirected_is_closed() {
    in_namespace("a_connection_that_was_not_redirected_is_closed", || {
        let (tap, port) = start(&[]);
        let direct = |text: &str| {
            let addr: SocketAddr = format!("{text}:{port}").parse().unwrap();
            let mut client = Client::connect(addr);
            let _ = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(client.read_until_gone().is_empty(), "{text}");
        };
        // Without any rule, and with one that is for another port.
        let all = || ["127.0.0.1", "[::1]", APP].into_iter().for_each(direct);
        all();
        let _rules = redirect(&["80"], &port);
        all();
        let stopped = tap.stop();
        assert!(stopped.records.is_empty(), "{:#?}", stopped.records);
        assert!(stopped.stderr.contains("no rule redirected here"), "{}", stopped.stderr);
    });
}

/// A rule that forgets the tap would have it serve itself without end.
#[test]
fn a_rule_that_redirects_the_tap_as_well_makes_no_circle() {
    in_namespace("a_rule_that_redirects_the_tap_as_well_makes_no_circle", || {
        let _nginx = nginx();
        let (tap, port) = start(&[]);
        sh(&format!("iptables -w -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports {port}"));
        for _ in 0..3 {
            curl(&[&format!("http://{APP}/v1")]).assert_status(502);
        }
        let records = tap.records(3);
        for record in &records {
            assert_verdict(record, "upstream-failed");
            assert_eq!(record["upstream"]["addr"], format!("{APP}:80"));
        }
        let stopped = tap.stop();
        assert_eq!(stopped.records.len(), 3);
        assert!(stopped.stderr.contains("a connection of the tap's own"), "{}", stopped.stderr);
    });
}

/// The kernel gives a port to several connections, as long as they go to different places.
#[test]
fn a_client_from_a_port_that_the_tap_has_as_well_is_served() {
    in_namespace("a_client_from_a_port_that_the_tap_has_as_well_is_served", || {
        const CLIENTS: usize = 20;
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let origins = [(); 2].map(|()| {
            Origin::start(move |conn: &mut Conn| {
                while conn.read_head().is_some() {
                    conn.write(reply);
                }
            })
        });
        let ports = origins.each_ref().map(|origin| origin.addr().port().to_string());
        let (tap, port) = start(&[]);
        let _rules = redirect(&[&ports[0], &ports[1]], &port);
        // The clients of one origin and the tap need most of them, so that those of the other have the tap's as well.
        sh("echo 20000 20063 > /proc/sys/net/ipv4/ip_local_port_range");
        let mut clients = Vec::new();
        for origin in &origins {
            clients.extend((0..CLIENTS).map(|_| Client::connect(origin.addr())));
            for _ in 0..2 {
                for client in &mut clients {
                    assert_eq!(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_exact(reply.len()), reply);
                }
            }
        }
        drop(clients);
        let stopped = tap.stop();
        assert_eq!(stopped.records.len(), 6 * CLIENTS);
        assert!(!stopped.stderr.contains("of the tap's own"), "{}", stopped.stderr);
    });
}

/// As in a pod: the tap takes what comes for the app, and the app listens where it always did.
#[test]
fn connections_that_come_in_are_redirected_and_reach_the_app() {
    in_namespace("connections_that_come_in_are_redirected_and_reach_the_app", || {
        let neighbour = Neighbour::new("there", 8);
        let nginx = Nginx::start(
            "server { listen 10.8.0.1:80; listen [fd00:8::1]:80; return 200 \"$server_addr\\n\"; } server { listen @ADDR@; }",
            &[],
        );
        let get = |url: &str| {
            let output = neighbour.curl(&["--retry", "20", "--retry-connrefused", "--retry-delay", "1", url]);
            assert!(output.status.success(), "{output:?}\n{}", nginx.log());
            String::from_utf8(output.stdout).unwrap()
        };
        let urls = ["http://10.8.0.1/v1", "http://[fd00:8::1]/v1"];
        let direct = urls.map(get);
        let tap = Tap::run(&["--transparent"], &["[::]:0"]);
        sh(&rules(&["80", "--to", &tap.addr().port().to_string(), "--incoming"]));
        assert_eq!(urls.map(get), direct);
        let records = tap.records(2);
        for (record, (client, upstream)) in
            records.iter().zip([("10.8.0.2:", "10.8.0.1:80"), ("[fd00:8::2]:", "[fd00:8::1]:80")])
        {
            assert_ok(record);
            let addr = record["client"]["addr"].as_str().unwrap();
            assert!(addr.starts_with(client), "{addr}");
            assert_eq!(record["upstream"]["addr"], upstream);
        }
        assert_eq!(tap.stop().records.len(), 2);
    });
}

/// Rules for what comes in would else make a machine that routes a way past its own packet filter.
#[test]
fn what_a_neighbour_only_has_routed_here_is_left_to_the_packet_filter() {
    in_namespace("what_a_neighbour_only_has_routed_here_is_left_to_the_packet_filter", || {
        let (neighbour, behind) = (Neighbour::new("there", 8), Neighbour::new("behind", 7));
        let _server = behind.echo("[::]:80");
        sh("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
            iptables -w -A FORWARD -p tcp -j REJECT --reject-with tcp-reset
            ip6tables -w -A FORWARD -p tcp -j REJECT --reject-with tcp-reset");
        neighbour.sh("ip route add default via 10.8.0.1; ip -6 route add default via fd00:8::1");
        behind.sh("ip route add default via 10.7.0.1; ip -6 route add default via fd00:7::1");
        let urls = ["http://10.7.0.2/", "http://[fd00:7::2]/"];
        let from_here = || {
            for url in urls {
                curl(&["--retry", "20", "--retry-connrefused", "--retry-delay", "1", url]).assert_status(200);
            }
        };
        // 7 is what curl says of a connection that was refused.
        let from_there = |state: &str| {
            for url in urls {
                let output = neighbour.curl(&[url]);
                assert_eq!(output.status.code(), Some(7), "{state}: {url}: {output:?}");
            }
        };
        from_here();
        from_there("without rules");
        let tap = Tap::run(&["--transparent"], &["[::]:0"]);
        for format in ["iptables", "nft"] {
            let args = ["80", "--to", &tap.addr().port().to_string(), "--incoming", "--format", format];
            sh(&rules(&args));
            from_there(format);
            from_here();
            sh(&rules(&[&args[..], &["--undo"]].concat()));
        }
        assert!(tap.stop().records.is_empty());
    });
}

/// The arguments by which curl takes `name` for the app's address.
fn at_app(name: &str, port: u16) -> String {
    format!("{name}:{port}:{APP}")
}

#[test]
fn tls_that_the_tap_is_not_to_read_passes_untouched() {
    in_namespace("tls_that_the_tap_is_not_to_read_passes_untouched", || {
        let _nginx = nginx();
        let (tap, port) = start(&[]);
        let _rules = redirect(&["80", "443"], &port);
        let (resolve, ca) = (at_app("localhost", 443), cert("ca.pem"));
        let result = curl(&["--resolve", &resolve, "--cacert", &ca, "https://localhost/v1"]);
        // The client has checked the app's own certificate, and both agreed on HTTP/2.
        assert_eq!(result.assert_status(200).http_version, "2");
        curl(&[&format!("http://{APP}/v1")]).assert_status(200);
        let stopped = tap.stop();
        assert_eq!(stopped.records.len(), 1, "what is not read is no exchange");
        assert!(stopped.stderr.contains("TLS passes unread"), "{}", stopped.stderr);
    });
}

/// What looks like TLS may be silent for as long as both sides like.
#[test]
fn what_passes_unread_may_be_idle() {
    in_namespace("what_passes_unread_may_be_idle", || {
        const HELLO: [u8; 8] = [0x16, 3, 1, 0, 3, 1, 2, 3];
        const IDLE: Duration = Duration::from_millis(200);
        let origin = Origin::start(|conn: &mut Conn| {
            assert_eq!(conn.read_exact(HELLO.len()), HELLO);
            conn.write(b"first");
            let rest = conn.read_to_end();
            conn.write(&rest);
        });
        let (_tap, port) = start(&["--idle-timeout", "200ms"]);
        let _rules = redirect(&[&origin.addr().port().to_string()], &port);
        let mut client = Client::connect(origin.addr());
        assert_eq!(client.send(HELLO).read_exact(5), b"first");
        let began = Instant::now();
        while began.elapsed() < 5 * IDLE {
            std::thread::sleep(IDLE);
        }
        client.send("second").close_write();
        assert_eq!(client.read_to_end(), b"second");
    });
}

#[test]
fn tls_that_the_tap_reads_goes_on_to_the_name_that_was_asked_for() {
    in_namespace("tls_that_the_tap_reads_goes_on_to_the_name_that_was_asked_for", || {
        let _nginx = nginx();
        let ca = cert("ca.pem");
        let options = ["--cacert", &ca, "--tls-cert", &cert("localhost.pem"), "--tls-key", &cert("localhost.key")];
        let (tap, port) = start(&options);
        let _rules = redirect(&["80", "443"], &port);
        let resolve = at_app("localhost", 443);
        for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
            let result = curl(&[option, "--resolve", &resolve, "--cacert", &ca, "https://localhost/v1"]);
            assert_eq!(result.assert_status(200).http_version, version);
        }
        // The same tap takes clear text as it is.
        assert_eq!(curl(&[&format!("http://{APP}/v1")]).assert_status(200).body(), format!("{APP}:80\n"));
        // The app's certificate is not for this name, so that the tap does not take it for this server.
        let other = at_app("other.example", 443);
        curl(&["-k", "--resolve", &other, "https://other.example/v1"]).assert_status(502);
        let records = tap.records(4);
        for record in &records[..2] {
            assert_ok(record);
            assert_untouched(record);
            assert_eq!(record["client"]["tls"]["server_name"], "localhost");
            assert_eq!(record["upstream"]["tls"]["server_name"], "localhost");
            assert_eq!(record["upstream"]["tls"]["verified"], true);
            assert_eq!(record["upstream"]["url"], format!("https://{APP}:443"));
        }
        assert_ok(&records[2]);
        assert!(records[2]["client"]["tls"].is_null() && records[2]["upstream"]["tls"].is_null());
        assert_eq!(records[3]["failure"]["reason"], "its certificate is for another name");
        assert_eq!(records[3]["upstream"]["addr"], format!("{APP}:443"));
    });
}

#[test]
fn http2_by_prior_knowledge_and_proxy_headers_know_where_it_was_going() {
    in_namespace("http2_by_prior_knowledge_and_proxy_headers_know_where_it_was_going", || {
        let _nginx = nginx();
        let (tap, port) = start(&[]);
        let _rules = redirect(&["82"], &port);
        let result = curl(&["--http2-prior-knowledge", &format!("http://{APP}:82/v1")]);
        assert_eq!(result.assert_status(200).http_version, "2");
        assert_eq!(tap.record()["upstream"]["addr"], format!("{APP}:82"));

        let (_tap, port) = start(&["--proxy-protocol-out", "v2"]);
        let _rules = redirect(&["81"], &port);
        let result = curl(&[&format!("http://{APP}:81/v1")]);
        assert_eq!(result.assert_status(200).body(), format!("{APP}:81\n"));
        assert_eq!(result.header("x-client").as_deref(), Some(APP));
    });
}

#[test]
fn where_nobody_listens_the_client_is_told() {
    in_namespace("where_nobody_listens_the_client_is_told", || {
        let (tap, port) = start(&[]);
        let _rules = redirect(&["80", "443"], &port);
        curl(&[&format!("http://{APP}/v1")]).assert_status(502);
        let record = tap.record();
        assert_verdict(&record, "upstream-failed");
        assert_eq!(record["upstream"]["addr"], format!("{APP}:80"));
        assert_eq!(record["failure"]["reason"], "connection refused");
        // Who speaks TLS could not read an answer.
        let mut client = TcpStream::connect((APP, 443)).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(&[0x16, 3, 1, 0, 1]).unwrap();
        let mut got = Vec::new();
        let _ = client.read_to_end(&mut got);
        assert!(got.is_empty(), "{}", got.escape_ascii());
        assert!(tap.stop().stderr.contains("TLS could not pass"));
    });
}

#[test]
fn connections_are_marked_by_who_may_and_others_are_told() {
    let mut command = match is_root() {
        true => {
            let mut command = Command::new(program("setpriv"));
            command.args([
                "--bounding-set=-net_admin,-net_raw",
                "--inh-caps=-net_admin,-net_raw",
                env!("CARGO_BIN_EXE_authtap"),
            ]);
            command
        }
        false => tap::command(),
    };
    command.args(["--mark", "7", ":0=http://127.0.0.1:1"]);
    let mut process = Process::spawn(command).unwrap();
    let status = process.wait(DEADLINE);
    let said = process.stderr.whole(DEADLINE);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("--mark: cannot mark connections") && said.contains("CAP_NET_ADMIN"), "{said}");
}

#[test]
fn a_tap_that_does_not_get_all_says_so() {
    for (listen, words) in [
        ("127.0.0.1:0", Some("no connections by IPv6, and none that come from other machines; one on [::]:")),
        ("0.0.0.0:0", Some("no connections by IPv6; one on [::]:")),
        ("127.0.0.2:0", Some("no connections by IPv6 and none by IPv4 either;")),
        ("[::1]:0", Some("no connections by IPv4, and none that come from other machines;")),
        ("[::]:0", None),
    ] {
        let said = Tap::run(&["--transparent"], &[listen]).stop().stderr;
        assert_eq!(said.contains("WARNING: --transparent"), words.is_some(), "{said}");
        assert!(words.is_none_or(|words| said.contains(words)), "{listen}: {said}");
    }
}

/// Where rules go wrong, every option has its say.
#[test]
fn what_can_not_be_is_refused_with_advice() {
    let refused = |args: &[&str], words: &[&str]| {
        let output = tap::command().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{args:?}: {said}"));
    };
    refused(&["--transparent", "http://a"], &["no upstream", "try: write a tap as [NAME@]LISTEN"]);
    refused(&["--transparent", ":1", "--host", "upstream"], &["--host can't be upstream"]);
    let user = "run the tap as a user of its own";
    refused(&["--mark", "7", "--otel", "--transparent", ":1"], &["--otel and --mark", user]);
    refused(&["--mark", "7", "--jwks", "http://a/keys", "http://a"], &["--jwks with a URL", user]);
    refused(&["--mark", "7", "--issuer", "https://a.example", "http://a"], &["--issuer with a URL", user]);
    refused(
        &["--transparent", ":0", "--", "true"],
        &["--transparent and a command", "try: authtap --transparent alone"],
    );
    refused(&["redirect", "80"], &["--user"]);
    refused(&["redirect", "80", "--user", "a;b"], &["--user can't be"]);
    refused(&["redirect", "--user", "a"], &["PORT"]);
    refused(&["redirect", "0", "--user", "a"], &["0"]);
}
