//! What the demo plays: for each scene the bytes that the client sends, and the verdict that has to come of it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::Way;

/// One scene.
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) way: Way,
    /// The requests, as bytes.
    pub(super) requests: Vec<Vec<u8>>,
    /// The verdict of the last exchange.
    pub(super) expects: &'static str,
}

/// What the backend has given out, fresh in each run.
#[derive(Clone)]
pub(super) struct Tokens {
    /// Good for an hour.
    pub(super) valid: String,
    /// Run out a while ago.
    pub(super) expired: String,
    /// User and password, encoded.
    pub(super) basic: String,
    /// A key for the one path that takes keys.
    pub(super) api_key: String,
}

impl Tokens {
    pub(super) fn issue() -> Result<Self, getrandom::Error> {
        let now = Timestamp::now().as_second();
        Ok(Tokens {
            valid: token(now - 60, now + 3600)?,
            expired: token(now - 4443, now - 843)?,
            basic: STANDARD.encode(format!("ada:{}", random(12)?)),
            api_key: random(24)?,
        })
    }
}

fn random(bytes: usize) -> Result<String, getrandom::Error> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// A token in the form of a JWT. The backend knows its tokens by heart, so the signature is just random.
fn token(issued: i64, expires: i64) -> Result<String, getrandom::Error> {
    let header = serde_json::json!({ "alg": "HS256", "typ": "at+jwt", "kid": "demo-1" });
    let claims = serde_json::json!({
        "iss": "https://login.example", "aud": "orders-api", "sub": "ada", "iat": issued, "exp": expires,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    Ok(format!("{}.{}.{}", part(&header), part(&claims), random(32)?))
}

fn request(line: &str, fields: &[&str]) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nHost: api.example\r\nAccept: application/json\r\n");
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn scene(title: &'static str, way: Way, requests: Vec<Vec<u8>>, expects: &'static str) -> Scene {
    Scene { title, way, requests, expects }
}

/// All scenes, in order.
pub(super) fn all(tokens: &Tokens) -> Vec<Scene> {
    use Way::{Backend, Gateway, Nowhere, Path};
    let Tokens { valid, expired, basic, api_key } = tokens;
    let orders = |authorization: &str| request("GET /v1/orders", &[&format!("Authorization: {authorization}")]);
    vec![
        scene("A good token", Backend, vec![orders(&format!("Bearer {valid}"))], "ok"),
        scene(
            "A login in two steps, as browsers do it",
            Backend,
            vec![request("GET /reports", &[]), request("GET /reports", &[&format!("Authorization: Basic {basic}")])],
            "ok",
        ),
        scene("A token that has run out", Backend, vec![orders(&format!("Bearer {expired}"))], "token-expired"),
        scene(
            "The gateway empties Authorization",
            Gateway,
            vec![request("GET /internal/orders", &[&format!("Authorization: Bearer {valid}")])],
            "credentials-reported-missing",
        ),
        scene(
            "The same, with a tap on each side of the gateway",
            Path,
            vec![request("GET /internal/orders", &[&format!("Authorization: Bearer {valid}")])],
            "credentials-stripped",
        ),
        scene("A good token through both taps", Path, vec![orders(&format!("Bearer {valid}"))], "ok"),
        scene(
            "A header name that the gateway drops",
            Gateway,
            vec![request("GET /keys", &[&format!("api_key: {api_key}")])],
            "auth-header-name-suspect",
        ),
        scene(
            "The gateway renames the challenge",
            Gateway,
            vec![request("GET /cloud/orders", &[])],
            "challenge-renamed",
        ),
        scene(
            "The same, with a tap on each side of the gateway",
            Path,
            vec![request("GET /cloud/orders", &[])],
            "challenge-changed",
        ),
        scene(
            "No challenge, and a client that needs one",
            Backend,
            vec![request("POST /mcp", &["MCP-Protocol-Version: 2025-11-25", "Content-Length: 0"])],
            "challenge-missing",
        ),
        scene("A colon behind the scheme", Backend, vec![orders(&format!("Bearer:{valid}"))], "scheme-malformed"),
        scene("The scheme twice", Backend, vec![orders(&format!("Bearer Bearer {valid}"))], "scheme-repeated"),
        scene("A variable that nobody filled in", Backend, vec![orders("Bearer ${API_TOKEN}")], "token-placeholder"),
        scene(
            "Quotes that came along with the token",
            Backend,
            vec![orders(&format!("Bearer \"{valid}\""))],
            "token-bad-character",
        ),
        scene(
            "A password that was URL-encoded",
            Backend,
            vec![request("GET /reports", &[&format!("Authorization: Basic%20{basic}")])],
            "credentials-percent-encoded",
        ),
        scene(
            "Two credentials at once",
            Backend,
            vec![request(
                "GET /v1/orders",
                &[&format!("Authorization: Basic {basic}"), &format!("Authorization: Bearer {valid}")],
            )],
            "multiple-credentials",
        ),
        scene(
            "A browser's question before the request",
            Backend,
            vec![request(
                "OPTIONS /v1/orders",
                &[
                    "Origin: https://app.example",
                    "Access-Control-Request-Method: GET",
                    "Access-Control-Request-Headers: authorization",
                ],
            )],
            "preflight-rejected",
        ),
        scene(
            "An API that answers with its login page",
            Backend,
            vec![request("GET /account", &[&format!("Authorization: Bearer {valid}")])],
            "login-redirect-for-api",
        ),
        scene("A backend that is down", Nowhere, vec![orders(&format!("Bearer {valid}"))], "upstream-failed"),
    ]
}
