//! Connects to a host that has several addresses, of which some may not answer (RFC 8305, "happy eyeballs"): the next one is
//! tried when the last one failed or has been silent for a moment, and the first that answers is taken.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

/// How long an address may be silent before the next one is tried as well (RFC 8305 8).
const DELAY: Duration = Duration::from_millis(250);

/// What `connect` makes of the first address that answers, and that address.
///
/// # Errors
/// What the last of them said, where none answered.
pub(super) async fn first<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(T, SocketAddr)>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    // Most have one address, for which nothing has to be set up.
    if let [only] = addresses.as_slice() {
        return connect(*only).await.map(|made| (made, *only));
    }
    let mut left = in_turns(addresses).into_iter().peekable();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        match left.next() {
            Some(addr) => {
                let attempt = connect(addr);
                attempts.spawn(async move { (addr, attempt.await) });
            }
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok((addr, Ok(made)))) => return Ok((made, addr)),
                Some(Ok((_, Err(error)))) => last = error,
                Some(Err(error)) => last = error.into(),
                None => {}
            },
            () = tokio::time::sleep(DELAY), if left.peek().is_some() => {}
        }
    }
}

/// The addresses with the families by turns, so that one which leads nowhere costs one delay and not one for each address.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|addr| addr.is_ipv6() == is_first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [one.next(), other.next()];
        if pair.iter().all(Option::is_none) {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Instant;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// Port 1 refuses, port 2 is silent, port 3 answers.
    async fn play(addr: SocketAddr) -> io::Result<u16> {
        match addr.port() {
            1 => Err(io::ErrorKind::ConnectionRefused.into()),
            2 => pending().await,
            port => Ok(port),
        }
    }

    fn first_of(addresses: &[&str]) -> (io::Result<SocketAddr>, Duration) {
        let began = Instant::now();
        let found = run(first(addresses.iter().map(|text| addr(text)).collect(), play));
        (found.map(|(_, addr)| addr), began.elapsed())
    }

    #[test]
    fn a_silent_address_costs_one_delay_and_a_refusing_one_nothing() {
        let (found, took) = first_of(&["[::1]:2", "127.0.0.1:3"]);
        assert_eq!(found.unwrap(), addr("127.0.0.1:3"));
        assert!(took >= DELAY && took < DELAY * 20, "{took:?}");
        let (found, took) = first_of(&["[::1]:1", "127.0.0.1:1", "127.0.0.2:3"]);
        assert_eq!(found.unwrap(), addr("127.0.0.2:3"));
        assert!(took < DELAY, "{took:?}");
    }

    #[test]
    fn where_none_answers_the_last_word_is_kept() {
        let (found, _) = first_of(&["[::1]:1", "127.0.0.1:1"]);
        assert_eq!(found.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_of(&["127.0.0.1:1"]).0.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_of(&[]).0.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn families_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"].map(addr).to_vec();
        assert_eq!(in_turns(all), ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"].map(addr));
    }
}
