//! Gateways by what they write into answers and requests, and where in their configuration to look.
//!
//! Each entry names the document in which the directive is described.

use crate::hops::{Change, Crossing, Difference, Message, NameCase};

/// A gateway that can be told by what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// nginx, and the ingress controllers made of it.
    Nginx,
    /// Apache HTTP Server.
    Apache,
    /// HAProxy.
    Haproxy,
    /// Envoy, and meshes made of it.
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
    /// IIS with Application Request Routing.
    Iis,
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
        }
    }
}

/// What a value has to begin with or hold, in lower case, to tell a product. An empty text takes any value.
const MARKS: &[(&str, &str, Product)] = &[
    ("server", "nginx", Product::Nginx),
    ("server", "openresty", Product::Nginx),
    ("server", "apache", Product::Apache),
    ("server", "envoy", Product::Envoy),
    ("server", "istio-envoy", Product::Envoy),
    ("server", "caddy", Product::Caddy),
    ("via", "caddy", Product::Caddy),
    ("server", "kong", Product::Kong),
    ("via", "kong", Product::Kong),
    ("x-kong-proxy-latency", "", Product::Kong),
    ("via", "varnish", Product::Varnish),
    ("x-varnish", "", Product::Varnish),
    ("server", "cloudfront", Product::CloudFront),
    ("via", "cloudfront", Product::CloudFront),
    ("x-amz-cf-id", "", Product::CloudFront),
    ("x-amz-apigw-id", "", Product::ApiGateway),
    ("apigw-requestid", "", Product::ApiGateway),
    ("server", "awselb", Product::AwsLoadBalancer),
    ("server", "cloudflare", Product::Cloudflare),
    ("cf-ray", "", Product::Cloudflare),
    ("via", "google", Product::GoogleFrontEnd),
    ("server", "google frontend", Product::GoogleFrontEnd),
    ("server", "microsoft-iis", Product::Iis),
    ("x-powered-by", "arr/", Product::Iis),
    ("x-envoy-upstream-service-time", "", Product::Envoy),
];

/// What only one product writes into the requests that it passes on, in some cases only together with another field.
const REQUEST_MARKS: &[(&str, &str, Product, Option<&str>)] = &[
    ("x-envoy-expected-rq-timeout-ms", "", Product::Envoy, None),
    ("x-envoy-attempt-count", "", Product::Envoy, None),
    ("x-envoy-external-address", "", Product::Envoy, None),
    ("via", "caddy", Product::Caddy, None),
    ("via", "kong", Product::Kong, None),
    ("via", "varnish", Product::Varnish, None),
    ("x-traefik-router", "", Product::Traefik, None),
    ("cf-ray", "", Product::Cloudflare, None),
    // https://doc.traefik.io/traefik/middlewares/http/headers/: it writes the port beside, which Apache does not.
    ("x-forwarded-server", "", Product::Traefik, Some("x-forwarded-port")),
    ("x-forwarded-server", "", Product::Apache, None),
];

/// Which product the hop is, with the field that says so.
pub fn product(crossing: &Crossing<'_>) -> Option<(Product, String)> {
    let inner = crossing.last();
    let answered = inner.and_then(|attempt| attempt.inner.answer.as_ref());
    let outer = crossing.outer.answer.as_ref();
    // What the backend writes itself says nothing about what is before it.
    let by_answer = outer.and_then(|outer| {
        let own = |line: &&(&str, &str, Product)| answered.is_some_and(|inner| holds(&inner.message, line.0, line.1));
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

fn found(message: &Message, (name, word, product): &(&str, &str, Product)) -> Option<(Product, String)> {
    let text = value_of(message, name, word)?;
    let shown: String = text.chars().filter(|char| (' '..='~').contains(char)).take(40).collect();
    let said = if word.is_empty() { format!("it writes {name}") } else { format!("{name}: {shown}") };
    Some((*product, said))
}

fn holds(message: &Message, name: &str, word: &str) -> bool {
    value_of(message, name, word).is_some()
}

fn value_of(message: &Message, name: &str, word: &str) -> Option<String> {
    message.fields.iter().filter(|line| line.name.eq_ignore_ascii_case(name)).find_map(|line| {
        let text = match &line.value {
            crate::hops::Value::Seen(secret) => String::from_utf8_lossy(secret.expose()).into_owned(),
            crate::hops::Value::Shown(text) => text.clone(),
            crate::hops::Value::Digest { .. } => String::new(),
        };
        text.to_ascii_lowercase().contains(word).then_some(text)
    })
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

type Fix = (Product, Topic, &'static str, &'static str);

/// Directives to look for, each with the document that describes it.
const FIXES: &[Fix] = &[
    (
        Product::Nginx,
        Topic::FieldRemoved,
        "nginx forwards this header unless told not to. In the location that proxies to the backend, look for `proxy_set_header … \"\";` with its name or `proxy_pass_request_headers off;`, and delete it. A location with a proxy_set_header of its own inherits none from above.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header",
    ),
    (
        Product::Nginx,
        Topic::FieldChanged,
        "In the location that proxies to the backend, look for `proxy_set_header` with the header's name. To pass the client's own value on, delete the line.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header",
    ),
    (
        Product::Nginx,
        Topic::Underscore,
        "nginx drops names with an underscore. Write the name with dashes, or set `underscores_in_headers on;` in the server block.",
        "https://nginx.org/en/docs/http/ngx_http_core_module.html#underscores_in_headers",
    ),
    (
        Product::Nginx,
        Topic::Challenge,
        "Look for `proxy_hide_header WWW-Authenticate;` and delete it; for `error_page 401` with `proxy_intercept_errors on;`, which replaces the backend's answer with its header fields; and for `add_header` and `auth_basic`, which write challenges of their own.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_hide_header",
    ),
    (
        Product::Nginx,
        Topic::Status,
        "Look for `error_page` with this status and for `proxy_intercept_errors on;`: together they replace the backend's answer.",
        "https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page",
    ),
    (
        Product::Nginx,
        Topic::Host,
        "nginx sets Host to the name in proxy_pass. Set `proxy_set_header Host $http_host;` to pass the client's own on, with its port.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header",
    ),
    (
        Product::Nginx,
        Topic::Target,
        "With a path behind the host in `proxy_pass`, nginx replaces the location's prefix by it and normalises the rest. Leave the path out, to pass the target on as it came. Look for `rewrite` and `set $args` as well.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass",
    ),
    (
        Product::Nginx,
        Topic::Refusal,
        "Look in the location for `auth_basic`, `auth_request`, `auth_jwt`, `deny`, `satisfy` and `return 401;`.",
        "https://nginx.org/en/docs/http/ngx_http_auth_request_module.html",
    ),
    (
        Product::Nginx,
        Topic::OwnCredentials,
        "nginx passes the Authorization that `auth_basic` has checked on to the backend. Set `proxy_set_header Authorization \"\";` if the backend needs none, or its own value.",
        "https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html",
    ),
    (
        Product::Nginx,
        Topic::Cache,
        "Look for `proxy_cache_valid` with 401, 403 or `any`, and leave these out; and put `$http_authorization` into `proxy_cache_key` or `proxy_cache_bypass`.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_valid",
    ),
    (
        Product::Nginx,
        Topic::Forwarded,
        "Set `proxy_set_header X-Forwarded-Proto $scheme;`, `proxy_set_header X-Forwarded-Host $http_host;` and `proxy_set_header Host $http_host;`, and have the application trust them.",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header",
    ),
    (
        Product::Nginx,
        Topic::Connections,
        "nginx ends its connection to the backend behind each answer or, with `keepalive` in the upstream block, shares it between clients. NTLM needs one of its own for each: the `ntlm` directive of the commercial version does that. Else use a scheme that authenticates each request.",
        "https://nginx.org/en/docs/http/ngx_http_upstream_module.html#ntlm",
    ),
    (
        Product::Apache,
        Topic::FieldRemoved,
        "Look for `RequestHeader unset` or `RequestHeader edit` with the header's name. To a CGI or FastCGI backend Authorization goes on with `CGIPassAuth On` alone.",
        "https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader",
    ),
    (
        Product::Apache,
        Topic::FieldChanged,
        "Look for `RequestHeader set`, `add`, `append` and `edit` with the header's name.",
        "https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader",
    ),
    (
        Product::Apache,
        Topic::Underscore,
        "Write the header's name with dashes: Apache 2.4 drops names that are no plain tokens for CGI, since underscores could stand for dashes.",
        "https://httpd.apache.org/docs/2.4/env.html",
    ),
    (
        Product::Apache,
        Topic::Challenge,
        "Look for `Header unset WWW-Authenticate` and `Header edit`, and for `ProxyErrorOverride On`, which replaces the backend's refusals.",
        "https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header",
    ),
    (
        Product::Apache,
        Topic::Status,
        "Look for `ProxyErrorOverride On` with `ErrorDocument`, and for `RewriteRule` with `R=`.",
        "https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxyerroroverride",
    ),
    (
        Product::Apache,
        Topic::Host,
        "Set `ProxyPreserveHost On` to pass the client's Host on.",
        "https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxypreservehost",
    ),
    (
        Product::Apache,
        Topic::Target,
        "Look at the paths in `ProxyPass` and at `RewriteRule`; with `nocanon`, ProxyPass leaves the path as it came.",
        "https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxypass",
    ),
    (
        Product::Apache,
        Topic::Refusal,
        "Look for `Require`, `AuthType` and `<Limit>` in the location that proxies.",
        "https://httpd.apache.org/docs/2.4/howto/auth.html",
    ),
    (
        Product::Apache,
        Topic::OwnCredentials,
        "Apache passes the Authorization that it has checked on. Set `RequestHeader unset Authorization` in the location if the backend needs none.",
        "https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader",
    ),
    (
        Product::Apache,
        Topic::Forwarded,
        "Set `RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}` and `ProxyPreserveHost On`, and have the application trust them.",
        "https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#x-headers",
    ),
    (
        Product::Haproxy,
        Topic::FieldRemoved,
        "Look for `http-request del-header` and `http-request replace-header` with the header's name, in the frontend, the backend and the defaults.",
        "https://docs.haproxy.org/2.6/configuration.html#4.2-http-request%20del-header",
    ),
    (
        Product::Haproxy,
        Topic::FieldChanged,
        "Look for `http-request set-header`, `add-header`, `replace-header` and `replace-value` with the header's name.",
        "https://docs.haproxy.org/2.6/configuration.html#4.2-http-request%20set-header",
    ),
    (
        Product::Haproxy,
        Topic::Challenge,
        "Look for `http-response del-header`, `replace-header` and `set-header` with WWW-Authenticate, and for `http-error` and `http-response return`, which answer in the backend's place.",
        "https://docs.haproxy.org/2.6/configuration.html#4.2-http-response%20del-header",
    ),
    (
        Product::Haproxy,
        Topic::Status,
        "Look for `http-response set-status` and `http-response return`.",
        "https://docs.haproxy.org/2.6/configuration.html#4.2-http-response%20set-status",
    ),
    (
        Product::Haproxy,
        Topic::OwnCredentials,
        "HAProxy passes the Authorization that `http-request auth` has checked on. Put `http-request del-header Authorization` behind it if the backend needs none.",
        "https://docs.haproxy.org/2.6/configuration.html#4.2-http-request%20auth",
    ),
    (
        Product::Haproxy,
        Topic::NameCase,
        "HAProxy writes names in lower case. `h1-case-adjust` in the global section with `option h1-case-adjust-bogus-server` brings a spelling back for a backend that can't do without.",
        "https://docs.haproxy.org/2.6/configuration.html#3.1-h1-case-adjust",
    ),
    (
        Product::Haproxy,
        Topic::Connections,
        "`option http-server-close` and `option httpclose` end the connection behind each answer: for a backend that authenticates connections set `option http-keep-alive`, and `http-reuse never` where they are shared.",
        "https://docs.haproxy.org/2.6/configuration.html#4.2-http-reuse",
    ),
    (
        Product::Envoy,
        Topic::FieldRemoved,
        "Look for `request_headers_to_remove` in the route, and for `jwt_authn`, which takes the token off unless `forward: true` is set for the provider. In Istio it is `forwardOriginalToken: true` in the RequestAuthentication.",
        "https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/jwt_authn/v3/config.proto",
    ),
    (
        Product::Envoy,
        Topic::FieldChanged,
        "Look for `request_headers_to_add` with `OVERWRITE_IF_EXISTS_OR_ADD` or `APPEND_IF_EXISTS_OR_ADD` in route, virtual host and listener, for filters in Lua, and at what an `ext_authz` service adds in `allowed_upstream_headers`.",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers",
    ),
    (
        Product::Envoy,
        Topic::Challenge,
        "Look for `response_headers_to_remove` in route, virtual host and listener, for filters in Lua or `header_mutation`, and for `ext_authz`, `jwt_authn` and `oauth2`, which refuse in the backend's place.",
        "https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto",
    ),
    (
        Product::Envoy,
        Topic::Refusal,
        "Look at the filters before the router: `jwt_authn`, `ext_authz`, `rbac`, `basic_auth`, `oauth2`. The response flags in Envoy's access log say which one refused (`UAEX` is ext_authz).",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage",
    ),
    (
        Product::Envoy,
        Topic::Host,
        "Look for `host_rewrite_literal`, `auto_host_rewrite` and `host_rewrite_header` in the route.",
        "https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto",
    ),
    (
        Product::Envoy,
        Topic::Target,
        "Look for `prefix_rewrite`, `regex_rewrite`, `normalize_path` and `merge_slashes`.",
        "https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto",
    ),
    (
        Product::Envoy,
        Topic::NameCase,
        "Envoy writes names in lower case. For HTTP/1 `header_key_format` with `preserve_case` in both the listener's and the cluster's protocol options keeps the spelling.",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/header_casing",
    ),
    (
        Product::Caddy,
        Topic::FieldRemoved,
        "Look for `header_up -NAME` in reverse_proxy and for `request_header -NAME`.",
        "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#headers",
    ),
    (
        Product::Caddy,
        Topic::FieldChanged,
        "Look for `header_up` in reverse_proxy, for `request_header` and for `copy_headers` in forward_auth, with the header's name.",
        "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#headers",
    ),
    (
        Product::Caddy,
        Topic::Challenge,
        "Look for `header_down` in reverse_proxy, for `header -WWW-Authenticate`, and for `handle_response`, which answers in the backend's place.",
        "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#intercepting-responses",
    ),
    (
        Product::Caddy,
        Topic::Status,
        "Look for `handle_response` and `replace_status` in reverse_proxy, and for `handle_errors`.",
        "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#intercepting-responses",
    ),
    (
        Product::Caddy,
        Topic::Host,
        "Look for `header_up Host` in reverse_proxy; without it Caddy passes the client's Host on.",
        "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#defaults",
    ),
    (
        Product::Caddy,
        Topic::Target,
        "Look for `uri strip_prefix`, `uri replace`, `handle_path`, which takes its own prefix off, and `rewrite`, which may stand in reverse_proxy as well.",
        "https://caddyserver.com/docs/caddyfile/directives/uri",
    ),
    (
        Product::Caddy,
        Topic::Refusal,
        "Look for `basic_auth` (`basicauth` in older versions), `forward_auth` and `respond 401`.",
        "https://caddyserver.com/docs/caddyfile/directives/basic_auth",
    ),
    (
        Product::Caddy,
        Topic::OwnCredentials,
        "Caddy passes the Authorization that `basic_auth` has checked on. Set `header_up -Authorization` in reverse_proxy if the backend needs none.",
        "https://caddyserver.com/docs/caddyfile/directives/basic_auth",
    ),
    (
        Product::Caddy,
        Topic::NameCase,
        "Caddy, like all that is made with Go's net/http, writes names in Title-Case, and has no setting for it.",
        "https://pkg.go.dev/net/http#CanonicalHeaderKey",
    ),
    (
        Product::Traefik,
        Topic::FieldRemoved,
        "Look at the middlewares of the router: `headers.customRequestHeaders` with an empty value removes a header, and `basicAuth` and `digestAuth` do with `removeHeader: true`.",
        "https://doc.traefik.io/traefik/middlewares/http/headers/",
    ),
    (
        Product::Kong,
        Topic::FieldRemoved,
        "Look at the plugins of the route: `hide_credentials` of the auth plugins and `remove.headers` of request-transformer.",
        "https://docs.konghq.com/hub/kong-inc/request-transformer/",
    ),
    (
        Product::CloudFront,
        Topic::FieldRemoved,
        "CloudFront drops Authorization unless the behaviour's origin request policy or cache policy includes it, such as AllViewer.",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html",
    ),
    (
        Product::ApiGateway,
        Topic::Challenge,
        "REST APIs rename WWW-Authenticate to x-amzn-Remapped-WWW-Authenticate. Refuse in a Lambda authorizer and set `gatewayresponse.header.WWW-Authenticate` in the gateway response.",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html",
    ),
    (
        Product::AwsLoadBalancer,
        Topic::Underscore,
        "The load balancer drops names with other characters than letters, digits and dashes while `routing.http.drop_invalid_header_fields.enabled` is set.",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html",
    ),
];

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
}
