//! A secret in every place where one can be: none of them comes out of the program, in no spelling and in no part.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::path::ReservedPort;
use common::process::Process;
use common::{Client, DEADLINE, curl, wait_for};

/// The shortest part of a secret that counts as told.
const PIECE: usize = 8;

/// Hands out secrets and remembers them with their place.
#[derive(Default)]
struct Vault {
    secrets: Vec<(String, String)>,
    state: u64,
}

impl Vault {
    /// As machines make them: letters of both cases and digits, 20 to 40 of them.
    fn token(&mut self, place: &str) -> String {
        const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let length = 20 + self.next() % 21;
        let token: String = (0..length).map(|_| char::from(SIGNS[(self.next() % 62) as usize])).collect();
        self.keep(place, token)
    }

    /// As people make them; `word` keeps them apart.
    fn password(&mut self, place: &str, word: &str) -> String {
        self.keep(place, format!("{word}-bull2-{word}"))
    }

    fn keep(&mut self, place: &str, secret: String) -> String {
        self.secrets.push((place.to_owned(), secret.clone()));
        secret
    }

    /// Splitmix64, so that every run has the same secrets.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Every piece of every spelling of the secrets, by its first bytes.
struct Pieces {
    by_start: HashMap<[u8; PIECE], Vec<Piece>>,
}

struct Piece {
    spelled: Vec<u8>,
    place: String,
    secret: String,
}

impl Pieces {
    fn of(secrets: &[(String, String)]) -> Self {
        let mut pieces = Pieces { by_start: HashMap::new() };
        for (place, secret) in secrets {
            let bytes = secret.as_bytes();
            let reversed: String = secret.chars().rev().collect();
            pieces.add(bytes, PIECE, place, secret);
            pieces.add(reversed.as_bytes(), PIECE, place, secret);
            pieces.add(hex(bytes).as_bytes(), 2 * PIECE, place, secret);
            pieces.add(percent(bytes).as_bytes(), 3 * PIECE, place, secret);
            // Within a longer text a secret begins at one of three places of a base64 group. The first characters depend
            // on what stood before, and the last on what follows.
            for offset in 0..3 {
                let padded = [&vec![b'x'; offset][..], bytes].concat();
                for engine in [&STANDARD as &dyn Fn64, &URL_SAFE_NO_PAD] {
                    let encoded = engine.text(&padded);
                    let part = &encoded[[0, 2, 3][offset]..padded.len() * 8 / 6];
                    pieces.add(part.as_bytes(), 12, place, secret);
                }
            }
        }
        pieces
    }

    fn add(&mut self, spelled: &[u8], length: usize, place: &str, secret: &str) {
        for window in spelled.windows(length) {
            // Without regard to case, since names are written in lower case here and there.
            let spelled = window.to_ascii_lowercase();
            let start = *spelled.first_chunk().unwrap();
            let piece = Piece { spelled, place: place.to_owned(), secret: secret.to_owned() };
            self.by_start.entry(start).or_default().push(piece);
        }
    }

    /// What of the secrets is in the text.
    fn found_in(&self, name: &str, text: &[u8]) -> Vec<String> {
        let lower = text.to_ascii_lowercase();
        let mut found = HashMap::new();
        for at in 0..lower.len() {
            let rest = &lower[at..];
            let Some(start) = rest.first_chunk() else { break };
            let pieces = self.by_start.get(start).into_iter().flatten();
            for piece in pieces.filter(|piece| rest.starts_with(&piece.spelled)) {
                found.entry(&piece.place).or_insert_with(|| {
                    let around = &text[at.saturating_sub(160)..(at + piece.spelled.len() + 60).min(text.len())];
                    let around = String::from_utf8_lossy(around);
                    format!("{name} tells of {:?} ({}):\n    …{}…", piece.secret, piece.place, around.escape_debug())
                });
            }
        }
        found.into_values().collect()
    }
}

trait Fn64 {
    fn text(&self, bytes: &[u8]) -> String;
}

impl<E: base64::Engine> Fn64 for E {
    fn text(&self, bytes: &[u8]) -> String {
        self.encode(bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

/// A tap that logs all it can about itself, in the format that is asked for.
struct Loud {
    process: Process,
    addr: SocketAddr,
    dir: tempfile::TempDir,
}

impl Loud {
    fn start(upstream: SocketAddr, format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = common::tap::command();
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        command.args(["--log-format", format, "--record"]).arg(dir.path().join("record.jsonl"));
        command.args(["--inspect=127.0.0.1:0".to_owned(), format!("127.0.0.1:0=http://{upstream}")]);
        let process = Process::spawn(command).unwrap();
        let addr = process.stderr.wait_until(DEADLINE, |text| {
            let (before, _) = text.split_once("  ->")?;
            before.rsplit_once("http://")?.1.parse().ok()
        });
        let addr = addr.unwrap_or_else(|| panic!("no address in {}", process.stderr.text()));
        Loud { process, addr, dir }
    }

    /// What the inspector answers, as soon as it has so many exchanges: short rows, records, and entries of an archive.
    fn inspected(&self, exchanges: usize) -> [(&'static str, Vec<u8>); 3] {
        let stderr = self.process.stderr.text();
        let (_, link) = stderr.split_once("Watch it at http://").unwrap();
        let (addr, token) = link.split_whitespace().next().unwrap().split_once("/#token=").unwrap();
        let ask = |path: &str| {
            let mut client = Client::connect(addr.parse().unwrap());
            let fields = format!("Host: {addr}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
            let (head, body) = client.send(format!("GET {path} HTTP/1.1\r\n{fields}")).read_response();
            assert_eq!(head.status(), 200, "{}", String::from_utf8_lossy(&body));
            body
        };
        let rows = wait_for("the inspector to have all", DEADLINE, || {
            let rows = ask("/api/rows");
            let told: serde_json::Value = serde_json::from_slice(&rows).unwrap();
            (told["rows"].as_array().unwrap().len() >= exchanges).then_some(rows)
        });
        // Few enough at once that none is left out.
        let all = |what: &str| -> Vec<u8> {
            let parts = (0..exchanges).step_by(50);
            parts.flat_map(|first| ask(&format!("/api/{what}?in={}-{}", first + 1, first + 50))).collect()
        };
        [("the inspector's rows", rows), ("its records", all("records")), ("its entries", all("entries"))]
    }

    /// Ends it, and gives everything that it wrote, and that the inspector told of so many exchanges.
    fn end(mut self, exchanges: usize) -> Vec<(&'static str, Vec<u8>)> {
        let inspected = self.inspected(exchanges);
        self.process.signal("TERM");
        self.process.wait(DEADLINE);
        let record = fs::read(self.dir.path().join("record.jsonl")).unwrap();
        let written = [
            ("stdout", self.process.stdout.whole(DEADLINE).into_bytes()),
            ("stderr", self.process.stderr.whole(DEADLINE).into_bytes()),
            ("the record", record),
        ];
        written.into_iter().chain(inspected).collect()
    }
}

/// Bytes from the client and the backend's answer.
struct Planted {
    request: Vec<u8>,
    answer: Vec<u8>,
}

fn lines(lines: &[&str]) -> Vec<u8> {
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

fn get(fields: &str) -> Vec<u8> {
    lines(&["GET /v1/orders HTTP/1.1", "Host: a.example", fields])
}

fn get_target(target: &str) -> Vec<u8> {
    lines(&[&format!("GET {target} HTTP/1.1"), "Host: a.example"])
}

fn answer(status: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let mut all = vec![format!("HTTP/1.1 {status}")];
    all.extend(fields.iter().map(|field| (*field).to_owned()));
    all.push(format!("Content-Length: {}", body.len()));
    [(all.join("\r\n") + "\r\n\r\n").as_bytes(), body].concat()
}

fn refused() -> Vec<u8> {
    answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\", error=\"invalid_token\""], b"")
}

fn accepted() -> Vec<u8> {
    answer("200 OK", &[], b"ok")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn jwt(signature: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = r#"{"iss":"https://idp.example","aud":"orders","exp":1795520000}"#;
    format!("{}.{}.{}", part(r#"{"alg":"RS256","kid":"k1"}"#), part(claims), part(signature))
}

/// Secrets where clients put them, well-formed.
fn in_requests(vault: &mut Vault) -> Vec<Planted> {
    let mut all = Vec::new();
    let basic = |password: &str| STANDARD.encode(format!("alice:{password}"));

    let password = vault.password("Basic", "blue");
    all.push(get(&format!("Authorization: Basic {}", basic(&password))));
    let password = vault.token("Basic, made by a machine");
    all.push(get(&format!("Authorization: Basic {}", basic(&password))));
    let key = vault.token("Basic, the key as user name");
    all.push(get(&format!("Authorization: Basic {}", STANDARD.encode(format!("{key}:")))));
    let key = vault.password("Basic without a colon", "teal");
    all.push(get(&format!("Authorization: Basic {}", STANDARD.encode(&key))));
    let key = vault.password("Basic, not encoded", "navy");
    all.push(get(&format!("Authorization: Basic alice:{key}")));
    let token = vault.token("Bearer");
    all.push(get(&format!("Authorization: Bearer {token}")));
    let token = vault.password("Bearer, in words", "green");
    all.push(get(&format!("authorization: bearer {token}")));
    let signature = vault.token("the signature of a JWT");
    let token = jwt(&signature);
    vault.keep("the signed part of a JWT", token[token.find('.').unwrap() + 1..].to_owned());
    all.push(get(&format!("Authorization: Bearer {token}")));
    let [nonce, cnonce] = ["Digest nonce", "Digest cnonce"].map(|place| vault.token(place));
    let response = vault.keep("Digest response", "9f3ac07be15d42868f3e6a90c1d57b24".to_owned());
    all.push(get(&format!(
        "Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"{nonce}\", uri=\"/v1/orders\", \
         response=\"{response}\", qop=auth, nc=00000001, cnonce=\"{cnonce}\""
    )));
    let hash = vault.token("an NTLM message");
    let message = [b"NTLMSSP\0\x03\0\0\0", hash.as_bytes()].concat();
    all.push(get(&format!("Authorization: NTLM {}", STANDARD.encode(&message))));
    all.push(get(&format!("Authorization: Negotiate {}", STANDARD.encode(&message))));
    let ticket = vault.token("a Kerberos ticket");
    let ticket = [b"`\x82\x01\x00\x06\x09*\x86H\x86\xf7\x12\x01\x02\x02", ticket.as_bytes()].concat();
    all.push(get(&format!("Authorization: Negotiate {}", STANDARD.encode(ticket))));
    let signature =
        vault.keep("AWS4 signature", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7".into());
    all.push(get(&format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    )));
    let token = vault.token("an unknown scheme");
    all.push(get(&format!("Authorization: Zebra {token}")));
    let token = vault.password("an unknown scheme's parameter", "ochre");
    all.push(get(&format!("Authorization: Zebra id=\"{token}\", stripe=\"{token}\"")));
    let token = vault.token("no scheme");
    all.push(get(&format!("Authorization: {token}")));
    let token = vault.password("no scheme, in words", "amber");
    all.push(get(&format!("Authorization: {token}")));
    let password = vault.password("Proxy-Authorization", "red");
    all.push(get(&format!("Proxy-Authorization: Basic {}", basic(&password))));
    let [session, other] = ["Cookie", "a second Cookie"].map(|place| vault.token(place));
    all.push(get(&format!("Cookie: theme=dark; session={session}; csrf={other}")));
    let key = vault.password("X-Api-Key", "pink");
    all.push(get(&format!("X-Api-Key: {key}")));
    let key = vault.password("an unknown field", "grey");
    all.push(get(&format!("X-Internal-Token: {key}")));
    let token = vault.token("a key field with a scheme");
    all.push(get(&format!("X-Authorization: Bearer {token}")));
    let token = vault.token("Sec-WebSocket-Protocol");
    all.push(get(&format!("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.{token}, v4")));
    let token = vault.token("Referer");
    all.push(get(&format!("Referer: https://app.example/callback/{token}?code={token}#id_token={token}")));
    let token = vault.token("Forwarded");
    all.push(get(&format!("Forwarded: for=\"{token}\"")));
    for (place, form) in [
        ("access_token in the query", "/v1/orders?access_token={}"),
        ("api_key in the query", "/v1/orders?page=2&api_key={}"),
        ("an unknown parameter", "/v1/orders?zebra={}&page=2"),
        ("a harmless parameter", "/v1/orders?q={}"),
        ("the name of a parameter", "/v1/orders?{}=1"),
        ("a bare query", "/v1/orders?{}"),
        ("a segment of the path", "/reset/{}/confirm"),
        ("a matrix parameter", "/v1/orders;jsessionid={}/items"),
        ("the fragment", "/v1/orders#access_token={}"),
        ("the user information", "http://alice:{}@a.example/v1/orders"),
        ("a percent-encoded segment", "/reset/%61{}"),
        ("a second question mark", "/v1/orders?page=1?token={}"),
        ("a target with spaces", "/v1/orders access_token={}"),
    ] {
        all.push(get_target(&form.replace("{}", &vault.token(place))));
    }
    for (place, word, form) in [
        ("access_token in words", "lime", "/v1/orders?access_token={}"),
        ("an unknown parameter in words", "plum", "/v1/orders?zebra={}"),
        ("user information in words", "sand", "http://alice:{}@a.example/v1/orders"),
        ("a fragment in words", "rust", "/v1/orders#{}"),
    ] {
        all.push(get_target(&form.replace("{}", &vault.password(place, word))));
    }
    let password = vault.password("userinfo in Host", "iris");
    all.push(lines(&["GET /v1/orders HTTP/1.1", &format!("Host: alice:{password}@a.example")]));
    let password = vault.password("userinfo in Origin", "mint");
    all.push(get(&format!("Origin: https://alice:{password}@a.example")));
    let [secret, code] = ["client_secret in a form", "code in a form"].map(|place| vault.token(place));
    let password = vault.password("password in a form", "cyan");
    let token = vault.token("access_token in a form");
    let form =
        format!("grant_type=password&password={password}&client_secret={secret}&code={code}&access_token={token}");
    let length = form.len();
    let mut posted = lines(&[
        "POST /token HTTP/1.1",
        "Host: a.example",
        "Content-Type: application/x-www-form-urlencoded",
        &format!("Content-Length: {length}"),
    ]);
    posted.extend_from_slice(form.as_bytes());
    all.push(posted);
    let token = vault.token("a JSON body");
    let body = format!("{{\"refresh_token\":\"{token}\"}}");
    let length = body.len();
    let mut posted = lines(&["POST /token HTTP/1.1", "Host: a.example", &format!("Content-Length: {length}")]);
    posted.extend_from_slice(body.as_bytes());
    all.push(posted);
    let [token, other] = ["Authorization in trailers", "another trailer"].map(|place| vault.token(place));
    let mut chunked = lines(&["POST /v1/orders HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"]);
    chunked.extend(format!("2\r\nok\r\n0\r\nAuthorization: Bearer {token}\r\nX-Sum: {other}\r\n\r\n").bytes());
    all.push(chunked);
    let method = vault.token("the method");
    all.push(lines(&[&format!("{method} /v1/orders HTTP/1.1"), "Host: a.example"]));
    let name = vault.token("the name of a field");
    all.push(get(&format!("{name}: yes")));
    all.into_iter().flat_map(|request| with(request, &[refused(), accepted()])).collect()
}

/// The request once with each answer.
fn with(request: Vec<u8>, answers: &[Vec<u8>]) -> Vec<Planted> {
    answers.iter().map(|answer| Planted { request: request.clone(), answer: answer.clone() }).collect()
}

/// Secrets in lines that are not as they should be.
fn in_malformed_requests(vault: &mut Vault) -> Vec<Planted> {
    let mut all = Vec::new();
    for (number, form) in [
        "Authorization: Bearer:{}",
        "Authorization: Bearer: {}",
        "Authorization : Bearer {}",
        "Authorization Bearer {}",
        "Authorization",
        "Authorization: Bearer\r\n {}",
        "Accept: */*\r\n Authorization: Bearer {}",
        "Authorization: Bearer {}, Basic YTpi",
        "Authorization: Basic YTpi, Bearer {}",
        "Authorization: Bearer \"{}\"",
        "Authorization: 'Bearer {}'",
        "Authorization: Authorization: Bearer {}",
        "Authorization: Bearer Bearer {}",
        "Authorization: Bearer  {} ",
        "Authorization: Bearer\t{}",
        "Authorization: Bearer%20{}",
        "Authorization: Bearer {}\r\nAuthorization: Bearer {}",
        "Authorization= Bearer {}",
        "Authorization; Bearer {}",
        "Bearer {}",
        "Bearer: {}",
        "{}",
        "Authorization:: {}",
        ": Bearer {}",
        "Authorization: Token token={}",
        "Authorization: Basic {}",
        "Authorization: Digest {}",
        "Authorization: AWS4-HMAC-SHA256 {}",
        "Authorization: NTLM {}",
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.{}",
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.{}.x",
        "Authorization: Bearer <{}>",
        "Authorization: Bearer access_token={}",
        "Authorization: {\"access_token\":\"{}\"}",
        "Authorization\u{a0}: Bearer {}",
        "Authorization: Bearer\u{a0}{}",
        "Authorization: \u{1b}[31mBearer {}",
        "Content-Length: {}",
        "Transfer-Encoding: {}",
    ]
    .into_iter()
    .enumerate()
    {
        let token = vault.token(&format!("the line {form:?}"));
        all.push(get(&form.replace("{}", &token)));
        if form.starts_with("Content-Length") || form.starts_with("Transfer-Encoding") {
            // The values of safe fields are shown as long as they are words.
            continue;
        }
        // What people chose themselves has no look of its own, so these are the lines that an allow-list is for.
        let word = format!("{}{}", ["ash", "elm", "fir", "oak"][number % 4], number);
        let password = vault.password(&format!("the line {form:?}, in words"), &word);
        all.push(get(&form.replace("{}", &password)));
    }
    let token = vault.token("a request line without a target");
    all.push(lines(&[&token, "Host: a.example"]));
    let token = vault.token("a request line of HTTP/0.9");
    all.push(lines(&[&format!("GET /v1?access_token={token}")]));
    let token = vault.token("a version");
    all.push(lines(&[&format!("GET / HTTP/{token}"), "Host: a.example"]));
    let token = vault.token("bytes that are no HTTP");
    all.push(format!("\x16\x03\x01{token}\r\n\r\n\r\n").into_bytes());
    let token = vault.token("a NUL in the line");
    all.push(get(&format!("Authorization: Bearer a\0{token}")));
    let token = vault.token("a chunk size");
    let mut chunked = lines(&["POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"]);
    chunked.extend(format!("{token}\r\nx\r\n0\r\n\r\n").bytes());
    all.push(chunked);
    all.into_iter().flat_map(|request| with(request, &[refused()])).collect()
}

/// Secrets where servers put them.
fn in_answers(vault: &mut Vault) -> Vec<Planted> {
    let mut all = Vec::new();
    let plain = get("Accept: */*");
    let token = vault.token("Set-Cookie");
    all.push((plain.clone(), answer("200 OK", &[&format!("Set-Cookie: session={token}; HttpOnly")], b"ok")));
    let token = vault.token("Location");
    let location = format!("Location: https://app.example/cb/{token}?code={token}&state={token}#access_token={token}");
    all.push((plain.clone(), answer("302 Found", &[&location], b"")));
    let password = vault.password("Location, in words", "onyx");
    let location = format!("Location: https://alice:{password}@app.example/login?hint={password}#{password}");
    all.push((plain.clone(), answer("302 Found", &[&location], b"")));
    let token = vault.token("an unknown field of the answer");
    all.push((plain.clone(), answer("200 OK", &[&format!("X-New-Token: {token}")], b"ok")));
    let [nonce, opaque] = ["nonce of a challenge", "opaque of a challenge"].map(|place| vault.token(place));
    let digest = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\", opaque=\"{opaque}\", qop=\"auth\"");
    all.push((plain.clone(), answer("401 Unauthorized", &[&digest], b"")));
    let next = vault.token("Authentication-Info");
    let info = format!("Authentication-Info: nextnonce=\"{next}\"");
    all.push((plain.clone(), answer("200 OK", &[&info], b"ok")));
    let blob = STANDARD.encode([b"NTLMSSP\0\x02\0\0\0", vault.token("an NTLM challenge").as_bytes()].concat());
    all.push((plain.clone(), answer("401 Unauthorized", &[&format!("WWW-Authenticate: NTLM {blob}")], b"")));
    for (place, form) in [
        (
            "error_description",
            "WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"token {} is bad\"",
        ),
        ("an unknown parameter", "WWW-Authenticate: Bearer realm=\"r\", zebra=\"{}\""),
        ("a challenge's realm", "WWW-Authenticate: Basic realm=\"{}\""),
        ("a challenge's scope", "WWW-Authenticate: Bearer scope=\"{}\""),
        ("a challenge's error", "WWW-Authenticate: Bearer error=\"{}\""),
        ("a challenge's scheme", "WWW-Authenticate: {} realm=\"r\""),
        ("the name of a challenge's parameter", "WWW-Authenticate: Bearer {}=\"r\""),
        ("a challenge without quotes", "WWW-Authenticate: Bearer error_description=token {} is bad"),
        ("a challenge with a broken quote", "WWW-Authenticate: Bearer realm=\"a, error=\"{}"),
        ("a URL in a challenge", "WWW-Authenticate: Bearer authorization_uri=\"https://idp.example/a?code={}#{}\""),
        ("Proxy-Authenticate", "Proxy-Authenticate: Basic realm=\"{}\""),
        ("no challenge at all", "WWW-Authenticate: {}"),
    ] {
        let token = vault.token(place);
        let status = if place.starts_with("Proxy") { "407 Proxy Authentication Required" } else { "401 Unauthorized" };
        let request = get(&format!("Authorization: Bearer {token}"));
        all.push((request, answer(status, &[&form.replace("{}", &token)], b"")));
    }
    for (place, form) in [
        ("an error body", "{\"error\":\"invalid_token\",\"message\":\"Token {} has expired\"}"),
        ("an error body's URL", "{\"login\":\"https://idp.example/login?token={}\"}"),
        ("an error body that is HTML", "<html><body><p>Bad token: <b>{}</b></p></body></html>"),
        ("an error body without spaces", "bad_token:{}"),
        ("an error body with a header", "Authorization:Bearer {}\nCookie: a={}"),
    ] {
        let token = vault.token(place);
        let body = form.replace("{}", &token);
        let request = get(&format!("Authorization: Bearer {token}"));
        for status in ["401 Unauthorized", "403 Forbidden", "400 Bad Request"] {
            let json = "Content-Type: application/json";
            all.push((request.clone(), answer(status, &[json], body.as_bytes())));
            let packed = ["Content-Type: application/json", "Content-Encoding: gzip"];
            all.push((request.clone(), answer(status, &packed, &gzip(body.as_bytes()))));
        }
    }
    // Of a success nothing is told but what a rule makes of it, though some of its text is read.
    for (place, target, media, form) in [
        ("a small success", "/v1/orders", "application/json", "{\"code\":401,\"message\":\"{} is over\"}"),
        (
            "an issuer",
            "/.well-known/oauth-authorization-server",
            "application/json",
            "{\"issuer\":\"https://b.example/{}\"}",
        ),
        (
            "metadata",
            "/.well-known/oauth-authorization-server",
            "application/json",
            "{\"issuer\":\"https://b.example/\",\"x\":\"{}\"}",
        ),
        (
            "a login page",
            "/v1/orders",
            "text/html",
            "<html><title>Login {}</title><form><input type=password value={}></form>",
        ),
        ("an answer with a token", "/oauth2/token", "application/json", "{\"access_token\":\"{}\"}"),
    ] {
        let token = vault.token(place);
        let request = lines(&[&format!("GET {target} HTTP/1.1"), "Host: a.example", "Accept: application/json"]);
        let media = format!("Content-Type: {media}");
        let body = form.replace("{}", &token);
        all.push((request.clone(), answer("200 OK", &[&media], body.as_bytes())));
        let packed = [media.as_str(), "Content-Encoding: gzip"];
        all.push((request, answer("200 OK", &packed, &gzip(body.as_bytes()))));
    }
    // What the request offered does not stay in the text of the refusal, whatever it looks like.
    let password = vault.password("an echo of a password", "jade");
    let body = format!("the password {password} of alice is wrong");
    let basic = STANDARD.encode(format!("alice:{password}"));
    let echo = format!("WWW-Authenticate: Basic realm=\"r\", title=\"no {password}\"");
    all.push((get(&format!("Authorization: Basic {basic}")), answer("401 Unauthorized", &[&echo], body.as_bytes())));
    let password = vault.password("an echo of a token", "opal");
    let body = format!("{{\"error\":\"unknown token {password}\"}}");
    let echo = format!("WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"{password}\"");
    let request = get(&format!("Authorization: Bearer {password}"));
    all.push((request, answer("401 Unauthorized", &[&echo], body.as_bytes())));
    let key = vault.password("an echo of a key", "ruby");
    let body = format!("API key {key} is not known");
    all.push((get(&format!("X-Api-Key: {key}")), answer("403 Forbidden", &[], body.as_bytes())));
    let token = vault.token("a trailer of the answer");
    let mut chunked = lines(&["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]);
    chunked.extend(format!("2\r\nok\r\n0\r\nX-Token: {token}\r\n\r\n").bytes());
    all.push((plain.clone(), chunked));
    let token = vault.token("grpc-message");
    let fields = ["Content-Type: application/grpc", "grpc-status: 16", &format!("grpc-message: bad token {token}")];
    all.push((plain.clone(), answer("200 OK", &fields, b"")));
    let token = vault.token("the reason phrase");
    all.push((plain.clone(), answer(&format!("401 {token}"), &[], b"")));
    let token = vault.token("a media type");
    let media = format!("Content-Type: text/plain; boundary=\"{token}\"");
    all.push((plain.clone(), answer("401 Unauthorized", &[&media], b"no")));
    let token = vault.token("an answer that is no HTTP");
    all.push((plain.clone(), format!("SSH-2.0-{token}\r\n\r\n").into_bytes()));
    let token = vault.token("a status line that is none");
    all.push((plain.clone(), lines(&[&format!("HTTP/1.1 {token} OK")])));
    let token = vault.token("a folded field of the answer");
    all.push((plain.clone(), answer("200 OK", &[&format!("Server: x\r\n Set-Cookie: a={token}")], b"ok")));
    let token = vault.token("an answer with an ill content length");
    all.push((plain, lines(&["HTTP/1.1 200 OK", &format!("Content-Length: {token}")])));
    // A request that carries a secret and gets no answer at all: the tap makes a 502 of its own.
    let token = vault.token("a request that is never answered");
    all.push((get(&format!("Authorization: Bearer {token}")), Vec::new()));
    all.into_iter().map(|(request, answer)| Planted { request, answer }).collect()
}

/// Sends each on a connection of its own, and answers it.
fn play(tap: SocketAddr, backend: &TcpListener, all: &[Planted]) {
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            for planted in all {
                let mut stream = patient(backend.accept().unwrap().0);
                let mut arrived = vec![0; planted.request.len()];
                stream.read_exact(&mut arrived).unwrap();
                assert!(arrived == planted.request, "{}", planted.request.escape_ascii());
                stream.write_all(&planted.answer).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                // The client's end comes through, or a reset where the tap has given up on the stream.
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        for planted in all {
            let mut stream = patient(TcpStream::connect(tap).unwrap());
            stream.write_all(&planted.request).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        answering.join().unwrap();
    });
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The first connection that speaks HTTP/1, with its head read. One that asks for HTTP/2 is turned down.
fn head_of_http1(backend: &TcpListener) -> TcpStream {
    loop {
        let mut stream = patient(backend.accept().unwrap().0);
        let mut arrived = Vec::new();
        let mut piece = [0; 4096];
        while common::head::find(&arrived, b"\r\n\r\n").is_none() {
            let got = common::read_once(&mut stream, &mut piece).unwrap();
            assert!(got > 0, "closed within the head");
            arrived.extend_from_slice(&piece[..got]);
        }
        if !arrived.starts_with(b"PRI ") {
            return stream;
        }
        stream.write_all(&answer("400 Bad Request", &[], b"")).unwrap();
    }
}

/// Over HTTP/2, with curl.
fn play_http2(tap: SocketAddr, backend: &TcpListener, vault: &mut Vault) {
    let token = vault.token("Bearer over HTTP/2");
    let cookie = vault.token("Cookie over HTTP/2");
    let query = vault.token("the query over HTTP/2");
    let key = vault.password("an unknown field over HTTP/2", "coral");
    let body = format!("{{\"message\":\"{token} is unknown\"}}");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = head_of_http1(backend);
            let fields = ["WWW-Authenticate: Bearer error=\"invalid_token\"", "Content-Type: application/json"];
            stream.write_all(&answer("401 Unauthorized", &fields, body.as_bytes())).unwrap();
        });
        let url = format!("http://{tap}/v1/orders?access_token={query}");
        let fields =
            [format!("Authorization: Bearer {token}"), format!("Cookie: a={cookie}"), format!("X-Zebra: {key}")];
        let mut arguments = vec!["--http2-prior-knowledge"];
        fields.iter().for_each(|field| arguments.extend(["-H", field]));
        arguments.push(&url);
        curl(&arguments).assert_status(401);
    });
}

fn nothing_is_told(format: &str) {
    let port = ReservedPort::new();
    let backend = port.listen();
    let tap = Loud::start(port.addr(), format);
    let addr = tap.addr;
    let mut vault = Vault::default();
    let mut all = in_requests(&mut vault);
    all.extend(in_malformed_requests(&mut vault));
    all.extend(in_answers(&mut vault));
    play(addr, &backend, &all);
    play_http2(addr, &backend, &mut vault);
    drop(backend);
    // A request that reaches nobody, so that the 502 is the tap's.
    let token = vault.token("a request to a backend that is gone");
    let mut stream = patient(TcpStream::connect(addr).unwrap());
    stream.write_all(&get(&format!("Authorization: Bearer {token}"))).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert!(reply.starts_with(b"HTTP/1.1 502"), "{}", reply.escape_ascii());

    let outputs = tap.end(all.len());
    let pieces = Pieces::of(&vault.secrets);
    let mut found: Vec<String> = outputs.iter().flat_map(|(name, text)| pieces.found_in(name, text)).collect();
    found.extend(pieces.found_in("the tap's own answer", &reply));
    found.sort();
    assert!(found.is_empty(), "{} leaks\n{}", found.len(), found.join("\n"));
    // Silence proves nothing where nothing was recorded.
    let records = outputs[2].1.iter().filter(|byte| **byte == b'\n').count();
    assert!(records >= all.len(), "{} exchanges, and {records} records", all.len());
    assert!(vault.secrets.len() > 150, "{} secrets", vault.secrets.len());
}

#[test]
fn no_secret_is_told_by_the_log_for_people() {
    nothing_is_told("text");
}

#[test]
fn no_secret_is_told_by_the_log_for_programs() {
    nothing_is_told("json");
}

/// What a terminal acts on: colours, a window's title, links, C1, the direction of text, lines that are none for others.
const TRICKS: [&str; 12] = [
    "\u{1b}[31mred",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;https://evil.example\u{1b}\\link",
    "\u{1b}c",
    "\u{9b}2J",
    "\u{9d}0;title\u{9c}",
    "\u{202e}abc",
    "\u{2066}abc\u{2069}",
    "a\u{2028}b\u{2029}c",
    "a\u{85}b",
    "\u{8}\u{8}\u{7f}",
    "a\u{200b}\u{feff}b\u{ad}\u{e0041}",
];

/// Each trick in each place that is shown.
fn tricky() -> Vec<Planted> {
    let mut all = Vec::new();
    for trick in TRICKS {
        all.extend(with(get(&format!("User-Agent: {trick}")), &[refused(), accepted()]));
        let basic = STANDARD.encode(format!("{trick}:pw"));
        all.extend(with(get(&format!("Authorization: Basic {basic}")), &[refused(), accepted()]));
        all.extend(with(get(&format!("Authorization: {trick} abc")), &[refused()]));
        all.extend(with(get(&format!("{trick}: abc")), &[refused()]));
        all.extend(with(get_target(&format!("/{trick}")), &[refused()]));
        all.extend(with(get_target(&format!("/?page={trick}")), &[refused()]));
        all.extend(with(lines(&[&format!("{trick} / HTTP/1.1"), "Host: a.example"]), &[refused()]));
        all.extend(with(lines(&["GET / HTTP/1.1", &format!("Host: {trick}")]), &[refused()]));
        let json = |text: &str| {
            URL_SAFE_NO_PAD.encode(serde_json::json!({ "kid": text, "iss": text, "alg": text }).to_string())
        };
        let token = format!("{}.{}.c2ln", json(trick), json(trick));
        all.extend(with(get(&format!("Authorization: Bearer {token}")), &[refused()]));
        for field in ["Bearer realm=\"{}\"", "Bearer error=\"{}\"", "{}", "{} realm=\"a\"", "Bearer {}=\"a\""] {
            let field = format!("WWW-Authenticate: {}", field.replace("{}", trick));
            let body = format!("{{\"message\":\"{trick}\"}}");
            let request = get("Authorization: Bearer abc");
            all.extend(with(request, &[answer("401 Unauthorized", &[&field], body.as_bytes())]));
        }
        all.extend(with(get("Accept: */*"), &[answer("302 Found", &[&format!("Location: /{trick}")], b"")]));
        all.extend(with(get("Accept: */*"), &[answer(&format!("500 {trick}"), &[&format!("Server: {trick}")], b"")]));
    }
    all
}

fn nothing_acts_on_the_terminal(format: &str) {
    let port = ReservedPort::new();
    let backend = port.listen();
    let tap = Loud::start(port.addr(), format);
    let all = tricky();
    play(tap.addr, &backend, &all);
    for (name, text) in tap.end(all.len()) {
        let text = String::from_utf8(text).unwrap_or_else(|_| panic!("{name} is no UTF-8"));
        for (at, char) in text.char_indices().filter(|(_, char)| *char != '\n') {
            let is_mark =
                matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
            let is_mark = is_mark || matches!(char, '\u{feff}' | '\u{e0000}'..='\u{e007f}');
            assert!(!char.is_control() && !is_mark, "{name} has {char:?} behind {:?}", {
                let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
                &text[start..at]
            });
        }
        if name == "the record" {
            assert_eq!(text.lines().count(), all.len(), "an exchange is a line");
        }
    }
}

#[test]
fn nothing_acts_on_the_terminal_of_who_reads_the_log() {
    nothing_acts_on_the_terminal("text");
}

#[test]
fn nothing_acts_on_the_terminal_of_who_reads_the_records() {
    nothing_acts_on_the_terminal("json");
}

#[test]
fn the_search_finds_every_spelling() {
    let secret = "Zebra4Lynx7Quokka2Tapir".to_owned();
    let pieces = Pieces::of(&[("here".to_owned(), secret.clone())]);
    let found = |text: String| !pieces.found_in("x", text.as_bytes()).is_empty();
    assert!(found(format!("a {secret}")));
    assert!(found(secret.to_ascii_lowercase()));
    assert!(found("…bra4Lynx…".to_owned()));
    assert!(found(STANDARD.encode(format!("alice:{secret}"))));
    assert!(found(STANDARD.encode(format!("bob:{secret}"))));
    assert!(found(hex(secret.as_bytes())));
    assert!(found(percent(secret.as_bytes()).to_uppercase()));
    assert!(found(secret.chars().rev().collect()));
    assert!(!found("Zebra4L ynx7Quo".to_owned()));
}
