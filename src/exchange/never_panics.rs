//! No file, no address and no date makes a reader panic, whatever stands in it.

use proptest::prelude::*;

use super::location::Address;
use super::record::read::Read;
use super::redact::Redactor;
use super::{View, dates, har, signed, transcript};
use crate::auth::FingerprintKey;

const ARCHIVE: &str = r#"{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[{"startedDateTime":"2026-11-24T12:00:00.120Z","time":12.5,"serverIPAddress":"192.0.2.7","connection":"17","request":{"method":"POST","url":"https://a.example:8443/v1/x?a=b#c","httpVersion":"h2","headers":[{"name":"authorization","value":"Bearer 2YotnFZFEjr1zCsicMWpAA"}],"postData":{"mimeType":"application/x-www-form-urlencoded","text":"a=b"}},"response":{"status":401,"statusText":"no","httpVersion":"HTTP/1.1","headers":[{"name":"WWW-Authenticate","value":"Basic realm=\"a\""}],"content":{"size":8,"mimeType":"text/plain","encoding":"base64","text":"bm8gdG9r"}},"timings":{"connect":1,"wait":-1}}]}}"#;

const RECORD: &str = r#"{"schema":"authtap/1","id":"01M8BZG9CVHRM2XFB871RPT49Q","time":"2026-11-24T12:00:00.120Z","tap":"edge","path_id":"01M8BZG9CVHRM2XFB871RPT49Q","client":{"addr":"127.0.0.1:5000","connection":1,"tls":null},"upstream":{"url":"http://127.0.0.1:3000","addr":null,"connection":1,"reused":false,"tls":null},"request":{"method":"GET","target":"/a","version":"HTTP/1.1","authority":"a","headers":[["Host","a"]],"credentials":[{"in":"header","name":"authorization","scheme":"bearer","scheme_as_sent":"Bearer","fingerprint":"3fa9c1d2","length":8,"problems":[]}]},"edits":[],"response":{"status":401,"version":"HTTP/1.1","headers":[],"challenges":[]},"timing":{"connect_ms":1,"first_byte_ms":2,"total_ms":3},"outcome":"complete","diagnosis":{"verdict":"ok","findings":[]}}"#;

const TRANSCRIPT: &str = "* client tls\n> GET https://a.example/x?X-Amz-Date=20261124T120000Z&X-Amz-Expires=9&X-Amz-Signature=a HTTP/1.1\n\
    > Host: a.example\n> Authorization: AWS4-HMAC-SHA256 Credential=A/20261124/r/s3/aws4_request, SignedHeaders=host;date, Signature=b\n\
    > Signature-Input: s=(\"@method\" \"host\");created=1\n> Link: <https://a.example/b>; rel=\"next\"\n\
    < HTTP/1.1 307 x\n< Location: //user@[::1]:80\\x\n< Date: Tue, 24 Nov 2026 12:00:00 GMT\n";

fn run_all(text: &str) {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
    let from_archive = har::read(text).map(|archive| archive.exchanges).unwrap_or_default();
    let from_transcript = transcript::parse(text).unwrap_or_default();
    for exchange in from_archive.iter().chain(&from_transcript) {
        let view = View::new(exchange, &redactor);
        signed::signed(&view);
        super::location::redirect(&view);
        if let Some(own) = Address::of_request(&view) {
            own.is_internal();
            own.leads(&own);
        }
    }
    if let Ok(read) = Read::of_line(text) {
        read.request.credentials.iter().for_each(|credential| drop(credential.label()));
    }
    if let Some(address) = Address::parse(text) {
        address.is_internal();
        address.leads(&address);
    }
    dates::parse_http_date(text.as_bytes());
}

/// What is put in the place of one character.
const PIECES: [&str; 14] =
    ["", "\"", "\\", "{", "[", "]", ",", "-1", "1e400", "null", "\u{0}", "é", "99999999999999999999", ":"];

#[test]
fn every_cut_and_every_change_of_one_character() {
    for example in [ARCHIVE, RECORD, TRANSCRIPT] {
        for (number, (at, char)) in example.char_indices().enumerate() {
            run_all(&example[..at]);
            for step in 0..3 {
                let piece = PIECES[(number + step * 5) % PIECES.len()];
                run_all(&[&example[..at], piece, &example[at + char.len_utf8()..]].concat());
            }
        }
    }
}

proptest! {
    #[test]
    fn addresses(text in "(https?:)?//[a-z0-9.:@\\[\\]/?#\\\\%é-]{0,40}") {
        run_all(&text);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        run_all(&text);
    }

    #[test]
    fn dates_of_all_kinds(text in "(Mon|Sunday)?,? ?[0-9]{1,3}[ -](Nov|[A-Z]{3})[ -][0-9]{2,6} [0-9:]{1,12} ?(GMT)?") {
        run_all(&text);
    }
}
