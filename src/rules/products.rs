//! Gateways by what they write into answers and requests, and where in their configuration to look.

mod entries;

use std::borrow::Cow;
use std::sync::LazyLock;

use super::phrases::Phrases;
use super::{Finding, Severity};
use crate::exchange::View;
use crate::hops::{Change, Crossing, Difference, Message, NameCase, Value};
use crate::wire::RawHead;
use entries::{BEFORE, BEHIND, FIXES, MARKS, OWN_ANSWERS, OWN_TEXTS, REFUSED, REQUEST_MARKS, TEXT_MARKS};

/// A gateway that can be told by what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// nginx, and what is made of it.
    Nginx,
    /// Apache HTTP Server.
    Apache,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// Caddy.
    Caddy,
    /// Traefik.
    Traefik,
    /// Kong.
    Kong,
    /// Varnish.
    Varnish,
    /// Amazon CloudFront.
    CloudFront,
    /// Amazon API Gateway.
    ApiGateway,
    /// Amazon's application load balancer.
    AwsLoadBalancer,
    /// Cloudflare.
    Cloudflare,
    /// Google's front ends.
    GoogleFrontEnd,
    /// IIS, alone or with Application Request Routing.
    Iis,
    /// ingress-nginx, the ingress controller of Kubernetes that is made of nginx.
    IngressNginx,
    /// Istio, whose sidecars and gateways are Envoys.
    Istio,
    /// Apache APISIX.
    Apisix,
    /// Google's Identity-Aware Proxy.
    IdentityAwareProxy,
    /// oauth2-proxy.
    Oauth2Proxy,
    /// Azure App Service with its own authentication.
    AzureAppService,
    /// Azure's Application Gateway and Front Door.
    AzureGateway,
}

/// What went wrong, as far as the place to look depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A field of the request did not get through.
    FieldRemoved,
    /// A field of the request has another value.
    FieldChanged,
    /// A name with an underscore did not get through.
    Underscore,
    /// The challenge did not get through as it was.
    Challenge,
    /// The status is another one.
    Status,
    /// Host is another one.
    Host,
    /// The target is another one.
    Target,
    /// The gateway refused by itself.
    Refusal,
    /// The gateway's own credentials go on to the backend.
    OwnCredentials,
    /// A refusal came out of a cache.
    Cache,
    /// The backend does not learn what the client asked for.
    Forwarded,
    /// Names are spelled in another way.
    NameCase,
    /// Connections to the backend are shared between clients.
    Connections,
    /// The head of the request is too large.
    HeadSize,
    /// A preflight is refused.
    Preflight,
    /// A program is sent to a login page.
    LoginRedirect,
}

impl Product {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "Apache",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Caddy => "Caddy",
            Self::Traefik => "Traefik",
            Self::Kong => "Kong",
            Self::Varnish => "Varnish",
            Self::CloudFront => "CloudFront",
            Self::ApiGateway => "API Gateway",
            Self::AwsLoadBalancer => "the AWS load balancer",
            Self::Cloudflare => "Cloudflare",
            Self::GoogleFrontEnd => "Google's front end",
            Self::Iis => "IIS",
            Self::IngressNginx => "ingress-nginx",
            Self::Istio => "Istio",
            Self::Apisix => "APISIX",
            Self::IdentityAwareProxy => "Identity-Aware Proxy",
            Self::Oauth2Proxy => "oauth2-proxy",
            Self::AzureAppService => "Azure App Service",
            Self::AzureGateway => "Azure's gateway",
        }
    }
}

/// Which product the hop is, with the field that says so.
pub fn product(crossing: &Crossing<'_>) -> Option<(Product, String)> {
    let inner = crossing.last();
    let answered = inner.and_then(|attempt| attempt.inner.answer.as_ref());
    let outer = crossing.outer.answer.as_ref();
    // What the backend writes itself says nothing about what is before it.
    let by_answer = outer.and_then(|outer| {
        let own = |line: &&Mark| answered.is_some_and(|inner| holds(&inner.message, line.0, line.1));
        MARKS.iter().filter(|mark| !own(mark)).find_map(|mark| found(&outer.message, mark))
    });
    by_answer.or_else(|| {
        let arrived = &inner?.inner.request;
        let sent = &crossing.outer.request;
        let is_new = |name: &str, word: &str| !holds(sent, name, word) && holds(arrived, name, word);
        let marks = REQUEST_MARKS.iter().filter(|mark| mark.3.is_none_or(|other| is_new(other, "")));
        marks.filter(|mark| is_new(mark.0, mark.1)).find_map(|mark| found(arrived, &(mark.0, mark.1, mark.2)))
    })
}

/// What is read of a message: the values of a field.
trait Fields {
    fn values(&self, name: &str) -> Vec<String>;
}

impl Fields for Message {
    fn values(&self, name: &str) -> Vec<String> {
        let lines = self.fields.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        let values = lines.map(|line| match &line.value {
            Value::Seen(secret) => String::from_utf8_lossy(secret.expose()).into_owned(),
            Value::Shown(text) => text.clone(),
            Value::Digest { .. } => String::new(),
        });
        values.collect()
    }
}

impl Fields for RawHead {
    fn values(&self, name: &str) -> Vec<String> {
        let lines = self.fields().filter(|field| field.is(name));
        lines.map(|field| String::from_utf8_lossy(field.value).into_owned()).collect()
    }
}

fn found(message: &impl Fields, (name, word, product): &Mark) -> Option<(Product, String)> {
    let text = value_of(message, name, word)?;
    let shown: String = text.chars().filter(|char| (' '..='~').contains(char)).take(40).collect();
    let said = match *name {
        // Of a cookie its name is enough, and all that may be told.
        "set-cookie" => format!("it sets a cookie like {word}"),
        // What a challenge says is told elsewhere.
        "www-authenticate" => format!("its challenge names {word}"),
        _ if word.is_empty() => format!("it writes {name}"),
        "server" | "via" | "x-powered-by" => format!("{name}: {shown}"),
        _ => format!("it writes {name}"),
    };
    Some((*product, said))
}

fn holds(message: &impl Fields, name: &str, word: &str) -> bool {
    value_of(message, name, word).is_some()
}

fn value_of(message: &impl Fields, name: &str, word: &str) -> Option<String> {
    message.values(name).into_iter().find(|text| text.to_ascii_lowercase().contains(word))
}

/// Adds to a finding of one tap where to look in the product that shows itself, if there is such a place.
pub fn advise(finding: &mut Finding, view: &View<'_>) {
    if finding.severity < Severity::Warning {
        return;
    }
    let Some((advice, product, said)) = advice(finding.rule.name, view) else { return };
    // A finding that was placed at a hop has its own advice, by what two taps saw.
    if !finding.fix.contains(advice) {
        let name = product.name();
        finding.fix = Cow::Owned(format!("{} Here is {name} ({said}). {advice}", finding.fix));
    }
}

fn advice(rule: &str, view: &View<'_>) -> Option<(&'static str, Product, String)> {
    let topic = |table: &[(&str, Topic)]| table.iter().find(|(name, _)| *name == rule).map(|(_, topic)| *topic);
    let with = |(product, said): (Product, String), topic| Some((fix(product, topic)?, product, said));
    let answer = view.response().map(|response| &response.head);
    if let (Some(answer), Some(topic)) = (answer, topic(BEHIND)) {
        let by_field = MARKS.iter().find_map(|mark| found(answer, mark));
        return with(by_field.or_else(|| by_text(view, &MARKED, TEXT_MARKS))?, topic);
    }
    if REFUSED.contains(&rule)
        && let Some(by) = answer.and_then(|answer| {
            OWN_ANSWERS.iter().find_map(|mark| found(answer, mark)).or_else(|| by_text(view, &OWN, OWN_TEXTS))
        })
    {
        return with(by, Topic::Refusal);
    }
    let request = view.request();
    let marks = REQUEST_MARKS.iter().filter(|mark| mark.3.is_none_or(|other| holds(request, other, "")));
    let before =
        |topic| marks.filter_map(|mark| found(request, &(mark.0, mark.1, mark.2))).find_map(|by| with(by, topic));
    topic(BEFORE).and_then(before)
}

/// The words of those that are known by the text of their answers, in the same order.
static MARKED: LazyLock<Phrases> = LazyLock::new(|| Phrases::of_each(TEXT_MARKS.iter().map(|mark| mark.0)));
static OWN: LazyLock<Phrases> = LazyLock::new(|| Phrases::of_each(OWN_TEXTS.iter().map(|mark| mark.0)));

fn by_text(view: &View<'_>, words: &Phrases, marks: &[(&str, Product)]) -> Option<(Product, String)> {
    let (index, _) = words.all_in(&view.error_text()?.to_ascii_lowercase()).next()?;
    Some((marks.get(index)?.1, "by the text of the answer".to_owned()))
}

/// Which kind of proxy spells all names so.
pub fn speller(differences: &[Difference]) -> Option<&'static str> {
    differences.iter().find_map(|difference| match difference.change {
        Change::Recased { all: true, to: NameCase::Lower } => Some("Envoy and HAProxy write all names so"),
        Change::Recased { all: true, to: NameCase::Title } => {
            Some("proxies written in Go, such as Caddy and Traefik, write all names so")
        }
        _ => None,
    })
}

/// The product that comes first to mind where names are spelled so and nothing else tells what the hop is. Of the others
/// that write names so, each mostly leaves a mark.
pub fn guess(differences: &[Difference]) -> Option<Product> {
    let is_lower = |change: &Change| matches!(change, Change::Recased { all: true, to: NameCase::Lower });
    differences.iter().any(|difference| is_lower(&difference.change)).then_some(Product::Haproxy)
}

/// Where to look in the configuration of a product.
pub fn fix(product: Product, topic: Topic) -> Option<&'static str> {
    FIXES.iter().find(|(known, about, ..)| (*known, *about) == (product, topic)).map(|(.., text, _)| *text)
}

/// The name of a field, what its value holds, in lower case, and the product that writes it.
type Mark = (&'static str, &'static str, Product);

/// Where to look in a product in some matter, and the document that says so.
type Fix = (Product, Topic, &'static str, &'static str);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::auth::FingerprintKey;
    use crate::diagnose::Diagnoser;
    use crate::exchange::redact::Redactor;
    use crate::exchange::{View, transcript};
    use crate::paths::{requests_of, taps_of};

    #[test]
    fn what_two_products_write_is_told_apart() {
        for (written, expected) in [
            ("X-Forwarded-For: 10.0.0.7\n> X-Forwarded-Server: www", "Apache (it writes x-forwarded-server)"),
            ("X-Forwarded-Port: 80\n> X-Forwarded-Server: 3f1c", "Traefik (it writes x-forwarded-server)"),
        ] {
            let text = format!(
                "* tap edge\n> GET /orders HTTP/1.1\n> Host: api.example\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n\
                 < HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"orders\"\n* tap app\n\
                 > GET /orders HTTP/1.1\n> Host: api.example\n> {written}\n< HTTP/1.1 401 Unauthorized\n\
                 < WWW-Authenticate: Bearer realm=\"orders\"\n"
            );
            let redactor = Redactor::new(FingerprintKey::from_bytes(b"products"), []);
            let exchanges = transcript::parse(&text).unwrap();
            let taps = taps_of(&exchanges);
            let request = requests_of(exchanges).remove(0);
            let views: Vec<View<'_>> = request.seen.iter().map(|seen| View::new(&seen.exchange, &redactor)).collect();
            let whole = Diagnoser::default().diagnose_request(&views, &request, &taps).whole;
            let evidence: Vec<&str> = whole.findings[0].evidence.iter().map(|line| line.text.as_str()).collect();
            assert!(evidence.iter().any(|line| line.contains(expected)), "{expected} in {evidence:#?}");
        }
    }

    #[test]
    fn each_fix_is_a_sentence_with_a_source_and_stands_there_once() {
        let mut seen = HashSet::new();
        for (product, topic, text, source) in FIXES {
            assert!(seen.insert((product, topic)), "{product:?} {topic:?}");
            assert!(text.ends_with(['.', '`']) && text.len() < 400, "{text}");
            assert!(source.starts_with("https://"), "{source}");
        }
    }

    /// The fixes of all findings on that exchange.
    fn fix_of(text: &str) -> String {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"products"), []);
        let exchange = transcript::parse(text).unwrap().remove(0);
        let diagnosis = Diagnoser::default().diagnose(&View::new(&exchange, &redactor));
        diagnosis.findings.iter().map(|finding| finding.fix.as_ref()).collect::<Vec<_>>().join("\n")
    }

    const SENT: &str = "> GET /orders HTTP/1.1\n> Host: api.example\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n";

    #[test]
    fn one_tap_names_the_directive_of_the_product_that_shows_itself() {
        let lost = "< Content-Type: application/json\n<\n< {\"message\":\"no credentials provided\"}\n";
        let refused = format!("{SENT}< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"orders\"\n");
        for (text, words) in [
            (
                format!("{refused}< Server: nginx/1.25.3\n{lost}"),
                "Here is nginx (server: nginx/1.25.3). nginx forwards",
            ),
            (
                format!("{refused}< Server: istio-envoy\n{lost}"),
                "Here is Istio (server: istio-envoy). Set `forwardOriginal",
            ),
            (format!("{refused}< Via: 1.1 abc.cloudfront.net (CloudFront)\n{lost}"), "CloudFront drops Authorization"),
            (format!("{refused}< Server: awselb/2.0\n"), "`authenticate-oidc`"),
            (format!("{refused}< X-Goog-IAP-Generated-Response: true\n"), "`roles/iap.httpsResourceAccessor`"),
            (
                "> GET /orders HTTP/1.1\n> Host: api.example\n< HTTP/1.1 401 Unauthorized\n< Server: Microsoft-IIS/10.0\n".to_owned(),
                "`existingResponse=\"PassThrough\"`",
            ),
        ] {
            let fix = fix_of(&text);
            assert!(fix.contains(words) && !fix.contains("3f1c"), "{words} is not in {fix}\n{text}");
        }
    }

    #[test]
    fn of_a_cookie_its_name_alone_is_told() {
        let text = format!("{SENT}< HTTP/1.1 401 x\n< Set-Cookie: AWSALB=3f1c9a; Path=/\n");
        let exchange = transcript::parse(&text).unwrap().remove(0);
        let answer = exchange.response.seen().map(|response| &response.head).unwrap();
        let told = MARKS.iter().find_map(|mark| found(answer, mark));
        assert_eq!(told, Some((Product::AwsLoadBalancer, "it sets a cookie like awsalb".to_owned())));
    }

    #[test]
    fn a_gateway_before_the_tap_may_have_taken_credentials_off() {
        let told = "> GET /orders HTTP/1.1\n> Host: api.example\n> X-Forwarded-Scheme: https\n> X-Scheme: https\n\
             < HTTP/1.1 403 Forbidden\n< Content-Type: application/json\n<\n< {\"detail\":\"Authentication credentials were not provided.\"}\n";
        assert!(fix_of(told).contains("Here is ingress-nginx"), "{}", fix_of(told));
        let untold = told.replace("> X-Scheme: https\n", "");
        assert!(!fix_of(&untold).contains("Here is"), "{}", fix_of(&untold));
    }

    #[test]
    fn nothing_is_said_of_a_product_that_does_not_show_itself() {
        let plain = format!("{SENT}< HTTP/1.1 401 Unauthorized\n");
        assert!(!fix_of(&plain).contains("Here is"));
        // It shows itself, and nothing in its configuration has to do with it.
        let password =
            format!("{SENT}< HTTP/1.1 401 Unauthorized\n< Server: nginx\n< WWW-Authenticate: Bearer realm=\"o\"\n");
        assert!(!fix_of(&password).contains("Here is"), "{}", fix_of(&password));
    }

    #[test]
    fn what_is_said_about_rules_is_about_rules_that_are_there() {
        for name in BEHIND.iter().chain(BEFORE).map(|(name, _)| *name).chain(REFUSED.iter().copied()) {
            assert!(crate::rules::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn each_product_has_a_mark_and_a_fix() {
        let by_field = MARKS.iter().map(|mark| mark.2).chain(REQUEST_MARKS.iter().map(|mark| mark.2));
        let marked: HashSet<Product> = by_field.chain(TEXT_MARKS.iter().map(|mark| mark.1)).collect();
        let fixed: HashSet<Product> = FIXES.iter().map(|fix| fix.0).collect();
        assert_eq!(marked, fixed);
        for (name, word, _) in MARKS.iter().chain(OWN_ANSWERS) {
            assert_eq!(name.to_ascii_lowercase(), *name);
            assert_eq!(word.to_ascii_lowercase(), *word);
        }
    }
}
