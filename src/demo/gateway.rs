//! The demo's gateway, which does to headers what real ones do.
//!
//! Like nginx it drops names with an underscore; under `/internal` a line of its configuration empties Authorization;
//! under `/cloud` it renames the challenge, as API gateways of a big cloud do.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::{HeaderMap, StatusCode, header};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::backend::{Answer, reply};

pub(super) async fn serve(listener: StdListener, backend: SocketAddr) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("cannot serve the gateway: {error}"),
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(move |request| async move { Ok::<_, Infallible>(pass(request, backend).await) });
            // A client that leaves is no concern of the gateway's.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass(mut request: Request<Incoming>, backend: SocketAddr) -> Answer {
    let path = request.uri().path().to_owned();
    change_request(&path, request.headers_mut());
    match ask(request, backend).await {
        Ok(mut response) => {
            change_response(&path, response.headers_mut());
            response
        }
        Err(_) => reply(StatusCode::BAD_GATEWAY, &[], "{\"message\":\"bad gateway\"}"),
    }
}

fn change_request(path: &str, fields: &mut HeaderMap) {
    let dropped: Vec<_> = fields.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in dropped {
        fields.remove(name);
    }
    if path.starts_with("/internal/") {
        fields.remove(header::AUTHORIZATION);
    }
}

fn change_response(path: &str, fields: &mut HeaderMap) {
    fields.insert(header::SERVER, header::HeaderValue::from_static("demo-gateway"));
    if path.starts_with("/cloud/")
        && let Some(challenge) = fields.remove(header::WWW_AUTHENTICATE)
    {
        fields.insert("x-amzn-remapped-www-authenticate", challenge);
    }
}

async fn ask(
    request: Request<Incoming>,
    backend: SocketAddr,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(backend).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // What broke it, the request learns for itself.
        let _ = connection.await;
    });
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}
