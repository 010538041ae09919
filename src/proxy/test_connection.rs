//! A connection for the tests of what records one.

use std::sync::Arc;

use super::recorder::Connection;
use crate::exchange::{ClientSide, Endpoint, Exchange, Position, Tap};
use crate::queue::{self, Inlet, Next};

/// A connection, and the end of the queue that its exchanges go into.
pub(super) fn connection() -> (Arc<Connection>, Inlet) {
    let (outlet, inlet, _) = queue::bounded(8, 1 << 20);
    let addr = Endpoint::Tcp("127.0.0.1:1".parse().unwrap());
    let tap = Tap {
        name: "tap".to_owned(),
        listen: addr.clone(),
        upstream_url: "http://127.0.0.1:2".to_owned(),
        position: Position { index: 0, of: 1 },
    };
    let client = ClientSide { addr, announced: None, connection: 1, tls: None };
    (Arc::new(Connection { tap: Arc::new(tap), client, original: None, outlet }), inlet)
}

/// What is in the queue by now.
pub(super) fn exchanges(inlet: &Inlet) -> Vec<Exchange> {
    let next = || match inlet.try_next() {
        Next::Exchange(exchange) => Some(*exchange),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}
