//! hyper's errors, as what they mean for an exchange.

use crate::exchange::{Failure, Step};

/// Why there is no answer.
pub(super) enum SendError {
    /// The client's stream gets this code: the one with which the upstream reset its own, or the one that tells the client
    /// that it may send the request again.
    Reset(h2::Reason, Failure),
    /// The client is told in an answer of the tap's own.
    Failed(Failure),
}

impl SendError {
    pub(super) fn of(error: &hyper::Error) -> Self {
        let failure = failure_of(error);
        match cause(error) {
            Some(cause) if is_reset_by_peer(cause) => {
                SendError::Reset(cause.reason().unwrap_or(h2::Reason::INTERNAL_ERROR), failure)
            }
            Some(cause) if is_unprocessed(cause) => SendError::Reset(h2::Reason::REFUSED_STREAM, failure),
            _ => SendError::Failed(failure),
        }
    }

    /// For a request that could not even be sent, on a connection that served others before.
    pub(super) fn of_unsent(error: &hyper::Error) -> Self {
        SendError::Reset(h2::Reason::REFUSED_STREAM, failure_of(error))
    }
}

/// What HTTP/2 objects to, if it does.
fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

fn is_reset_by_peer(cause: &h2::Error) -> bool {
    cause.is_remote() && cause.is_reset()
}

/// Whether a GOAWAY left the request out that it was not processed (RFC 9113 6.8): a connection that ends in good order goes
/// on with the others.
fn is_unprocessed(cause: &h2::Error) -> bool {
    cause.is_remote() && cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR)
}

/// What went wrong at the upstream, by hyper's account.
pub(super) fn failure_of(error: &hyper::Error) -> Failure {
    let (step, reason) = match cause(error) {
        Some(cause) if is_unprocessed(cause) => (Step::Closed, "it closed before it took the request".to_owned()),
        Some(cause) => match (cause.reason(), cause.is_remote(), cause.is_reset()) {
            (Some(code), true, true) => (Step::Reset, format!("HTTP/2 error {code:?}")),
            (Some(code), true, false) => (Step::Closed, format!("it ended the connection with HTTP/2 error {code:?}")),
            (Some(code), false, _) => (Step::Malformed, format!("the answer breaks HTTP/2: {code:?}")),
            (None, ..) => (Step::Closed, "the connection broke".to_owned()),
        },
        None if error.is_timeout() => (Step::ResponseTimeout, "no answer in time".to_owned()),
        None if error.is_parse() => (Step::Malformed, "the answer can't be read".to_owned()),
        None if error.is_closed() || error.is_canceled() || error.is_incomplete_message() => {
            (Step::Closed, "the connection was closed".to_owned())
        }
        None => (Step::Closed, "the connection broke".to_owned()),
    };
    Failure { step, reason }
}
