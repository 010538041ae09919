//! Whole stretches of traffic, and the verdict of each exchange.

use super::*;
use crate::auth::FingerprintKey;
use crate::diagnose::Diagnoser;
use crate::exchange::redact::Redactor;
use crate::exchange::transcript;

/// The verdicts in order; a warning or an error has its mark before it.
fn verdicts(text: &str) -> Vec<String> {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"traffic"), []);
    let mut diagnoser = Diagnoser::default();
    let exchanges = transcript::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let verdict = |exchange| {
        let diagnosis = diagnoser.diagnose(&View::new(exchange, &redactor));
        let mark = match diagnosis.severity() {
            Some(Severity::Error) => "✗ ",
            Some(Severity::Warning) => "! ",
            _ => "",
        };
        format!("{mark}{}", diagnosis.verdict())
    };
    exchanges.iter().map(verdict).collect()
}

const BASIC: &str = "< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Basic realm=\"a\"\n";
const BEARER: &str = "< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"a\"\n";
const OK: &str = "< HTTP/1.1 200 OK\n";

#[test]
fn healthy_traffic_is_quiet() {
    for (name, text, expected) in [
        (
            "docker asks, logs in and goes on",
            format!(
                "> GET /v2/ HTTP/1.1\n> User-Agent: docker/27\n< HTTP/1.1 401 Unauthorized\n\
                 < WWW-Authenticate: Bearer realm=\"https://auth.example/token\",service=\"r\"\n\
                 < Content-Type: application/json\n<\n< {{\"errors\":[{{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}}]}}\n\
                 > GET /token?service=r&scope=repository:a:pull HTTP/1.1\n> User-Agent: docker/27\n\
                 > Authorization: Basic {{basic anna:correct horse}}\n{OK}\
                 > GET /v2/a/manifests/1 HTTP/1.1\n> User-Agent: docker/27\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}\
                 > GET /v2/b/manifests/1 HTTP/1.1\n> User-Agent: docker/27\n{BEARER}"
            ),
            vec!["credentials-absent", "ok", "ok", "credentials-absent"],
        ),
        (
            "NTLM inside of Negotiate, with the last message on the 200",
            format!(
                "> GET / HTTP/1.1\n< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Negotiate\n< WWW-Authenticate: NTLM\n\
                 > GET / HTTP/1.1\n> Authorization: Negotiate {{ntlm 1}}\n< HTTP/1.1 401 Unauthorized\n\
                 < WWW-Authenticate: Negotiate {{ntlm 2}}\n\
                 > GET / HTTP/1.1\n> Authorization: Negotiate {{ntlm 3}}\n< HTTP/1.1 200 OK\n\
                 < WWW-Authenticate: Negotiate oRswGaADCgEA\n> GET /next HTTP/1.1\n{OK}"
            ),
            vec!["credentials-absent", "handshake-step", "ok", "ok"],
        ),
        (
            "a DPoP nonce is asked for and sent",
            format!(
                "> GET / HTTP/1.1\n> Authorization: DPoP 2YotnFZFEjr1zCsicMWpAA\n> DPoP: a.b.c\n< HTTP/1.1 401 Unauthorized\n\
                 < DPoP-Nonce: abc\n< WWW-Authenticate: DPoP error=\"use_dpop_nonce\"\n\
                 > GET / HTTP/1.1\n> Authorization: DPoP 2YotnFZFEjr1zCsicMWpAA\n> DPoP: a.b.d\n{OK}"
            ),
            vec!["handshake-step", "ok"],
        ),
        (
            "an MCP client looks for metadata",
            "> POST /mcp HTTP/1.1\n< HTTP/1.1 401 Unauthorized\n\
             < WWW-Authenticate: Bearer resource_metadata=\"https://a.example/.well-known/oauth-protected-resource\"\n\
             > GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\n< HTTP/1.1 404 Not Found\n\
             > GET /.well-known/oauth-protected-resource HTTP/1.1\n< HTTP/1.1 200 OK\n"
                .to_owned(),
            vec!["credentials-absent", "ok", "ok"],
        ),
        (
            "a preflight and its request",
            "> OPTIONS /a HTTP/1.1\n> Host: api.example\n> Origin: https://app.example\n> Access-Control-Request-Method: GET\n\
                 > Access-Control-Request-Headers: authorization\n< HTTP/1.1 204 No Content\n\
                 < Access-Control-Allow-Origin: https://app.example\n< Access-Control-Allow-Headers: authorization\n\
                 > GET /a HTTP/1.1\n> Host: api.example\n> Origin: https://app.example\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n\
                 < HTTP/1.1 200 OK\n< Access-Control-Allow-Origin: https://app.example\n"
.to_owned(),
            vec!["ok", "ok"],
        ),
        (
            "probes, icons, logins and page loads",
            format!(
                "> GET /healthz HTTP/1.1\n> User-Agent: kube-probe/1.31\n{BASIC}> GET /favicon.ico HTTP/1.1\n{BASIC}\
                 > POST /login HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> user=a&password=b\n< HTTP/1.1 403 Forbidden\n\
                 > POST /login HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> user=a&password=b\n< HTTP/1.1 302 Found\n< Location: /login?error\n\
                 > GET / HTTP/1.1\n> Accept: text/html,*/*;q=0.8\n< HTTP/1.1 302 Found\n< Location: /login\n"
            ),
            vec!["credentials-absent", "credentials-absent", "credentials-absent", "ok", "ok"],
        ),
        (
            "a gateway with an address of its own network, and one that ends TLS",
            format!(
                "* client addr 10.1.2.3\n> GET / HTTP/1.1\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}\
                 * client addr 203.0.113.4\n> GET / HTTP/1.1\n> Via: 1.1 edge\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}\
                 * client tls\n> GET / HTTP/1.1\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}"
            ),
            vec!["ok", "ok", "ok"],
        ),
        (
            "lower-case names and schemes, and odd values that are taken",
            format!(
                "> GET / HTTP/1.1\n> authorization: bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}\
                 > GET / HTTP/1.1\n> X_Api_Key: 0b5a7c2e9d1f4a3c8e6b\n{OK}\
                 > GET / HTTP/1.1\n> Authorization : Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}\
                 > GET / HTTP/1.1\n> Proxy-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}"
            ),
            vec!["ok", "ok", "ok", "ok"],
        ),
        (
            "an upload that the client gives up",
            "> PUT /big HTTP/1.1\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n* outcome client-gone\n".to_owned(),
            vec!["ok"],
        ),
        (
            "each of two users behind one gateway starts for itself",
            format!(
                "* client addr 10.1.2.3\n> GET /a HTTP/1.1\n> X-Forwarded-For: 198.51.100.1\n> X-Forwarded-Proto: https\n\
                 > Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}\
                 > GET /a HTTP/1.1\n> X-Forwarded-For: 198.51.100.2\n> X-Forwarded-Proto: https\n{BEARER}"
            ),
            vec!["ok", "credentials-absent"],
        ),
    ] {
        assert_eq!(verdicts(&text), expected, "{name}");
    }
}

#[test]
fn faults_are_named() {
    let refused = "> GET /orders HTTP/1.1\n> Host: a\n";
    for (name, text, expected) in [
        (
            "a refused NTLM message of type 3",
            "> GET / HTTP/1.1\n> Authorization: NTLM {ntlm 1}\n< HTTP/1.1 401 x\n< WWW-Authenticate: NTLM {ntlm 2}\n\
             > GET / HTTP/1.1\n> Authorization: NTLM {ntlm 3}\n< HTTP/1.1 401 x\n< WWW-Authenticate: NTLM\n"
                .to_owned(),
            "✗ credentials-rejected",
        ),
        (
            "a form's token beside the header's",
            format!(
                "> POST /a HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n>\n\
                 > access_token=2YotnFZFEjr1zCsicMWpAA\n{BEARER}"
            ),
            "✗ multiple-credentials",
        ),
        (
            "one key under two names",
            format!("{refused}> X-Api-Key: 0b5a7c2e9d1f4a3c\n> Api-Key: 0b5a7c2e9d1f4a3c\n{BEARER}"),
            "✗ multiple-credentials",
        ),
        (
            "a key named in Connection",
            format!("{refused}> X-Api-Key: 0b5a7c2e9d1f4a3c\n> Connection: close, X-Api-Key\n{BEARER}"),
            "✗ authorization-misplaced",
        ),
        (
            "an identity-aware proxy reads Proxy-Authorization on purpose",
            format!(
                "{refused}> Proxy-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n< HTTP/1.1 401 x\n\
                 < X-Goog-IAP-Generated-Response: true\n< WWW-Authenticate: Bearer realm=\"a\"\n"
            ),
            "✗ credentials-rejected",
        ),
        (
            "Kong wants its key elsewhere",
            format!(
                "{refused}> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n< HTTP/1.1 401 x\n< WWW-Authenticate: Key realm=\"kong\"\n\
                 < Content-Type: application/json\n<\n< {{\"message\":\"No API key found in request\"}}\n"
            ),
            "✗ wrong-credential-header",
        ),
        (
            "a text that somebody wrote by hand",
            format!(
                "{refused}> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{BEARER}< Content-Type: application/json\n<\n\
                 < {{\"error\":\"No token provided!\"}}\n"
            ),
            "✗ credentials-reported-missing",
        ),
        (
            "JSON with spaces",
            format!(
                "{refused}> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{BEARER}< Content-Type: application/json\n<\n\
                 < {{\n<   \"message\": \"Bad credentials\",\n<   \"status\": \"401\"\n< }}\n"
            ),
            "✗ known-error-text",
        ),
        (
            "a gRPC call without any token",
            "> POST /a.B/C HTTP/2\n> content-type: application/grpc\n< HTTP/2 200\n< content-type: application/grpc\n\
             < grpc-status: 16\n< grpc-message: Jwt%20is%20missing\n"
                .to_owned(),
            "✗ grpc-auth-status",
        ),
        (
            "a program that never answers",
            format!("> POST /orders HTTP/1.1\n{BEARER}").repeat(6),
            "! credentials-absent",
        ),
        (
            "credentials that were there a moment ago",
            format!("{refused}> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n{OK}{refused}{BEARER}{refused}{BEARER}"),
            "! credentials-absent",
        ),
        (
            "a preflight that a firewall refuses",
            "> OPTIONS /a HTTP/1.1\n> Origin: https://app.example\n> Access-Control-Request-Method: GET\n< HTTP/1.1 403 Forbidden\n"
                .to_owned(),
            "✗ preflight-rejected",
        ),
    ] {
        let verdicts = verdicts(&text);
        assert_eq!(verdicts.last().map(String::as_str), Some(expected), "{name}");
    }
}
