//! Requests and responses of every shape that HTTP/1 has, well-formed and not, as bytes.

/// One exchange on a connection of its own.
pub struct Messages {
    pub name: &'static str,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    /// How many exchanges the record has of it.
    pub exchanges: usize,
    /// The outcome of the last of them, where a raw client and server end the connection after the response.
    pub outcome: &'static str,
}

fn case(name: &'static str, request: &[u8], response: &[u8]) -> Messages {
    Messages { name, request: request.to_vec(), response: response.to_vec(), exchanges: 1, outcome: "complete" }
}

impl Messages {
    fn times(mut self, exchanges: usize) -> Self {
        self.exchanges = exchanges;
        self
    }

    fn ends(mut self, outcome: &'static str) -> Self {
        self.outcome = outcome;
        self
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn get(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), body].concat()
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat()
}

/// Everything that a backend must get exactly as the client sent it, and the reverse.
pub fn all() -> Vec<Messages> {
    let mut all = vec![
        // Requests: lengths.
        case("plain", GET, OK),
        case("no fields at all", b"GET / HTTP/1.1\r\n\r\n", OK),
        case("content length", &post("Content-Length: 5\r\n", b"hello"), OK),
        case("content length zero", &post("Content-Length: 0\r\n", b""), OK),
        case("chunked", &post("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"), OK),
        case("chunked in capitals", &post("TRANSFER-ENCODING: Chunked\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"), OK),
        case("chunk extensions", &post("Transfer-Encoding: chunked\r\n", b"5;a=b;c=\"d\"\r\nhello\r\n0;z\r\n\r\n"), OK),
        case("leading zeros in a chunk size", &post("Transfer-Encoding: chunked\r\n", b"0005\r\nhello\r\n000\r\n\r\n"), OK),
        case("trailers", &post("Transfer-Encoding: chunked\r\nTrailer: x\r\n", b"1\r\na\r\n0\r\nX: y\r\nz: W\r\n\r\n"), OK),
        case("a body that looks like a request", &post("Content-Length: 27\r\n", GET), OK),
        case("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
        case("HTTP/1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK),
        case("expect", &post("Expect: 100-continue\r\nContent-Length: 2\r\n", b"ab"), b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        // Requests: spelling, order, spaces.
        case("odd case", b"GET / HTTP/1.1\r\nhOsT: a\r\naUtHoRiZaTiOn: bEaReR abc\r\nX-API-key: k\r\n\r\n", OK),
        case("duplicates apart", &get("A: 1\r\nB: 2\r\na: 3\r\nB: 4\r\n"), OK),
        case("two authorizations", &get("Authorization: Basic eDp5\r\nAuthorization: Bearer abc\r\n"), OK),
        case("spaces around values", &get("A:b\r\nC:   d   \r\nE:\t f\t\r\nG:\r\nH: \r\n"), OK),
        case("double space after the scheme", &get("Authorization: Bearer  abc\r\n"), OK),
        case("absolute form", b"GET http://b/c?d HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        case("asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        case("double slashes and escapes", b"GET //a/../b%2fc/%7e?x=%20&&y HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        case("a fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        case("an unknown method", b"BREW-IT /pot HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        case("underscores and dots in names", &get("api_key: k\r\nX.Y: z\r\n"), OK),
        case("a comma list", &get("Accept: a, b;q=0.5 ,c\r\nConnection: close, authorization\r\n"), OK),
        case("cookies", &get("Cookie: a=b; c=d\r\nCookie: e=f\r\n"), OK),
        // Requests: what strict parsers refuse.
        case("space before the colon", &get("Authorization : Bearer abc\r\n"), OK),
        case("a folded value", &get("Authorization: Bearer\r\n abc\r\n"), OK),
        case("bare line feeds", b"GET / HTTP/1.1\nHost: a\nA: b\n\n", OK),
        case("one bare line feed", b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", OK),
        case("a nul", &get("A: b\0c\r\n"), OK),
        case("a bare carriage return", &get("A: b\rc\r\n"), OK),
        case("a control character", &get("A: b\x1b[31mc\r\n"), OK),
        case("no colon", &get("Authorization Bearer abc\r\n"), OK),
        case("an empty name", &get(": b\r\n"), OK),
        case("a name with a space inside", &get("Autho rization: b\r\n"), OK),
        case("utf-8 in a value", &get("A: na\u{ef}ve \u{2026}\r\n"), OK),
        case("latin-1 in a value", b"GET / HTTP/1.1\r\nHost: a\r\nA: \xe9\r\n\r\n", OK),
        case("latin-1 in a name", b"GET / HTTP/1.1\r\nHost: a\r\n\xe9: b\r\n\r\n", OK),
        case("an empty line first", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        case("white space before the fields", b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", OK),
        case("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", OK),
        // Requests whose length is in doubt: the bytes go on all the same.
        case("length and encoding", &post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), OK).ends("unfollowed"),
        case("two lengths", &post("Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"), OK).ends("unfollowed"),
        case("two equal lengths", &post("Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), OK).ends("unfollowed"),
        case("a list of lengths", &post("Content-Length: 5, 5\r\n", b"hello"), OK).ends("unfollowed"),
        case("a length with a sign", &post("Content-Length: +5\r\n", b"hello"), OK).ends("unfollowed"),
        case("an octal length", &post("Content-Length: 010\r\n", b"hellohello"), OK).ends("unfollowed"),
        case("an encoding list", &post("Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), OK).ends("unfollowed"),
        case("an encoding of HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", OK).ends("unfollowed"),
        case("a space before the colon of a length", &post("Content-Length : 5\r\n", b"hello"), OK).ends("unfollowed"),
        case("a bare line feed in a chunk", &post("Transfer-Encoding: chunked\r\n", b"5\nhello\r\n0\r\n\r\n"), OK).ends("unfollowed"),
        case("a chunk size that is none", &post("Transfer-Encoding: chunked\r\n", b"xyz\r\n\r\n"), OK).ends("unfollowed"),
        case("a chunk size too large", &post("Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\nhello"), OK).ends("unfollowed"),
        case("a chunk longer than it says", &post("Transfer-Encoding: chunked\r\n", b"3\r\nhello\r\n0\r\n\r\n"), OK).ends("unfollowed"),
        case("no version", b"GET /\r\n\r\n", OK).ends("unfollowed"),
        case("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", OK).ends("unfollowed"),
        // Pipelining.
        case("two requests at once", &[GET, GET].concat(), &[OK, OK].concat()).times(2),
        case("a body and a request behind it", &[&post("Content-Length: 3\r\n", b"abc")[..], GET].concat(), &[OK, OK].concat()).times(2),
        case("ten requests at once", &GET.repeat(10), &OK.repeat(10)).times(10),
        // Responses.
        case("no content", GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        case("not modified with a length", GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        case("the answer to HEAD", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        case("until close", GET, b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nall that comes"),
        case("until close, empty", GET, b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\r\n"),
        case("another coding until close", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc"),
        case("chunked answer", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        case("chunked answer with trailers", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nGrpc-Status: 16\r\n\r\n"),
        case("informational answers", GET, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        case("no reason", GET, b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
        case("a reason in other letters", GET, b"HTTP/1.1 200 d\xe9j\xe0 vu\r\nContent-Length: 0\r\n\r\n"),
        case("an answer in odd case", GET, b"HTTP/1.1 401 no\r\nwww-AUTHENTICATE:  Basic  realm=\"a\"\r\nCONTENT-length:0\r\n\r\n"),
        case("several challenges", GET, b"HTTP/1.1 401 no\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"a\", Bearer\r\nContent-Length: 0\r\n\r\n"),
        case("a malformed answer", GET, b"HTTP/1.1 401 no\r\nWWW-Authenticate : Basic\r\n realm=\"a\"\r\nno colon\r\nContent-Length: 0\r\n\r\n"),
        case("an answer with bare line feeds", GET, b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        case("an answer of HTTP/1.0", GET, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        case("an answer with length and encoding", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").ends("unfollowed"),
        case("more than the answer", GET, &[OK, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"].concat()),
        // Other protocols.
        case("a websocket", &get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n"), b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello\x88\x00").ends("upgraded"),
        case("bytes behind an upgrade", &[&get("Connection: Upgrade\r\nUpgrade: x\r\n")[..], b"\x00\x01GET\r\n\r\n"].concat(), b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1").ends("upgraded"),
        case("a refused upgrade and a request behind it", &[&get("Upgrade: x\r\n")[..], GET].concat(), &[OK, OK].concat()).times(2),
        case("a tunnel", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01", b"HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x03\x00").ends("upgraded"),
        case("a refused tunnel", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", b"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic realm=\"a\"\r\nContent-Length: 0\r\n\r\n"),
    ];
    let large: Vec<u8> = (0..1024 * 1024u32).map(|at| (at % 251) as u8).collect();
    all.push(case("a large upload", &post("Content-Length: 1048576\r\n", &large), OK));
    all.push(case("a large download", GET, &answer("200 OK\r\nContent-Length: 1048576", &large)));
    let chunks: Vec<u8> = large
        .chunks(10_000)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .collect();
    let chunked = [&chunks[..], b"0\r\n\r\n"].concat();
    all.push(case("a large chunked upload", &post("Transfer-Encoding: chunked\r\n", &chunked), OK));
    all.push(case("a large chunked download", GET, &answer("200 OK\r\nTransfer-Encoding: chunked", &chunked)));
    let field = format!("X-Large: {}\r\n", "a".repeat(100 * 1024));
    all.push(case("a head larger than is recorded", &get(&field), OK).ends("unfollowed"));
    let many: String = (0..1000).map(|number| format!("X-{number}: {number}\r\n")).collect();
    all.push(case("a thousand fields", &get(&many), OK));
    all
}
