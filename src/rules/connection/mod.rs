//! Schemes that authenticate a connection and not a request, and clients that show certificates.

pub mod authenticated_connection_shared;
pub mod client_certificate_not_forwarded;
pub mod ntlm_connection_broken;
pub mod ntlm_over_http2;

use super::Spec;

/// How NTLM goes over HTTP.
const NTLM_OVER_HTTP: Spec = Spec::Document(
    "MS-NTHT: NTLM Over HTTP Protocol",
    "https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-ntht/f09cf6e1-529e-403b-a8a5-7368ee096a6a",
);
