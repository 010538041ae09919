use super::*;
use crate::auth::FingerprintKey;
use crate::exchange::redact::Redactor;
use crate::exchange::transcript;

fn recognised(text: &str) -> Option<&'static str> {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
    let exchange = transcript::parse(text).unwrap().remove(0);
    recognise(&View::new(&exchange, &redactor), &Memory::default()).map(Normal::id)
}

#[test]
fn what_is_normal_has_a_name() {
    for (text, expected) in [
        ("> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: Basic realm=\"a\"\n", Some("handshake-start")),
        (
            "> GET http://a.example/ HTTP/1.1\n< HTTP/1.1 407 x\n< Proxy-Authenticate: Basic realm=\"a\"\n",
            Some("handshake-start"),
        ),
        (
            "> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: PrivateToken challenge=\"a\"\n",
            Some("private-token-asked"),
        ),
        (
            "> GET / HTTP/1.1\n> Authorization: NTLM {ntlm 1}\n< HTTP/1.1 401 x\n< WWW-Authenticate: NTLM {ntlm 2}\n",
            Some("ntlm-step"),
        ),
        (
            "> GET / HTTP/1.1\n> Authorization: Negotiate {ntlm 1}\n< HTTP/1.1 401 x\n< WWW-Authenticate: Negotiate {ntlm 2}\n",
            Some("ntlm-step"),
        ),
        (
            "> GET / HTTP/1.1\n> Authorization: Negotiate YII=\n< HTTP/1.1 401 x\n< WWW-Authenticate: Negotiate oQcwBQ==\n",
            Some("negotiate-step"),
        ),
        (
            "> GET / HTTP/1.1\n> Authorization: Digest username=\"a\"\n< HTTP/1.1 401 x\n< WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", stale=TRUE\n",
            Some("digest-nonce-stale"),
        ),
        (
            "> GET / HTTP/1.1\n> Authorization: DPoP a\n< HTTP/1.1 401 x\n< DPoP-Nonce: n\n< WWW-Authenticate: DPoP error=\"use_dpop_nonce\"\n",
            Some("dpop-nonce-asked"),
        ),
        ("> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\n< HTTP/1.1 404 x\n", Some("discovery")),
        (
            "> OPTIONS / HTTP/1.1\n> Origin: a\n> Access-Control-Request-Method: GET\n< HTTP/1.1 401 x\n",
            Some("preflight"),
        ),
        ("> GET / HTTP/1.1\n> User-Agent: kube-probe/1.31\n< HTTP/1.1 401 x\n", Some("health-probe")),
        ("> GET /favicon.ico HTTP/1.1\n< HTTP/1.1 401 x\n", Some("browser-extra")),
        (
            "> POST /oauth/token HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> grant_type=refresh_token\n< HTTP/1.1 400 x\n",
            Some("token-endpoint"),
        ),
        ("> GET /logout HTTP/1.1\n> Authorization: Basic {basic a:b}\n< HTTP/1.1 401 x\n", Some("logout")),
        ("> GET / HTTP/1.1\n> Accept: text/html,*/*\n< HTTP/1.1 302 x\n< Location: /login\n", Some("login-redirect")),
        ("> POST /api/login HTTP/1.1\n< HTTP/1.1 401 x\n", Some("login-form")),
        ("> GET / HTTP/1.1\n< HTTP/1.1 401 x\n", None),
        ("> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: Basic realm=\"a\n", None),
        (
            "> GET / HTTP/1.1\n> Authorisation: Basic {basic a:b}\n< HTTP/1.1 401 x\n< WWW-Authenticate: Basic realm=\"a\"\n",
            None,
        ),
        ("> GET / HTTP/1.1\n> Authorization: NTLM {ntlm 3}\n< HTTP/1.1 401 x\n< WWW-Authenticate: NTLM\n", None),
        ("> GET / HTTP/1.1\n> Authorization: NTLM {ntlm 1}\n< HTTP/1.1 401 x\n< WWW-Authenticate: NTLM\n", None),
        (
            "> GET / HTTP/1.1\n> Authorization: Basic {basic a:b}\n< HTTP/1.1 401 x\n< WWW-Authenticate: Basic realm=\"a\"\n",
            None,
        ),
        ("> OPTIONS / HTTP/1.1\n< HTTP/1.1 401 x\n", None),
        ("> GET / HTTP/1.1\n< HTTP/1.1 200 OK\n", None),
    ] {
        assert_eq!(recognised(text), expected, "{text}");
    }
}
