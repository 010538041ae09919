//! Refusals whose challenge is as it should be, or is not needed.

use super::*;
use crate::rules::credentials::tests::found;
use crate::rules::{Rule, Severity};

fn fires(rule: &Rule, text: &str) -> bool {
    !found(rule, text).is_empty()
}

#[test]
fn what_needs_no_challenge() {
    for text in [
        "> GET / HTTP/1.1\n< HTTP/1.1 403 x\n",
        "> GET / HTTP/1.1\n< HTTP/1.1 200 x\n",
        "> OPTIONS / HTTP/1.1\n> Origin: https://a\n> Access-Control-Request-Method: GET\n< HTTP/1.1 401 x\n",
        "> GET /logout HTTP/1.1\n> Authorization: Basic {basic a:b}\n< HTTP/1.1 401 x\n",
        "> GET / HTTP/1.1\n> User-Agent: ELB-HealthChecker/2.0\n< HTTP/1.1 401 x\n",
        "> GET /favicon.ico HTTP/1.1\n< HTTP/1.1 401 x\n",
        "> POST /oauth/token HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> grant_type=x\n< HTTP/1.1 401 x\n",
        "> POST /api/login HTTP/1.1\n< HTTP/1.1 401 x\n",
        "> GET / HTTP/1.1\n* unanswered\n",
        "> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: realm=\"a\"\n",
        "> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate:\n< WWW-Authenticate: Basic realm=\"a\"\n",
    ] {
        assert!(!fires(&challenge_missing::RULE, text), "{text}");
        assert!(!fires(&challenge_renamed::RULE, text), "{text}");
    }
}

#[test]
fn who_waits_for_a_challenge_cannot_log_in_without_one() {
    for (agent, severity) in [
        ("curl/8.10.1", Severity::Warning),
        ("Mozilla/5.0 (X11; Linux x86_64)", Severity::Warning),
        ("digit/1.0", Severity::Warning),
        ("python-requests/2.32 javascript", Severity::Warning),
        ("git/2.47.0", Severity::Error),
        ("git-lfs/3.5.1 (GitHub; linux amd64; go 1.22)", Severity::Error),
        ("JGit/6.10", Severity::Error),
        ("docker/27.3.1 go/go1.22 git-commit/x kernel/6.8 os/linux arch/amd64", Severity::Error),
        ("containerd/1.7.22", Severity::Error),
        ("NuGet Command Line/6.11 (Windows)", Severity::Error),
        ("Java/21.0.4", Severity::Error),
        ("Java-http-client/21.0.4", Severity::Error),
        ("Apache-Maven/3.9.9 (Java 21; Linux)", Severity::Error),
        ("davfs2/1.7.0 neon/0.33", Severity::Error),
        ("gvfs/1.56", Severity::Error),
        ("Microsoft-WebDAV-MiniRedir/10.0.22631", Severity::Error),
        ("my-mcp-client/1.0", Severity::Error),
    ] {
        let text = format!("> GET /x HTTP/1.1\n> User-Agent: {agent}\n< HTTP/1.1 401 x\n");
        assert_eq!(found(&challenge_missing::RULE, &text)[0].severity, severity, "{agent}");
    }
}

#[test]
fn other_names_are_not_the_challenges() {
    for (field, expected) in [
        ("X-Amzn-Remapped-WWW-Authenticate: Basic realm=\"a\"", true),
        ("X-WWW-Authenticate: Basic realm=\"a\"", true),
        ("WWW_Authenticate: Basic realm=\"a\"", true),
        ("Proxy-Authenticate: Basic realm=\"a\"", true),
        ("Authentication-Info: nextnonce=\"a\"", false),
        ("Proxy-Authentication-Info: nextnonce=\"a\"", false),
        ("X-Authenticated: yes", false),
        ("Set-Cookie: www-authenticate=a", false),
        ("X-WWW-Authenticate:", false),
    ] {
        let text = format!("> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< {field}\n");
        assert_eq!(fires(&challenge_renamed::RULE, &text), expected, "{field}");
        let both = format!("{text}< WWW-Authenticate: Basic realm=\"a\"\n");
        assert!(!fires(&challenge_renamed::RULE, &both), "{field}");
    }
}

#[test]
fn a_sound_challenge_is_no_malformed_one() {
    for challenge in [
        "Bearer",
        "Negotiate",
        "Negotiate oRQwEqADCgEA",
        "NTLM {ntlm 2}",
        "PrivateToken challenge=abc==, token-key=def=",
        "Basic realm=\"a, b\", charset=\"utf-8\"",
        "Basic realm=\"a\", x=y",
        "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
    ] {
        let text = format!("> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: {challenge}\n");
        assert!(!fires(&challenge_malformed::RULE, &text), "{challenge}");
    }
    // Where the status does not ask for it, a broken challenge keeps nobody out.
    let beside = "> GET / HTTP/1.1\n< HTTP/1.1 404 x\n< WWW-Authenticate: Basic realm='a'\n";
    assert_eq!(found(&challenge_malformed::RULE, beside)[0].severity, Severity::Info);
}

#[test]
fn an_error_that_fits_is_not_misused() {
    for (sent, status, challenge, expected) in [
        ("Authorization: Bearer a", 401, "Bearer error=\"invalid_token\"", false),
        ("Authorization: Bearer a", 403, "Bearer error=\"insufficient_scope\", scope=\"x\"", false),
        ("Authorization: Bearer a", 400, "Bearer error=\"invalid_request\"", false),
        ("Authorization: Bearer a", 401, "Bearer error=\"insufficient_user_authentication\"", false),
        ("Authorization: DPoP a", 401, "DPoP error=\"invalid_dpop_proof\"", false),
        ("Authorization: Bearer a", 401, "Bearer realm=\"a\"", false),
        ("Cookie: session=a", 401, "Bearer error=\"invalid_token\"", false),
        ("X-Api-Key: a", 401, "Bearer error=\"invalid_token\"", false),
        ("Accept: */*", 401, "Bearer realm=\"a\"", false),
        ("Accept: */*", 401, "Basic realm=\"a\", error=\"invalid_token\"", false),
        ("Accept: */*", 401, "Bearer error=\"invalid_token\"", true),
        ("Accept: */*", 403, "Bearer error=\"insufficient_scope\"", true),
        ("Authorization: Bearer a", 401, "Bearer error=\"insufficient_scope\"", true),
        ("Authorization: Bearer a", 401, "Bearer error=\"unauthorized\"", true),
        (
            "Authorization: Bearer a",
            401,
            "Bearer realm=\"https://auth.example/token\",service=\"registry\",error=\"insufficient_scope\"",
            false,
        ),
    ] {
        let text = format!("> GET / HTTP/1.1\n> {sent}\n< HTTP/1.1 {status} x\n< WWW-Authenticate: {challenge}\n");
        assert_eq!(fires(&bearer_error_misused::RULE, &text), expected, "{sent} {status} {challenge}");
    }
    let query =
        "> GET /?access_token=abc HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: Bearer error=\"invalid_token\"\n";
    assert!(!fires(&bearer_error_misused::RULE, query));
}
