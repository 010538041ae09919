//! As much of NTLM as a backend needs that believes every answer: the messages are framed right, but not verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::Client;
use super::head::{Head, answer};
use super::origin::Origin;

/// The kind of NTLM message in a field value such as `NTLM TlRMTVNTUAAB...`.
pub fn message_type(value: &str) -> Option<u32> {
    let bytes = STANDARD.decode(value.strip_prefix("NTLM ")?.trim()).ok()?;
    let kind = bytes.strip_prefix(b"NTLMSSP\0")?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*kind))
}

/// The backend's challenge, base64.
pub fn type_2() -> String {
    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }
    /// Length, capacity and place of a field.
    fn place(length: usize, offset: usize) -> Vec<u8> {
        let length = u16::try_from(length).unwrap().to_le_bytes();
        [&length[..], &length[..], &u32::try_from(offset).unwrap().to_le_bytes()].concat()
    }
    const FIXED: usize = 48;
    // Unicode, target name present, NTLM, target is a server, extended session security, target information present.
    const FLAGS: u32 = 0x0000_0001 | 0x0000_0004 | 0x0000_0200 | 0x0002_0000 | 0x0008_0000 | 0x0080_0000;
    let target = utf16("TEST");
    // One pair (NetBIOS computer name) and the end of the list.
    let information = [&[1, 0, 8, 0][..], &target, &[0; 4]].concat();
    let message = [
        b"NTLMSSP\0".to_vec(),
        2u32.to_le_bytes().to_vec(),
        place(target.len(), FIXED),
        FLAGS.to_le_bytes().to_vec(),
        b"challeng".to_vec(),
        vec![0; 8],
        place(information.len(), FIXED + target.len()),
        target,
        information,
    ]
    .concat();
    STANDARD.encode(message)
}

/// A backend that authenticates the connection, as NTLM does: type 1 and type 3 have to come on the same one.
/// `accept` decides what becomes of a type 3 that does.
pub fn origin(accept: bool) -> Origin {
    Origin::start(move |conn| {
        let mut challenged = false;
        while let Some(head) = conn.read_head() {
            conn.read_body(&head);
            let kind = sent_type(&head);
            let reply = match kind {
                Some(1) => {
                    challenged = true;
                    answer("401 Unauthorized", &[&format!("WWW-Authenticate: NTLM {}", type_2())], "")
                }
                Some(3) if challenged && accept => answer("200 OK", &["Content-Type: text/plain"], "hello\n"),
                _ => {
                    challenged = false;
                    answer("401 Unauthorized", &["WWW-Authenticate: NTLM"], "")
                }
            };
            conn.write(&reply);
        }
    })
}

/// A backend that believes every last message which follows a first one on its connection, and from then on whoever comes
/// on it.
pub fn intranet() -> Origin {
    Origin::start(|conn| {
        let (mut is_challenged, mut is_known) = (false, false);
        while let Some(head) = conn.read_head() {
            let kind = sent_type(&head);
            is_known |= is_challenged && kind == Some(3);
            is_challenged = kind == Some(1);
            let challenge = format!("WWW-Authenticate: NTLM {}", type_2());
            conn.write(&match (is_challenged, is_known) {
                (true, _) => answer("401 Unauthorized", &[&challenge], ""),
                (_, true) => answer("200 OK", &[], "fine\n"),
                _ => answer("401 Unauthorized", &["WWW-Authenticate: NTLM"], ""),
            });
        }
    })
}

/// Asks with a message of that kind, or with none, and gives the status of the answer. Nothing in the message is secret.
pub fn get(client: &mut Client, kind: Option<u32>) -> u16 {
    let field = kind.map(|kind| {
        let mut message = [b"NTLMSSP\0".as_slice(), &kind.to_le_bytes(), &0x0008_8207_u32.to_le_bytes()].concat();
        message.resize(if kind == 1 { 32 } else { 64 }, 0);
        format!("Authorization: NTLM {}\r\n", STANDARD.encode(message))
    });
    client.send(format!(
        "GET /site HTTP/1.1\r\nHost: intranet.example\r\nAccept: */*\r\n{}\r\n",
        field.unwrap_or_default()
    ));
    let (head, body) = client.read_response();
    assert!(head.status() < 500, "{}", String::from_utf8_lossy(&body));
    head.status()
}

fn sent_type(head: &Head) -> Option<u32> {
    message_type(&head.get("authorization")?)
}
