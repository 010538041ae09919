//! Names of fields and parameters: which may be shown, and which carry credentials.
//!
//! Showing is an allow-list. A name that is not here is masked, so that a header nobody has heard of can't leak.

/// Fields whose values are no secret in any use that is known of them.
const SAFE_FIELDS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-post",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "cache-status",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expect",
    "expires",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-status",
    "grpc-timeout",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "range",
    "retry-after",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "server",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "x-content-type-options",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-frame-options",
    "x-powered-by",
    "x-requested-with",
];

/// Fields that carry a key or a token of their own, beside Authorization.
const KEY_FIELDS: &[&str] = &[
    "access-token",
    "api-key",
    "api-token",
    "api_key",
    "apikey",
    "auth-token",
    "job-token",
    "ocp-apim-subscription-key",
    "private-token",
    "x-access-token",
    "x-amzn-remapped-authorization",
    "x-api-key",
    "x-api-token",
    "x-api_key",
    "x-apikey",
    "x-auth-key",
    "x-auth-token",
    "x-authorization",
    "x-figma-token",
    "x-forwarded-authorization",
    "x-functions-key",
    "x-goog-api-key",
    "x-goog-iap-jwt-assertion",
    "x-ms-token-aad-access-token",
    "x-original-authorization",
    "x-serverless-authorization",
    "x-shopify-access-token",
    "x-vault-token",
];

/// Fields by which programs follow a request through their logs.
const ID_FIELDS: &[&str] =
    &["request-id", "traceparent", "uber-trace-id", "x-b3-traceid", "x-correlation-id", "x-request-id"];

/// Parameters of a query or a form that carry credentials.
const KEY_PARAMETERS: &[&str] = &[
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth_token",
    "authtoken",
    "jwt",
    "private_token",
    "subscription-key",
    "token",
    "x-amz-signature",
    "x-goog-signature",
];

/// Parameters of a query whose values may be shown where they are short and plain.
const SAFE_PARAMETERS: &[&str] = &[
    "client_id",
    "count",
    "error",
    "fields",
    "filter",
    "format",
    "grant_type",
    "lang",
    "limit",
    "offset",
    "order",
    "page",
    "page_size",
    "per_page",
    "prompt",
    "q",
    "realm",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "service",
    "sort",
    "version",
    "watch",
    "x-amz-algorithm",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
];

fn holds(list: &[&str], name: &[u8]) -> bool {
    list.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether the value of the field may be shown.
pub fn is_safe_field(name: &[u8]) -> bool {
    holds(SAFE_FIELDS, name)
}

/// Whether it is the name of a field that this page or the grammar of credentials knows.
pub fn is_known_field(name: &[u8]) -> bool {
    const OTHERS: [&str; 9] = [
        "authentication-info",
        "authorization",
        "cookie",
        "location",
        "proxy-authenticate",
        "proxy-authorization",
        "referer",
        "set-cookie",
        "www-authenticate",
    ];
    holds(&OTHERS, name) || is_safe_field(name) || is_key_field(name)
}

/// Whether the field carries a key or a token of its own.
pub fn is_key_field(name: &[u8]) -> bool {
    holds(KEY_FIELDS, name)
}

/// Whether the field carries an id that is meant for logs. Its value may be shown where it has the form of one: a UUID, or
/// hexadecimal digits in a few parts.
pub fn is_id_field(name: &[u8]) -> bool {
    holds(ID_FIELDS, name)
}

/// Whether the parameter of a query or a form carries credentials.
pub fn is_key_parameter(name: &[u8]) -> bool {
    holds(KEY_PARAMETERS, name)
}

/// Whether the value of the query's parameter may be shown where it is short and plain.
pub fn is_safe_parameter(name: &[u8]) -> bool {
    holds(SAFE_PARAMETERS, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_both_safe_and_a_key() {
        for name in SAFE_FIELDS {
            assert!(!is_key_field(name.as_bytes()), "{name}");
        }
        for name in SAFE_PARAMETERS {
            assert!(!is_key_parameter(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn lists_are_sorted_and_in_lower_case() {
        for list in [SAFE_FIELDS, KEY_FIELDS, ID_FIELDS, KEY_PARAMETERS, SAFE_PARAMETERS] {
            assert!(list.is_sorted(), "{list:?}");
            assert!(list.iter().all(|name| *name == name.to_ascii_lowercase()));
        }
    }
}
