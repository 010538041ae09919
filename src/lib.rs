//! authtap: a transparent reverse proxy that finds out why HTTP authentication fails.
//!
//! ```text
//! client -> accept -> TLS -> relay (or hyper for HTTP/2) -> TLS -> upstream      proxy/    moves traffic
//!                              |
//!                            framer -> RawHead                                   wire/     what passed
//!                              |
//!                            recorder -> Exchange                                exchange/ what happened
//!                              |  bounded queue                                  queue.rs
//!                            what several taps saw of one request                paths.rs, hops/
//!                              |
//!                            diagnose -> findings                                rules/    what is wrong
//!                              |
//!                            log, record, summary, inspector page                sinks/    what is said
//! ```
//!
//! The data path knows no rules, and the rules know no sockets. Who may use whom:
//!
//! | module | may use | must not use |
//! | --- | --- | --- |
//! | `auth` | std, bytes | anything of ours, hyper, tokio |
//! | `wire` | std, bytes, httparse, proxy-header | auth, exchange, hyper, tokio |
//! | `exchange` | wire, auth | hops, rules, proxy, hyper, tokio |
//! | `hops` | exchange, wire, auth | proxy, sinks, rules, hyper, tokio |
//! | `queue` | exchange | everything else of ours |
//! | `paths` | exchange, hops, queue | proxy, sinks, rules, diagnose, hyper, tokio |
//! | `rules`, `memory` | exchange, hops, auth | proxy, sinks, hyper, tokio, tracing, clock, environment, files |
//! | `diagnose`, `explain` | rules, memory, exchange, hops, paths | proxy, hyper |
//! | `sinks` | exchange, hops, rules, process | proxy, diagnose |
//! | `admin` | hyper, tokio | everything of ours |
//! | `keys` | exchange, auth, config, tls, error, hyper, tokio, rustls, tracing | proxy, rules, memory, sinks, diagnose |
//! | `proxy` | wire, exchange, hops, queue, config, error, hyper, tokio, rustls, tracing | rules, diagnose, explain, sinks |
//! | `command` | cli, error, tokio, rustix, tracing | everything else of ours |
//! | `manual` | cli, error, clap | everything else of ours |
//! | `redirect` | cli, error | everything else of ours, hyper, tokio |
//! | `panics` | std | everything of ours |
//! | `process` | std, rustix | everything of ours |
//! | `telemetry` | config, tls, error, opentelemetry, hyper, tokio, tracing | everything else of ours |
//! | `cli`, `config`, `layers`, `tls`, `error` | std, clap, serde, rustls for certificates | anything else of ours |
//!
//! `run`, `teller`, `check`, `compare`, `export` and `echo` join them; `tests/layering.rs` holds everybody to the table.

pub mod admin;
pub mod auth;
pub mod check;
pub mod cli;
pub mod command;
pub mod compare;
pub mod config;
pub mod demo;
pub mod diagnose;
pub mod echo;
pub mod error;
pub mod exchange;
pub mod explain;
pub mod export;
pub mod hops;
pub mod keys;
pub mod layers;
pub mod manual;
pub mod memory;
pub mod panics;
pub mod paths;
mod port_holder;
pub mod process;
pub mod proxy;
pub mod queue;
pub mod redirect;
pub mod rules;
pub mod run;
pub mod sinks;
#[cfg(feature = "otel")]
pub mod telemetry;
pub mod teller;
pub mod tls;
pub mod wire;
