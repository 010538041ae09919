//! What passed on a connection, byte for byte and without meaning.
//!
//! [`framer`] is fed slices of one direction of an HTTP/1 connection and cuts out the heads of messages; [`head`] holds a
//! head as it was received; [`edit`] changes the few lines that a tap was told to change; [`proxy_header`] reads and writes
//! what load balancers put before a connection. Nothing here does IO, looks at
//! a clock or knows what a field is good for.

pub mod edit;
pub mod framer;
pub mod head;
mod length;
mod lines;
pub mod proxy_header;

pub use framer::{Framer, Lost, Step};
pub use head::{Field, HeadDefect, HeadDefectKind, RawHead};
