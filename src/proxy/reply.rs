//! The answers that the tap gives itself, because the upstream gave none: 502 and 504 with Proxy-Status (RFC 9209).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::buffers::Buffer;
use super::observer::Observer;
use super::stream::Stream;
use crate::exchange::{Failure, Outcome, Step as FailedStep};
use crate::wire::RawHead;

/// How long, and for how many bytes, a client that is still sending is listened to after it was refused.
const GOODBYE: Duration = Duration::from_secs(1);
const GOODBYE_BYTES: usize = 1024 * 1024;

/// An answer of the tap's own.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) proxy_status: String,
    pub(super) body: String,
}

impl Reply {
    /// What a client is told of a failure.
    pub(super) fn to(failure: &Failure) -> Self {
        let (status, reason) = match failure.step {
            FailedStep::ConnectTimeout | FailedStep::ResponseTimeout => (504, "Gateway Timeout"),
            _ => (502, "Bad Gateway"),
        };
        let error = failure.step.proxy_status();
        let details: String =
            failure.reason.chars().filter(|char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\')).collect();
        Reply {
            status,
            reason,
            proxy_status: format!("authtap; error={error}; details=\"{details}\""),
            body: format!("authtap: {}: {}\n", failure.step.text(), failure.reason),
        }
    }

    /// The fields, in order.
    pub(super) fn fields(&self) -> [(&'static str, String); 3] {
        [
            ("Proxy-Status", self.proxy_status.clone()),
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Length", self.body.len().to_string()),
        ]
    }

    /// The head as it is recorded, and as HTTP/1 sends it.
    pub(super) fn head(&self, version: &str) -> RawHead {
        let fields = self.fields();
        let close = [("Connection", "close".to_owned())];
        let all = fields.iter().chain(if version == "HTTP/1.1" { &close[..] } else { &[] });
        let start_line = format!("{version} {} {}", self.status, self.reason);
        RawHead::from_fields(&start_line, all.map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    }
}

/// Refuses the request that waits, and closes.
pub(super) async fn refuse(client: &mut Stream, observer: &mut Observer, failure: Failure) {
    let reply = Reply::to(&failure);
    let head = reply.head("HTTP/1.1");
    let mut bytes = head.as_received().to_vec();
    bytes.extend_from_slice(b"\r\n");
    if !observer.answers_head() {
        bytes.extend_from_slice(reply.body.as_bytes());
    }
    observer.refuse(head, failure);
    // A client that has gone does not need the answer.
    let _ = client.write_all(&bytes).await;
    let _ = client.shutdown().await;
    listen_out(client).await;
}

/// Reads what still comes, since closing a socket with unread bytes would reset it and take the answer away.
pub(super) async fn listen_out(client: &mut Stream) {
    let swallow = async {
        let mut total = 0;
        while total < GOODBYE_BYTES {
            let mut buffer = Buffer::lend();
            match client.read(buffer.bytes()).await {
                Ok(size @ 1..) => total += size,
                _ => return,
            }
        }
    };
    let _ = timeout(GOODBYE, swallow).await;
}

/// Refuses a client for which there is no upstream: reads its request first, so that the record says what was refused.
pub(super) async fn refuse_unconnected(
    mut client: Stream,
    first: Vec<u8>,
    mut observer: Observer,
    failure: Failure,
    patience: Duration,
) {
    let _ = observer.request_bytes(&first);
    let read_request = async {
        while !observer.awaits_first_byte() {
            let mut buffer = Buffer::lend();
            match client.read(buffer.bytes()).await {
                Ok(size @ 1..) => {
                    let _ = observer.request_bytes(buffer.bytes().get(..size).unwrap_or_default());
                }
                _ => return false,
            }
        }
        true
    };
    match timeout(patience, read_request).await {
        Ok(true) => refuse(&mut client, &mut observer, failure).await,
        _ => observer.end(&Outcome::UpstreamFailed(failure)),
    }
}
