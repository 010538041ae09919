//! The demo's backend: an API that checks credentials as real ones do, faults included.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::{Method, StatusCode, header};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::scenes::Tokens;

pub(super) type Answer = Response<Full<Bytes>>;

pub(super) async fn serve(listener: StdListener, tokens: Tokens) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("cannot serve the backend: {error}"),
    };
    while let Ok((stream, _)) = listener.accept().await {
        let tokens = tokens.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &tokens);
                async move { Ok::<_, Infallible>(answer) }
            });
            // A client that leaves is no concern of the backend's.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, tokens: &Tokens) -> Answer {
    let path = request.uri().path();
    if request.method() == Method::OPTIONS {
        // The classic: authentication is asked for before CORS is answered.
        return refuse("Bearer realm=\"orders\"", "no credentials provided");
    }
    match path {
        "/reports" => basic(request, tokens),
        "/mcp" => reply(StatusCode::UNAUTHORIZED, &[], "{\"error\":\"unauthorized\"}"),
        "/keys" => api_key(request, tokens),
        "/account" => reply(StatusCode::FOUND, &[("location", "/login?next=%2Faccount")], ""),
        _ => bearer(request, tokens),
    }
}

fn bearer(request: &Request<Incoming>, tokens: &Tokens) -> Answer {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next(), values.next().is_some());
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = value.strip_prefix("Bearer ").unwrap_or_default();
    if value.is_empty() || more {
        refuse("Bearer realm=\"orders\"", "no credentials provided")
    } else if token == tokens.valid {
        reply(StatusCode::OK, &[], "{\"orders\":[17,18]}")
    } else if token == tokens.expired {
        refuse(
            "Bearer realm=\"orders\", error=\"invalid_token\", error_description=\"The access token expired\"",
            "the token has expired",
        )
    } else {
        refuse("Bearer realm=\"orders\", error=\"invalid_token\"", "invalid token")
    }
}

fn basic(request: &Request<Incoming>, tokens: &Tokens) -> Answer {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.strip_prefix("Basic ")) {
        Some(basic) if basic == tokens.basic => reply(StatusCode::OK, &[], "{\"reports\":[]}"),
        _ => refuse("Basic realm=\"reports\", charset=\"UTF-8\"", "log in"),
    }
}

fn api_key(request: &Request<Incoming>, tokens: &Tokens) -> Answer {
    let sent = |name: &str| request.headers().get(name).is_some_and(|value| value == tokens.api_key.as_str());
    if sent("x-api-key") || sent("api_key") {
        reply(StatusCode::OK, &[], "{\"keys\":1}")
    } else {
        refuse("ApiKey realm=\"keys\"", "missing api key")
    }
}

fn refuse(challenge: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "message": message }).to_string();
    reply(StatusCode::UNAUTHORIZED, &[("www-authenticate", challenge)], &body)
}

pub(super) fn reply(status: StatusCode, fields: &[(&'static str, &str)], body: &str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    let media_type = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    for (name, value) in fields {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            response.headers_mut().append(*name, value);
        }
    }
    response
}
