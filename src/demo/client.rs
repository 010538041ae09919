//! The demo's client: requests as bytes, one after the other on one connection for as long as the server keeps it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::wire::framer::Answers;
use crate::wire::{Framer, Step};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends each request and reads its answer to the end.
///
/// # Errors
/// What the operating system says, or that an answer never ended.
pub(super) fn send(tap: SocketAddr, requests: &[Vec<u8>]) -> io::Result<()> {
    let mut connection: Option<TcpStream> = None;
    for request in requests {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(tap)?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request)?;
        if read_answer(&mut stream)? {
            connection = Some(stream);
        }
    }
    Ok(())
}

/// Reads one answer. False where the server closed the connection with it.
fn read_answer(stream: &mut TcpStream) -> io::Result<bool> {
    let mut framer = Framer::of_responses(64 * 1024);
    let mut buffer = [0; 4096];
    let mut closes = false;
    loop {
        let size = match stream.read(&mut buffer) {
            // A read with a time limit is not taken up again behind a signal or a stop (signal(7)).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if size == 0 {
            return if framer.is_until_close() { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let mut input = buffer.get(..size).unwrap_or_default();
        loop {
            match framer.next(&mut input, Answers::Other) {
                Step::More => break,
                Step::Head(head) => closes = head.lists("connection", "close"),
                Step::End => return Ok(!closes),
                _ => {}
            }
        }
    }
}
