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
/// The most telling of what they said, where none answered.
pub(super) async fn first<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(T, SocketAddr)>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    first_after(DELAY, addresses, connect).await
}

async fn first_after<T, F>(
    delay: Duration,
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
    let mut telling: Option<io::Error> = None;
    loop {
        match left.next() {
            Some(addr) => {
                let attempt = connect(addr);
                attempts.spawn(async move { (addr, attempt.await) });
            }
            None if attempts.is_empty() => return Err(telling.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            None => {}
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok((addr, Ok(made)))) => return Ok((made, addr)),
                Some(Ok((_, Err(error)))) => keep(&mut telling, error),
                Some(Err(error)) => keep(&mut telling, error.into()),
                None => {}
            },
            () = tokio::time::sleep(delay), if left.peek().is_some() => {}
        }
    }
}

/// Keeps the error that says more of the host; of two that say as much, the later one.
fn keep(telling: &mut Option<io::Error>, error: io::Error) {
    // The nearer it came to the host, the more it says. That there is no way by one family is so on most machines.
    let rank = |error: &io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused => 5,
        io::ErrorKind::ConnectionReset => 4,
        io::ErrorKind::TimedOut => 3,
        io::ErrorKind::HostUnreachable => 2,
        io::ErrorKind::NetworkUnreachable => 0,
        _ => 1,
    };
    if telling.as_ref().is_none_or(|kept| rank(&error) >= rank(kept)) {
        *telling = Some(error);
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// Port 1 refuses, port 2 is silent, there is no way to port 3 and no time for port 4; others answer.
    async fn play(addr: SocketAddr) -> io::Result<u16> {
        match addr.port() {
            1 => Err(io::ErrorKind::ConnectionRefused.into()),
            2 => pending().await,
            3 => Err(io::ErrorKind::NetworkUnreachable.into()),
            4 => Err(io::ErrorKind::TimedOut.into()),
            port => Ok(port),
        }
    }

    /// Longer than any test.
    const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

    /// What was found, and how many addresses were tried, by who waits so long for a silent one.
    fn first_of(delay: Duration, addresses: &[&str]) -> (io::Result<SocketAddr>, usize) {
        let tried = AtomicUsize::new(0);
        let connect = |addr| {
            tried.fetch_add(1, Ordering::Relaxed);
            play(addr)
        };
        let addresses = addresses.iter().map(|text| addr(text)).collect();
        let found = run(async {
            tokio::time::timeout(Duration::from_secs(60), first_after(delay, addresses, connect)).await.unwrap()
        });
        (found.map(|(_, addr)| addr), tried.load(Ordering::Relaxed))
    }

    #[test]
    fn a_silent_address_costs_one_delay_and_a_refusing_one_nothing() {
        let began = Instant::now();
        let (found, tried) = first_of(DELAY, &["[::1]:2", "127.0.0.1:5"]);
        assert_eq!((found.unwrap(), tried), (addr("127.0.0.1:5"), 2));
        assert!(began.elapsed() >= DELAY);
        let (found, tried) = first_of(FOREVER, &["[::1]:1", "127.0.0.1:1", "127.0.0.2:5", "127.0.0.3:5"]);
        assert_eq!((found.unwrap(), tried), (addr("127.0.0.2:5"), 3));
    }

    #[test]
    fn where_none_answers_the_most_telling_word_is_kept() {
        let error = |addresses: &[&str]| first_of(FOREVER, addresses).0.unwrap_err().kind();
        for refused in [
            &["[::1]:3", "127.0.0.1:1"][..],
            &["127.0.0.1:1", "[::1]:3"],
            &["127.0.0.1:4", "[::1]:1", "127.0.0.2:4"],
            &["127.0.0.1:1"],
        ] {
            assert_eq!(error(refused), io::ErrorKind::ConnectionRefused, "{refused:?}");
        }
        assert_eq!(error(&["127.0.0.1:4", "[::1]:3"]), io::ErrorKind::TimedOut);
        assert_eq!(error(&["[::1]:3", "[::2]:3"]), io::ErrorKind::NetworkUnreachable);
        assert_eq!(error(&[]), io::ErrorKind::NotFound);
    }

    #[test]
    fn families_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"].map(addr).to_vec();
        assert_eq!(in_turns(all), ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"].map(addr));
    }
}
