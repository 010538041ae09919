//! A challenge under a name at which no client looks.

use super::place_of_challenges;
use crate::auth::parse_challenges;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec, normal};
use crate::wire::head::Field;

/// A challenge in another field than the one that belongs to the status.
pub static RULE: Rule = Rule {
    name: "challenge-renamed",
    family: Family::Challenge,
    severity: Severity::Error,
    title: "The challenge stands under another name",
    why: "Clients look for the challenge of a 401 in WWW-Authenticate and for that of a 407 in Proxy-Authenticate. Under \
          any other name it does not exist for them: they show no prompt and send no credentials. REST APIs of AWS API \
          Gateway rename it on purpose, elsewhere it is a slip.",
    fix: "Send the challenge of a 401 in `WWW-Authenticate`, and that of a 407 in `Proxy-Authenticate`.",
    spec: &[
        Spec::rfc(9110, "11.6.1"),
        Spec::rfc(9110, "11.7.1"),
        Spec::Document(
            "Amazon API Gateway, important notes",
            "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html",
        ),
    ],
    supersedes: &["challenge-missing"],
    examples: &[
        Example::fires("renamed by API Gateway", REMAPPED),
        Example::fires("a proxy's challenge on a 401", PROXY),
        Example::fires("a misspelt name", MISSPELT),
        Example::fires("an origin's challenge on a 407", ORIGIN),
        Example::fires_beside("renamed, and credentials came without being asked for", SENT),
        Example::quiet("Proxy-Authenticate on a 407", RIGHT),
        Example::quiet("both names are there", BOTH),
        Example::quiet("another name on a success", SUCCESS),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let (by_proxy, right) = place_of_challenges(view)?;
    let has_right = view.challenged().iter().any(|field| field.by_proxy == by_proxy && !field.challenges.is_empty());
    if has_right || normal::recognise(view, memory).is_some() {
        return None;
    }
    let response = view.response()?;
    let field = response.head.fields().find(|field| is_wrong_name(field, right))?;
    let name = view.redactor().name(field.name);
    let summary = format!("the server's challenge stands under {name}, where no client looks");
    let value = view.redactor().field(b"www-authenticate", field.value);
    let place = Place { message: Message::Response, field: field.index, byte: None };
    let found = RULE.found(Certainty::Certain, clip(&summary)).at(At::Backend).header(&name);
    let found = found.because_of(format!("response: {}, {name}: {}", response.status, clip(&value)), place);
    let found = found.because(format!("response: no {right}"));
    // The client sent credentials without being asked, so that this is not why they were refused.
    let found = match view.main_credentials() {
        Some(offered) => with_credentials(found.severity(Severity::Warning), view, offered),
        None => found,
    };
    Some(if field.is("x-amzn-remapped-www-authenticate") {
        found.fix(
            "REST APIs of API Gateway rename this header when a backend or a Lambda integration sends it. Let the \
             gateway refuse by itself, with a Lambda authorizer, and put the challenge into its gateway response: \
             `gatewayresponse.header.WWW-Authenticate`. Or let the client send its credentials without being asked.",
        )
    } else if field.is("proxy-authenticate") {
        found.fix(
            "If the server itself refuses, send the challenge in `WWW-Authenticate`. If a forward proxy does, it has \
             to answer 407 instead of 401.",
        )
    } else if field.is("www-authenticate") {
        found.fix(
            "If the server itself refuses, answer 401. If a forward proxy does, it has to send the challenge in \
             `Proxy-Authenticate`.",
        )
    } else {
        found.fix(format!("Rename the header to `{right}`."))
    })
}

/// Whether a field that is not the right one has a challenge and a name that was meant to be it.
fn is_wrong_name(field: &Field<'_>, right: &str) -> bool {
    const SLIPS: [&str; 7] = [
        "authenticate",
        "wwwauth",
        "wwwauthentication",
        "wwwauthorization",
        "wwwauthenticate401",
        "wwwautenticate",
        "wwwauthentificate",
    ];
    if field.is(right) || field.name.len() > 64 {
        return false;
    }
    let letters = field.name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let name: String = letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let is_meant = name.ends_with("wwwauthenticate") || name == "proxyauthenticate" || SLIPS.contains(&name.as_str());
    is_meant && !parse_challenges(field.value).challenges.is_empty()
}

const REMAPPED: &str = "\
> GET /prod/orders HTTP/1.1
> Host: abc123.execute-api.eu-west-1.amazonaws.com
< HTTP/1.1 401 Unauthorized
< x-amzn-RequestId: 5b2f7f2e-0d3f-4b0e-9f5a-1f4c1d6a2b3c
< x-amzn-Remapped-WWW-Authenticate: Basic realm=\"orders\"
";

const PROXY: &str = "\
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Proxy-Authenticate: Basic realm=\"orders\"
";

const MISSPELT: &str = "\
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WwwAuthentication: Bearer realm=\"orders\"
";

const ORIGIN: &str = "\
> GET http://api.example/ HTTP/1.1
> Host: api.example
< HTTP/1.1 407 Proxy Authentication Required
< WWW-Authenticate: Basic realm=\"proxy\"
";

const SENT: &str = "\
> GET /prod/orders HTTP/1.1
> Host: abc123.execute-api.eu-west-1.amazonaws.com
> Authorization: Basic {basic user:correct-horse}
< HTTP/1.1 401 Unauthorized
< x-amzn-Remapped-WWW-Authenticate: Basic realm=\"orders\"
";

const RIGHT: &str = "\
> GET http://api.example/ HTTP/1.1
> Host: api.example
< HTTP/1.1 407 Proxy Authentication Required
< Proxy-Authenticate: Basic realm=\"proxy\"
";

const BOTH: &str = "\
> GET /prod/orders HTTP/1.1
> Host: abc123.execute-api.eu-west-1.amazonaws.com
< HTTP/1.1 401 Unauthorized
< x-amzn-Remapped-WWW-Authenticate: Basic realm=\"orders\"
< WWW-Authenticate: Basic realm=\"orders\"
";

const SUCCESS: &str = "\
> GET /prod/orders HTTP/1.1
> Host: abc123.execute-api.eu-west-1.amazonaws.com
> Authorization: Basic {basic user:correct-horse}
< HTTP/1.1 200 OK
< x-amzn-Remapped-WWW-Authenticate: Basic realm=\"orders\"
";
