//! A refusal that does not say how to log in.

use super::place_of_challenges;
use crate::auth::{DefectKind, Scheme};
use crate::exchange::View;
use crate::exchange::view::Challenged;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_sent};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec, normal};

/// A 401 without WWW-Authenticate, or a 407 without Proxy-Authenticate.
pub static RULE: Rule = Rule {
    name: "challenge-missing",
    family: Family::Challenge,
    severity: Severity::Error,
    title: "The refusal does not say how to log in",
    why: "A client learns from the challenge which scheme to use and where to get credentials. Browsers show no prompt \
          without it; git, docker, NuGet, Java, WebDAV and MCP clients keep the credentials that they have to \
          themselves until they are asked. Others send them at once and only miss the reason of the refusal.",
    fix: "Send at least one challenge with each 401, such as `WWW-Authenticate: Bearer realm=\"api\"`, and \
          Proxy-Authenticate with each 407. Look also for a gateway that takes the header out of the answer.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.5.8"), Spec::rfc(9110, "11.6.1")],
    supersedes: &[],
    examples: &[
        Example::fires("a bare 401", BARE),
        Example::fires_beside("a bare 401 to credentials", SENT),
        Example::fires("a client that waits to be asked", GIT),
        Example::fires("an MCP client, which looks for the login server there", MCP),
        Example::fires("a header without a challenge in it", EMPTY),
        Example::fires("a 407 without a challenge", PROXY),
        Example::quiet("Basic is offered", OFFERED),
        Example::quiet("a health probe, refused on purpose", PROBE),
        Example::quiet("a wrong password in a login form", FORM),
        Example::quiet("a success needs no challenge", SUCCESS),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let (by_proxy, name) = place_of_challenges(view)?;
    let response = view.response()?;
    let mut fields = view.challenged().iter().filter(|field| field.by_proxy == by_proxy);
    // A head of which not all was kept may have had it; what is normal is refused on purpose or without a login.
    if response.head.is_cut() || fields.clone().any(|field| !is_empty(field)) {
        return None;
    }
    if normal::recognise(view, memory).is_some() {
        return None;
    }
    let empty = fields.next();
    let what = if empty.is_some() { format!("{name} is empty") } else { format!("no {name}") };
    // Who sent credentials did not wait, and the refusal of these is another matter.
    let waiting = waiting_client(view).filter(|_| view.main_credentials().is_none());
    let severity = if waiting.is_some() { Severity::Error } else { Severity::Warning };
    let summary = format!("the server refused, but did not say how to log in: {what}");
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).header(name).severity(severity);
    let found = match empty {
        Some(field) => {
            let place = Place { message: Message::Response, field: field.field, byte: None };
            found.because_of(format!("response: {} with an empty {name}", response.status), place)
        }
        None => found.because(format!("response: {}, no {name}", response.status)),
    };
    let kind = response.head.value("content-type").map(|kind| view.redactor().field(b"content-type", kind));
    let found = match kind {
        Some(kind) => found.because(format!("body: {} bytes, {}", response.body.size, clip(&kind))),
        None => found,
    };
    let found = with_sent(found, view);
    let Some(waiting) = waiting else { return Some(fix_like_request(found, view, name)) };
    let field = view.request().fields().nth(waiting.field)?;
    let value = if field.is("user-agent") {
        format!(": {}", view.redactor().field(field.name, field.value))
    } else {
        String::new()
    };
    let text = format!("request: {}{}", view.redactor().name(field.name), clip(&value));
    let place = Place { message: Message::Request, field: waiting.field, byte: None };
    let found = found.because_of(text, place).because(format!("client: {} {}", waiting.who, waiting.does));
    Some(match waiting.who {
        MCP_CLIENT => found.fix(
            "Send the challenge that MCP asks for, with the address of your metadata: `WWW-Authenticate: Bearer \
             resource_metadata=\"https://HOST/.well-known/oauth-protected-resource\"`.",
        ),
        _ => fix_like_request(found, view, name),
    })
}

/// Whether a field has no challenge and nothing that was meant to be one.
fn is_empty(field: &Challenged) -> bool {
    field.challenges.is_empty() && field.defects.iter().all(|defect| defect.kind == DefectKind::ChallengesEmpty)
}

/// A challenge to paste, of the scheme that the client uses.
fn fix_like_request(found: Finding, view: &View<'_>, name: &str) -> Finding {
    let scheme = match view.main_credentials().and_then(|offered| offered.credentials.scheme.as_ref()) {
        Some(Scheme::Basic) => "Basic",
        Some(Scheme::Bearer) => "Bearer",
        _ => return found,
    };
    found.fix(format!(
        "Send a challenge with the refusal, for example `{name}: {scheme} realm=\"api\"`. Look also for a gateway that \
         takes it out of the answer."
    ))
}

/// A client that sends no credentials until it is asked for them.
struct Waiting {
    who: &'static str,
    does: &'static str,
    /// The field that tells.
    field: usize,
}

const MCP_CLIENT: &str = "an MCP client";
const WAITS: &str = "sends no credentials until it is asked for them";

/// What the User-Agent of such clients begins with, or has at the beginning of a word.
const WAITING: [(&str, &str); 21] = [
    ("apache-httpclient/", "a Java client"),
    ("apache-maven/", "Maven"),
    ("buildkit/", "docker"),
    ("cadaver/", "a WebDAV client"),
    ("containerd/", "docker"),
    ("davfs2/", "a WebDAV client"),
    ("docker-client/", "docker"),
    ("docker/", "docker"),
    ("dotnet/", ".NET"),
    (".net/", ".NET"),
    ("git-lfs/", "git"),
    ("git/", "git"),
    ("gvfs/", "a WebDAV client"),
    ("java-http-client/", "a Java client"),
    ("java/", "a Java client"),
    ("jgit/", "git"),
    ("microsoft-webdav-miniredir/", "a WebDAV client"),
    ("nuget", "NuGet"),
    ("svn/", "Subversion"),
    ("webdavfs/", "a WebDAV client"),
    ("webdavlib/", "a WebDAV client"),
];

fn waiting_client(view: &View<'_>) -> Option<Waiting> {
    let request = view.request();
    let mcp = "looks in the challenge for the way to the login server";
    if let Some(field) = request.fields().find(|field| field.is("mcp-protocol-version") || field.is("mcp-session-id")) {
        return Some(Waiting { who: MCP_CLIENT, does: mcp, field: field.index });
    }
    let agent = request.fields().find(|field| field.is("user-agent"))?;
    let text = String::from_utf8_lossy(agent.value).to_ascii_lowercase();
    let begins_word = |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            before.is_none_or(|before| !before.is_alphanumeric() && before != '-')
        })
    };
    let is_mcp = text.split(|char: char| !char.is_ascii_alphanumeric()).any(|word| word == "mcp");
    if is_mcp {
        return Some(Waiting { who: MCP_CLIENT, does: mcp, field: agent.index });
    }
    let (_, who) = WAITING.iter().find(|(word, _)| begins_word(word))?;
    Some(Waiting { who, does: WAITS, field: agent.index })
}

const BARE: &str = "\
> GET /v1/orders HTTP/1.1
> Host: api.example
> User-Agent: curl/8.10.1
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
<
< {\"error\":\"login\"}
";

const SENT: &str = "\
> GET /v1/orders HTTP/1.1
> Host: api.example
> User-Agent: curl/8.10.1
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
";

const GIT: &str = "\
> GET /team/app.git/info/refs?service=git-upload-pack HTTP/1.1
> Host: git.example
> User-Agent: git/2.47.0
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
";

const MCP: &str = "\
> POST /mcp HTTP/1.1
> Host: tools.example
> Accept: application/json, text/event-stream
> Content-Type: application/json
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
";

const EMPTY: &str = "\
> GET /v1/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate:
";

const PROXY: &str = "\
> GET http://api.example/ HTTP/1.1
> Host: api.example
< HTTP/1.1 407 Proxy Authentication Required
< Content-Type: text/html
";

const OFFERED: &str = "\
> GET /v1/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"orders\"
";

const PROBE: &str = "\
> GET /healthz HTTP/1.1
> Host: api.example
> User-Agent: kube-probe/1.31
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
";

const FORM: &str = "\
> POST /api/login HTTP/1.1
> Host: app.example
> Content-Type: application/json
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
";

const SUCCESS: &str = "\
> GET /v1/orders HTTP/1.1
> Host: api.example
> User-Agent: git/2.47.0
< HTTP/1.1 200 OK
< Content-Type: application/json
";
