//! The questions that rules, records and screens ask about an exchange, answered once.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;

use super::dates::parse_http_date;
use super::given::Given;
use super::known_heads::KnownHead;
use super::places::Places;
use super::redact::{Redactor, kind_of_secret};
use super::{Exchange, Response, Version, names};
use crate::auth::{
    Challenge, Checked, Credentials, Defect, Detail, Fingerprint, Jwt, Message, NtlmStep, Scheme, Secret,
};
use crate::wire::head::RequestLine;
use crate::wire::{Field, RawHead};

/// An exchange with its credentials and challenges read.
pub struct View<'a> {
    exchange: &'a Exchange,
    redactor: &'a Redactor,
    known_request: Option<Arc<KnownHead>>,
    known_response: Option<Arc<KnownHead>>,
    offered: Arc<[Offered]>,
    challenged: Arc<[Challenged]>,
    /// The start of the answer's body, where it was kept.
    text: Option<String>,
    line: RequestLine<'a>,
    path: &'a [u8],
    grpc_status: Option<&'a [u8]>,
    once: Once,
}

/// What is asked of an exchange again and again, and found out once.
#[derive(Default)]
struct Once {
    /// What became of holding the signature of a token against the keys.
    signature: OnceCell<(Fingerprint, Option<Checked>)>,
    places: OnceCell<Places>,
    words: OnceCell<Option<usize>>,
    shown_target: OnceCell<String>,
}

/// Something in a request that can stand for who sends it.
pub struct Offered {
    /// Where it was.
    pub place: OfferedIn,
    /// The name of the field or parameter, as sent.
    pub name: String,
    /// The field line, from 0, where it was in a field of the head.
    pub field: Option<usize>,
    /// What it says.
    pub credentials: Arc<Credentials>,
    /// The fingerprint of its secret.
    pub fingerprint: Fingerprint,
    /// The length in bytes of the value as it was sent.
    pub length: usize,
    line: OnceLock<String>,
}

impl Offered {
    /// The line by which it is evidence, which `make` makes once for all requests with the same head.
    pub fn line(&self, make: impl FnOnce() -> String) -> &str {
        self.line.get_or_init(make)
    }
}

/// Where in a request credentials can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfferedIn {
    /// In Authorization.
    Authorization,
    /// In Proxy-Authorization.
    ProxyAuthorization,
    /// In a field of its own, such as X-Api-Key.
    KeyField,
    /// In a parameter of the query.
    Query,
    /// In the user information of the target.
    Userinfo,
    /// In a parameter of a form.
    Form,
    /// In Authorization behind the body.
    Trailer,
}

impl OfferedIn {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Authorization | Self::ProxyAuthorization | Self::KeyField => "header",
            Self::Query => "query",
            Self::Userinfo => "userinfo",
            Self::Form => "form",
            Self::Trailer => "trailer",
        }
    }
}

/// A challenge and the field that it stands in.
pub struct Challenged {
    /// Whether the field is Proxy-Authenticate, not WWW-Authenticate.
    pub by_proxy: bool,
    /// The field line, from 0.
    pub field: usize,
    /// What is asked for; several where the field has several.
    pub challenges: Arc<[Challenge]>,
    /// What is wrong with the field as a whole.
    pub defects: Arc<[Defect]>,
    line: OnceLock<String>,
}

impl Challenged {
    /// Challenges as they were read out of a field.
    pub(super) fn new(by_proxy: bool, field: usize, challenges: Arc<[Challenge]>, defects: Arc<[Defect]>) -> Self {
        Challenged { by_proxy, field, challenges, defects, line: OnceLock::new() }
    }

    /// The line by which it is evidence, which `make` makes once for all answers with the same head.
    pub fn line(&self, make: impl FnOnce() -> String) -> &str {
        self.line.get_or_init(make)
    }
}

impl<'a> View<'a> {
    /// Reads an exchange. `redactor` has the key for fingerprints and decides what is shown.
    pub fn new(exchange: &'a Exchange, redactor: &'a Redactor) -> Self {
        let response = exchange.response.seen().filter(|response| !response.by_tap);
        let request = &exchange.request;
        let line = request.head.request_line();
        let known_request = redactor.known_request(&request.head);
        let known_response = response.and_then(|response| redactor.known_response(&response.head));
        // What a body or trailers offer does not follow from the head.
        let of_head = known_request.as_ref().filter(|_| request.body.start.is_none() && request.trailers.is_none());
        let read_offered = || offered(exchange, redactor).into();
        let read_challenged =
            || response.map(|response| challenged(&response.head, redactor)).unwrap_or_default().into();
        View {
            exchange,
            redactor,
            offered: of_head.map_or_else(read_offered, |known| known.offered(read_offered)),
            challenged: known_response.as_ref().map_or_else(read_challenged, |known| known.challenged(read_challenged)),
            known_request,
            known_response,
            text: response.and_then(|response| response.body.text(&response.head)),
            line,
            path: path_of(line.target),
            grpc_status: response.and_then(grpc_status),
            once: Once::default(),
        }
    }

    /// Who asks, as far as one request tells: an address with what its User-Agent says and what gateways say of it, as one
    /// keyed hash.
    pub fn client(&self) -> u64 {
        self.places().client
    }

    /// The host that is asked, at this tap, as one keyed hash.
    pub fn host(&self) -> u64 {
        self.places().host
    }

    /// Where in a server the request goes, as far as what is known of one request holds for the next: the tap, the host
    /// and the start of the path, with identifiers folded, as one keyed hash.
    pub fn route(&self) -> u64 {
        self.places().route
    }

    /// The very place that the request goes to: the tap, the host and the whole path, as one keyed hash.
    pub fn place(&self) -> u64 {
        self.places().path
    }

    fn places(&self) -> &Places {
        self.once.places.get_or_init(|| {
            let exchange = self.exchange;
            // HTTP/2 names the host beside the head.
            match self.known_request().filter(|_| exchange.request.authority.is_none()) {
                Some(known) => known.places(&exchange.tap, exchange.client.addr.ip(), || Places::of(self)),
                None => Places::of(self),
            }
        })
    }

    /// Which entry of the dictionary the answer holds, which is looked for once.
    pub fn words(&self, look: impl FnOnce() -> Option<usize>) -> Option<usize> {
        *self.once.words.get_or_init(look)
    }

    /// Holds the signature of a token of this request against the keys that the operator gave. `None` where that tells
    /// nothing.
    pub fn check_signature(&self, offered: &Offered, jwt: &Jwt, given: &Given) -> Option<Checked> {
        let check = || given.check_signature(offered.credentials.secret.expose(), jwt);
        let (fingerprint, checked) = self.once.signature.get_or_init(|| (offered.fingerprint, check()));
        if *fingerprint == offered.fingerprint { checked.clone() } else { check() }
    }

    /// What is known of the request's head from earlier ones.
    pub(super) fn known_request(&self) -> Option<&KnownHead> {
        self.known_request.as_deref()
    }

    /// What is known of the response's head from earlier ones.
    pub(super) fn known_response(&self) -> Option<&KnownHead> {
        self.known_response.as_deref()
    }

    /// The number of what is told of the request, where that is its head alone and came before: all that was the same has
    /// the same one.
    pub fn number_of_request(&self) -> Option<u64> {
        let request = &self.exchange.request;
        let is_all = request.body.start.is_none() && request.trailers.is_none();
        self.known_request().filter(|_| is_all).map(|known| known.number)
    }

    /// The exchange itself.
    pub fn exchange(&self) -> &'a Exchange {
        self.exchange
    }

    /// What decides which values may be shown.
    pub fn redactor(&self) -> &'a Redactor {
        self.redactor
    }

    /// The request's head.
    pub fn request(&self) -> &'a RawHead {
        &self.exchange.request.head
    }

    /// The upstream's final response, if its head was read. An answer of the tap's own is none.
    pub fn response(&self) -> Option<&'a Response> {
        self.exchange.response.seen().filter(|response| !response.by_tap)
    }

    /// The status of the upstream's response; 0 where there is none.
    pub fn status(&self) -> u16 {
        self.response().map_or(0, |response| response.status)
    }

    /// Whether the response refuses for reasons of authentication: 401, 403 or 407.
    pub fn is_refused(&self) -> bool {
        matches!(self.status(), 401 | 403 | 407)
    }

    /// Whether the response is a 2xx, and says nothing else in its grpc-status.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status()) && self.grpc_status().is_none_or(|status| status == b"0")
    }

    /// The grpc-status of the response, in its trailers or, where it has no body, in its head.
    pub fn grpc_status(&self) -> Option<&'a [u8]> {
        self.grpc_status
    }

    /// Whether the request is a preflight (Fetch, CORS-preflight request): no other OPTIONS is.
    pub fn is_preflight(&self) -> bool {
        let request = self.request();
        self.line.method == b"OPTIONS" && request.has("origin") && request.has("access-control-request-method")
    }

    /// The NTLM message that the client sent, under whichever scheme.
    pub fn ntlm_sent(&self) -> Option<NtlmStep> {
        self.offered.iter().find_map(|offered| match offered.credentials.detail {
            Detail::Negotiate(Message::Ntlm { step, .. }) => Some(step),
            _ => None,
        })
    }

    /// The NTLM message that the server sent, under whichever scheme.
    pub fn ntlm_asked(&self) -> Option<NtlmStep> {
        let challenges = self.challenged.iter().flat_map(|field| field.challenges.iter());
        challenges.filter_map(Challenge::message).find_map(|message| match message {
            Message::Ntlm { step, .. } => Some(step),
            _ => None,
        })
    }

    /// The method, as sent.
    pub fn method(&self) -> &'a [u8] {
        self.line.method
    }

    /// The request target, as sent. It may hold secrets.
    pub fn target(&self) -> &'a [u8] {
        self.line.target
    }

    /// The target as it may be shown.
    pub fn shown_target(&self) -> &str {
        self.once.shown_target.get_or_init(|| self.redactor.target(self.target()))
    }

    /// The path of the target: without origin, query and fragment. It may hold secrets.
    pub fn path(&self) -> &'a [u8] {
        self.path
    }

    /// The authority that the client asked for: `:authority`, or the Host field.
    pub fn authority(&self) -> Option<String> {
        match &self.exchange.request.authority {
            Some(authority) => Some(authority.clone()),
            None => self.request().value("host").map(super::text),
        }
    }

    /// All credentials of the request, in the order in which they stand.
    pub fn offered(&self) -> &[Offered] {
        &self.offered
    }

    /// The credentials in Authorization.
    pub fn authorization(&self) -> Option<&Offered> {
        self.offered.iter().find(|offered| offered.place == OfferedIn::Authorization)
    }

    /// The credentials that matter most: those of Authorization, or else the first.
    pub fn main_credentials(&self) -> Option<&Offered> {
        self.authorization().or_else(|| self.offered.first())
    }

    /// The challenge fields of the response, in order.
    pub fn challenged(&self) -> &[Challenged] {
        &self.challenged
    }

    /// All challenges of WWW-Authenticate, or of Proxy-Authenticate with `by_proxy`.
    pub fn challenges(&self, by_proxy: bool) -> impl Iterator<Item = &Challenge> {
        self.challenged.iter().filter(move |field| field.by_proxy == by_proxy).flat_map(|field| field.challenges.iter())
    }

    /// The first challenge of that scheme in WWW-Authenticate.
    pub fn challenge(&self, scheme: &Scheme) -> Option<&Challenge> {
        self.challenges(false).find(|challenge| challenge.scheme == *scheme)
    }

    /// The start of the body of a 4xx response, unpacked, where it is a text. It may hold secrets.
    pub fn error_text(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| (400..500).contains(&self.status()))
    }

    /// The start of the body of a success, unpacked, where [`super::body::kept_of_answer`] calls it evidence. It may hold
    /// secrets and what is nobody's business: rules read it, and show no more of it than the value that is the point, by
    /// way of the redactor. It is no part of any record.
    pub fn answer_text(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| (200..300).contains(&self.status()))
    }

    /// The Date of the response.
    pub fn response_date(&self) -> Option<Timestamp> {
        self.response().and_then(|response| response.head.value("date")).and_then(parse_http_date)
    }

    /// The best clock for what the server decided: its own Date, or else the time of the request.
    pub fn server_time(&self) -> Timestamp {
        self.response_date().unwrap_or(self.exchange.time)
    }

    /// Whether the client speaks HTTP/2, where all names are in lower case by the protocol.
    pub fn is_http2(&self) -> bool {
        self.exchange.request.version == Version::Http2
    }

    /// The value of a field of the request as it may be shown; what was read of its credentials is not read again.
    pub fn shown_in_request(&self, field: &Field<'_>) -> String {
        let is_read =
            |offered: &&Offered| matches!(offered.place, OfferedIn::Authorization | OfferedIn::ProxyAuthorization);
        let offered = self.offered.iter().filter(is_read).find(|offered| offered.field == Some(field.index));
        match offered {
            Some(offered) => self.redactor.field_with(field.name, field.value, &offered.credentials),
            None => self.redactor.field(field.name, field.value),
        }
    }

    /// The value of a field of the response as it may be shown; what was read of its challenges is not read
    /// again, nor what was made of the same line before.
    pub fn shown_in_response(&self, field: &Field<'_>) -> String {
        if let Some(line) = self.redactor.recall(field.line, true) {
            return line.value.clone();
        }
        match self.challenged.iter().find(|challenged| challenged.field == field.index) {
            Some(read) => self.redactor.field_with_challenges(field.name, field.value, &read.challenges),
            None => self.redactor.field(field.name, field.value),
        }
    }

    /// The values that the operator asked to mask: of fields, and of parameters in the target's query.
    fn masked(&self) -> impl Iterator<Item = &[u8]> {
        let request = &self.exchange.request.head;
        let answer = self.exchange.response.seen().map(|response| &response.head);
        let fields = std::iter::once(request).chain(answer).flat_map(|head| head.fields());
        let fields = fields.filter(|field| self.redactor.masks(field.name)).map(|field| field.value);
        let query = self.target().splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
        let pairs = query.split(|byte| *byte == b'&').filter_map(|pair| {
            let at = memchr::memchr(b'=', pair)?;
            Some((pair.get(..at)?, pair.get(at + 1..)?))
        });
        fields.chain(pairs.filter(|(name, _)| self.redactor.masks(name)).map(|(_, value)| value))
    }

    /// A text that came back from the server or quotes what passed, without what the request offered, since servers repeat it
    /// in their complaints, and without what the operator asked to mask.
    pub fn without_echoes(&self, text: String) -> String {
        let text = match self.redactor.masks_any() {
            true => self.redactor.without_values(text, self.masked()),
            false => text,
        };
        self.redactor.without(text, self.secrets())
    }

    /// Whether something that the request offered comes back in a text of the server, or something may be there that is to be
    /// masked.
    pub fn has_echoes(&self, text: &str) -> bool {
        self.redactor.masks_any() || self.redactor.has_any(text, self.secrets())
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        // What stands for a secret that is missing is none.
        let offered = self.offered.iter().filter(|offered| offered.credentials.placeholder.is_none());
        offered.flat_map(|offered| {
            let password = match &offered.credentials.detail {
                Detail::Basic(basic) => Some(&basic.password),
                _ => None,
            };
            let joined = offered.credentials.joined.iter().map(|joined| &joined.secret);
            std::iter::once(&offered.credentials.secret).chain(password).chain(joined)
        })
    }

    /// `Authorization: Bearer jwt#7f3a (812 bytes)`: a credential as the screen shows it.
    pub fn label(&self, offered: &Offered) -> String {
        let kind = kind_of_secret(offered.credentials.scheme.as_ref(), &offered.credentials.secret);
        let fingerprint = offered.fingerprint.short();
        match offered.credentials.scheme_as_sent.as_str() {
            "" => format!("{kind}#{fingerprint}"),
            scheme => format!("{scheme} {kind}#{fingerprint}"),
        }
    }
}

/// The path of a target or a URL: without origin, query and fragment.
pub fn path_of(target: &[u8]) -> &[u8] {
    let is_url = !target.starts_with(b"/");
    let start = match is_url.then(|| memchr::memmem::find(target, b"://")).flatten() {
        Some(at) => memchr::memchr(b'/', &target[at + 3..]).map_or(target.len(), |slash| at + 3 + slash),
        None => 0,
    };
    let path = &target[start..];
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    &path[..end]
}

fn offered(exchange: &Exchange, redactor: &Redactor) -> Vec<Offered> {
    let request = &exchange.request;
    let mut found = Vec::new();
    let mut add = |place: OfferedIn, name: &[u8], field: Option<usize>, value: Bytes| {
        let length = value.len();
        let is_in_authorization =
            matches!(place, OfferedIn::Authorization | OfferedIn::ProxyAuthorization | OfferedIn::Trailer);
        let (credentials, fingerprint) = if is_in_authorization || is_authorization_like(name) {
            redactor.read(&value)
        } else {
            let credentials = crate::auth::credentials::bare(&value);
            let fingerprint = credentials.secret.fingerprint(redactor.key());
            (Arc::new(credentials), fingerprint)
        };
        let line = OnceLock::new();
        found.push(Offered { place, name: super::text(name), field, credentials, fingerprint, length, line });
    };
    for field in request.head.fields() {
        let place = if field.is("authorization") {
            OfferedIn::Authorization
        } else if field.is("proxy-authorization") {
            OfferedIn::ProxyAuthorization
        } else if names::is_key_field(field.name) {
            OfferedIn::KeyField
        } else {
            continue;
        };
        add(place, field.name, Some(field.index), request.head.shared_value(field.index));
    }
    let target = request.head.request_line().target;
    if let Some(userinfo) = userinfo(target) {
        add(OfferedIn::Userinfo, b"userinfo", None, Bytes::copy_from_slice(userinfo));
    }
    if let Some(at) = memchr::memchr(b'?', target) {
        each_key_parameter(&target[at + 1..], |name, value| add(OfferedIn::Query, name, None, value));
    }
    if let Some(form) = &request.body.start {
        each_key_parameter(form, |name, value| add(OfferedIn::Form, name, None, value));
    }
    if let Some(trailers) = &request.trailers {
        for field in trailers.fields().filter(|field| field.is("authorization")) {
            add(OfferedIn::Trailer, field.name, None, trailers.shared_value(field.index));
        }
    }
    found
}

/// Whether a field other than Authorization is written like it.
fn is_authorization_like(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(b"authorization")
}

fn userinfo(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return None;
    }
    let at = memchr::memmem::find(target, b"://")?;
    let authority = target[at + 3..].split(|byte| matches!(byte, b'/' | b'?' | b'#')).next()?;
    let end = memchr::memrchr(b'@', authority)?;
    Some(&authority[..end])
}

fn each_key_parameter(pairs: &[u8], mut found: impl FnMut(&[u8], Bytes)) {
    for pair in pairs.split(|byte| *byte == b'&') {
        let Some(at) = memchr::memchr(b'=', pair) else { continue };
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        if names::is_key_parameter(name) && !value.is_empty() {
            let value: Vec<u8> = percent_encoding::percent_decode(value).collect();
            found(name, value.into());
        }
    }
}

fn grpc_status(response: &Response) -> Option<&[u8]> {
    let trailers = response.trailers.as_ref().and_then(|trailers| trailers.value("grpc-status"));
    trailers.or_else(|| response.head.value("grpc-status"))
}

fn challenged(head: &RawHead, redactor: &Redactor) -> Vec<Challenged> {
    let mut found = Vec::new();
    for field in head.fields() {
        let by_proxy = field.is("proxy-authenticate");
        if by_proxy || field.is("www-authenticate") {
            let (challenges, defects) = redactor.read_challenges(field.value);
            found.push(Challenged::new(by_proxy, field.index, challenges, defects));
        }
    }
    found
}
