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

/// A backend that believes whatever comes on a connection on which somebody has logged in, as servers of NTLM do.
pub fn careless_site() -> Origin {
    Origin::start(|conn| {
        let (mut challenged, mut is_in) = (false, false);
        while let Some(head) = conn.read_head() {
            let reply = match sent_type(&head) {
                Some(1) => {
                    challenged = true;
                    answer("401 Unauthorized", &[&format!("WWW-Authenticate: NTLM {}", type_2())], "")
                }
                Some(3) if challenged => {
                    is_in = true;
                    answer("200 OK", &[], "hello\n")
                }
                None if is_in => answer("200 OK", &[], "hello\n"),
                _ => answer("401 Unauthorized", &["WWW-Authenticate: NTLM"], ""),
            };
            conn.write(&reply);
        }
    })
}

/// Sends a request with the NTLM message of that number, or with none, and gives the status of the answer.
pub fn ask(client: &mut Client, message: Option<u8>) -> u16 {
    let field = message.map_or_else(String::new, |number| {
        let bytes = [b"NTLMSSP\0", &[number, 0, 0, 0][..], &[0x42; 40]].concat();
        format!("Authorization: NTLM {}\r\n", STANDARD.encode(bytes))
    });
    client.send(format!("GET /site HTTP/1.1\r\nHost: site.example\r\n{field}\r\n"));
    client.read_response().0.status()
}

/// A whole handshake on one connection, with the status of each answer.
pub fn handshake(client: &mut Client) -> [u16; 3] {
    [None, Some(1), Some(3)].map(|message| ask(client, message))
}

fn sent_type(head: &Head) -> Option<u32> {
    message_type(&head.get("authorization")?)
}
