//! hyper's errors, as what they mean for an exchange.

use crate::exchange::{Failure, Step};

/// Why there is no answer.
pub(super) enum SendError {
    /// The upstream reset the stream; the client's gets the same code.
    Reset(hyper::Error),
    /// There is no connection; the client is told so.
    Failed(Failure),
}

impl SendError {
    pub(super) fn of(error: hyper::Error) -> Self {
        match reset_code(&error) {
            Some(_) => SendError::Reset(error),
            None => SendError::Failed(failure_of(&error)),
        }
    }
}

/// The code of a reset that the peer sent, if that is what the error is.
fn reset_code(error: &(dyn std::error::Error + 'static)) -> Option<h2::Reason> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason();
        }
        source = error.source();
    }
    None
}

/// What went wrong at the upstream, by hyper's account.
pub(super) fn failure_of(error: &hyper::Error) -> Failure {
    let (step, reason) = match reset_code(error) {
        Some(code) => (Step::Reset, format!("HTTP/2 error {code:?}")),
        None if error.is_timeout() => (Step::ResponseTimeout, "no answer in time".to_owned()),
        None if error.is_parse() => (Step::Malformed, "the answer can't be read".to_owned()),
        None if error.is_closed() || error.is_canceled() || error.is_incomplete_message() => {
            (Step::Closed, "the connection was closed".to_owned())
        }
        None => (Step::Closed, "the connection broke".to_owned()),
    };
    Failure { step, reason }
}
