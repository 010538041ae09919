//! The files under `deploy/`: their schemas know all that is in them, and what they set up does what they say, played with
//! the same settings, names and ports.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::canaries::BEARER_TOKEN;
use common::island::Island;
use common::process::Process;
use common::servers::program;
use common::tools::{Ran, command, run, tool};
use common::{DEADLINE, wait_for};
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// The documents of a file, which its schema has no complaint about.
fn documents(kind: &str, file: &str) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let mut python = command(&tool("python"), home.path());
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/manifests.py")).arg(kind).arg(deploy(file));
    let ran = run(python);
    let mut files: Vec<Vec<Value>> = serde_json::from_str(&ran.assert_fine().stdout).unwrap();
    files.remove(0)
}

fn of_kind<'d>(documents: &'d [Value], kind: &str, name: &str) -> &'d Value {
    let is_it = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name;
    documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The container of a pod that is authtap, before the application or alone.
fn tap_of(deployment: &Value) -> &Value {
    let pod = &deployment["spec"]["template"]["spec"];
    let containers = ["initContainers", "containers"].into_iter().filter_map(|list| pod[list].as_array()).flatten();
    containers.into_iter().find(|container| container["name"] == "authtap").unwrap()
}

/// The variables of a container; `replace` puts others in place of what can't be the same here.
fn variables(container: &Value, replace: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = container["env"].as_array().unwrap().iter();
    all.map(|one| {
        let value = one["value"].as_str().unwrap().to_owned();
        let value = replace.iter().fold(value, |value, (from, to)| value.replace(from, to));
        (one["name"].as_str().unwrap().to_owned(), value)
    })
    .collect()
}

/// A tap with those variables, as soon as it listens.
fn tap(island: &Island, variables: Vec<(String, String)>) -> Process {
    let mut command = island.command("authtap");
    command.envs(variables);
    let tap = island.start(command);
    let listens = tap.stderr.wait_until(DEADLINE, |text| text.contains("Point your client").then_some(()));
    assert!(listens.is_some(), "{}", tap.stderr.text());
    let said = tap.stderr.text();
    assert!(!said.contains("no such option"), "{said}");
    tap
}

fn echo(island: &Island, listen: &str) -> Process {
    let mut command = island.command("authtap");
    command.args(["echo", listen]);
    let echo = island.start(command);
    wait_for("the application", DEADLINE, || echo.stderr.text().contains("authtap echo on").then_some(()));
    echo
}

fn nginx(island: &Island, servers: &str) -> Process {
    let home = island.home().display();
    let config = format!(
        "daemon off; pid {home}/nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;\n\
         fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;\n{servers}\n}}\n"
    );
    fs::write(island.home().join("nginx.conf"), config).unwrap();
    let mut command = island.command(program("nginx").to_str().unwrap());
    command.arg("-c").arg(island.home().join("nginx.conf")).arg("-p").arg(island.home());
    let server = island.start(command);
    wait_for("nginx", DEADLINE, || curl(island, &["http://127.0.0.1/"]).code.filter(|code| *code == 0));
    server
}

fn curl(island: &Island, args: &[&str]) -> Ran {
    let mut command = island.command("curl");
    command.args(["-s", "--max-time", "20"]).args(args);
    run(command)
}

/// The records on a tap's stdout, as soon as there are `n`.
fn records(tap: &Process, n: usize) -> Vec<Value> {
    wait_for("the records", DEADLINE, || {
        let text = tap.stdout.text();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= n).then_some(lines)
    })
}

/// What every pod with a tap has to keep to, whatever else is in it.
fn assert_sound(documents: &[Value], name: &str) {
    let deployment = of_kind(documents, "Deployment", name);
    let tap = tap_of(deployment);
    assert_eq!(tap["image"], format!("authtap:{VERSION}"));
    let ports: Vec<&Value> = tap["ports"].as_array().unwrap().iter().collect();
    let port = |name: &Value| {
        let found =
            ports.iter().find(|port| port["name"] == *name).unwrap_or_else(|| panic!("the tap has no port {name}"));
        found["containerPort"].to_string()
    };
    let set = |name: &str| variables(tap, &[]).into_iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let service = of_kind(documents, "Service", name);
    assert_eq!(service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]);
    let target = port(&service["spec"]["ports"][0]["targetPort"]);
    assert!(set("AUTHTAP_TAPS").unwrap().contains(&format!("0.0.0.0:{target}=")), "the Service leads past the tap");
    let admin = set("AUTHTAP_ADMIN").unwrap();
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &tap[probe]) {
        if !probe.is_null() {
            assert!(admin.ends_with(&format!(":{}", port(&probe["httpGet"]["port"]))), "{probe}");
        }
    }
    assert!(!tap["readinessProbe"].is_null() || !tap["startupProbe"].is_null());
    let pod = &deployment["spec"]["template"]["spec"];
    let drain = set("AUTHTAP_DRAIN").unwrap_or_else(|| "30s".to_owned());
    let drain: u64 = drain.trim_end_matches('s').parse().unwrap();
    // The application ends first, out of the same time.
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 2 * drain, "killed while it drains");
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        assert_eq!(tap[probe]["httpGet"]["path"], path, "{name}");
    }
    let rights = &tap["securityContext"];
    assert_eq!((&rights["runAsNonRoot"], &rights["readOnlyRootFilesystem"]), (&true.into(), &true.into()));
    assert_eq!(rights["capabilities"]["drop"][0], "ALL");
}

#[test]
fn the_sidecar_stands_before_the_application_and_is_what_the_service_asks() {
    let documents = documents("kubernetes", "kubernetes/sidecar.yaml");
    assert_sound(&documents, "orders");
    let deployment = of_kind(&documents, "Deployment", "orders");
    assert_eq!(deployment["spec"]["template"]["spec"]["initContainers"][0]["restartPolicy"], "Always");

    let island = Island::new(&[]);
    let _app = echo(&island, ":3000");
    let tap = tap(&island, variables(tap_of(deployment), &[]));
    assert_eq!(curl(&island, &["http://127.0.0.1:9901/readyz"]).assert_fine().stdout, "ready\n");
    assert_eq!(curl(&island, &["-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8080/bearer"]).stdout, "401");
    let record = records(&tap, 1).remove(0);
    assert_eq!((&record["tap"], &record["response"]["status"]), (&"app".into(), &401.into()));
    assert_eq!(record["diagnosis"]["verdict"], "credentials-absent", "{record:#}");
}

#[test]
fn two_taps_around_an_ingress_say_for_certain_what_it_takes_away() {
    let documents = documents("kubernetes", "kubernetes/around-ingress.yaml");
    assert_sound(&documents, "edge");
    assert_sound(&documents, "orders");
    let ingress = of_kind(&documents, "Ingress", "orders");
    let rule = &ingress["spec"]["rules"][0];
    let backend = &rule["http"]["paths"][0]["backend"]["service"];
    assert_eq!((&backend["name"], &backend["port"]["name"]), (&"orders".into(), &"http".into()));

    // Two pods have ports of their own; here they are on one machine.
    let island = Island::new(&["ingress-nginx-controller.ingress-nginx"]);
    let key = island.home().join("hop.key");
    fs::write(&key, "a key that the test made up").unwrap();
    let key = ("/hop/hop.key", key.to_str().unwrap());
    let _app = echo(&island, ":3000");
    let inner = variables(
        tap_of(of_kind(&documents, "Deployment", "orders")),
        &[key, ("0.0.0.0:8080=", "0.0.0.0:8081="), (":9901", ":9902")],
    );
    let _inner = tap(&island, inner);
    let host = rule["host"].as_str().unwrap();
    let servers = format!(
        "server {{ listen 80 default_server; return 404; }}\n\
         server {{ listen 80; server_name {host}; location / {{\n\
         proxy_pass http://127.0.0.1:8081; proxy_set_header Host $http_host; proxy_set_header Authorization \"\"; }} }}"
    );
    let _ingress = nginx(&island, &servers);
    let edge = tap(&island, variables(tap_of(of_kind(&documents, "Deployment", "edge")), &[key]));
    let token = format!("Authorization: Bearer {BEARER_TOKEN}");
    curl(&island, &["-H", &token, "-H", &format!("Host: {host}"), "http://127.0.0.1:8080/bearer"]).assert_fine();
    let is_told = |text: &str| text.contains("credentials-stripped").then(|| text.to_owned());
    let log = edge.stdout.wait_until(DEADLINE, is_told).unwrap_or_else(|| panic!("{}", edge.stdout.text()));
    wait_for("the whole of it", DEADLINE, || edge.stdout.text().contains("Sure  certain").then_some(()));
    assert!(log.contains("✗ 401 GET /bearer"), "{log}");
}

#[test]
fn compose_sets_up_two_taps_around_the_gateway() {
    let services = documents("compose", "compose.yaml").remove(0)["services"].take();
    assert_eq!(services["authtap"]["image"], format!("authtap:{VERSION}"));
    let mounted = services["gateway"]["volumes"][0].as_str().unwrap().split(':').next().unwrap().to_owned();
    let gateway = fs::read_to_string(deploy(&mounted)).unwrap();

    let names: Vec<&str> = services.as_object().unwrap().keys().map(String::as_str).collect();
    let island = Island::new(&names);
    let mut app = island.command("authtap");
    app.args(services["app"]["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
    let app = island.start(app);
    wait_for("the application", DEADLINE, || app.stderr.text().contains("authtap echo on").then_some(()));
    let set = services["authtap"]["environment"].as_object().unwrap().iter();
    let set = set.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let tap = tap(&island, set);
    let _gateway = nginx(&island, &gateway);
    let token = format!("Authorization: Bearer {BEARER_TOKEN}");
    let answer = curl(&island, &["-H", &token, "http://127.0.0.1:8080/bearer"]);
    assert!(answer.assert_fine().stdout.contains("Host: 127.0.0.1:8080"), "{answer:?}");
    let line = tap.stdout.wait_until(DEADLINE, |text| text.contains("200 GET /bearer").then(|| text.to_owned()));
    assert!(line.is_some_and(|line| line.starts_with("✓")), "{}", tap.stdout.text());
}

#[test]
fn systemd_takes_the_unit_and_gives_it_little() {
    let unit = fs::read_to_string(deploy("authtap.service")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("authtap.service");
    fs::write(&file, unit.replace("/usr/local/bin/authtap", env!("CARGO_BIN_EXE_authtap"))).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new(program("systemd-analyze")).args(args).arg(&file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let rotation = fs::read_to_string(deploy("authtap.logrotate")).unwrap();
    let record = unit.lines().find_map(|line| line.strip_prefix("Environment=AUTHTAP_RECORD=")).unwrap();
    assert!(rotation.contains(&format!("{record} {{")) && rotation.contains("systemctl reload authtap.service"));
    let (is_fine, said) = analyze(&["verify"]);
    assert!(is_fine && !said.contains("authtap.service:"), "{said}");
    // Tenths of what systemd calls the exposure, which is 9.6 for a unit that says nothing.
    let (is_fine, said) = analyze(&["security", "--offline=true", "--threshold=20"]);
    assert!(is_fine, "{said}");
}

#[test]
fn the_image_is_built_with_everything_and_runs_as_nobody() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    for line in
        ["--features otel", "FROM scratch", "USER 65532:65532", "ENTRYPOINT [\"/authtap\"]", "org.opencontainers.image"]
    {
        assert!(text.contains(line), "{line}");
    }
    assert!(text.contains(&format!("authtap:{VERSION}")), "another version than {VERSION}");
}

#[test]
fn what_the_image_is_built_from_is_enough_to_build_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let context = tempfile::tempdir().unwrap();
    for name in &kept {
        let copied = Command::new("cp").arg("-r").arg(root.join(name)).arg(context.path()).status().unwrap();
        assert!(copied.success(), "{name}");
    }
    // It reads the manifest and looks for every file that it names.
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(context.path().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let text = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let copied: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("COPY ")).flat_map(str::split_whitespace).collect();
    kept.iter().for_each(|name| assert!(copied.contains(name), "{name} is not copied"));
}
