//! Heads that come again, each known by a number: what follows from a head alone is found out once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::Tap;
use super::places::Places;
use super::recall::{BYTES, LONGEST, MOST, Recall};
use super::recalled::MOST_PARAMS;
use super::redact::Redactor;
use super::view::{Challenged, Offered};
use crate::wire::RawHead;

/// More credentials or fields with challenges than this are read each time, and so are more parameters of challenges than
/// [`MOST_PARAMS`]: what is kept of a head must not be many times as large as the head.
const MOST_READ: usize = 8;

/// A head that came before.
pub(super) struct KnownHead {
    /// No other head ever has the same one.
    pub(super) number: u64,
    offered: OnceLock<Arc<[Offered]>>,
    challenged: OnceLock<Arc<[Challenged]>>,
    places: OnceLock<(Arc<Tap>, Option<IpAddr>, Places)>,
}

impl KnownHead {
    fn new(number: u64) -> Self {
        KnownHead { number, offered: OnceLock::new(), challenged: OnceLock::new(), places: OnceLock::new() }
    }

    /// Where it goes and whose it is, as it was found out before or as `find` finds it. Beside the head, that follows from the
    /// tap and from the client's address alone.
    pub(super) fn places(&self, tap: &Arc<Tap>, client: Option<IpAddr>, find: impl FnOnce() -> Places) -> Places {
        match self.places.get() {
            Some((known, addr, places)) if Arc::ptr_eq(known, tap) && *addr == client => *places,
            Some(_) => find(),
            None => self.places.get_or_init(|| (tap.clone(), client, find())).2,
        }
    }

    /// What it offers, as it was read before or as `read` reads it.
    pub(super) fn offered(&self, read: impl FnOnce() -> Arc<[Offered]>) -> Arc<[Offered]> {
        once(&self.offered, |offered| offered.len() <= MOST_READ, read)
    }

    /// What it asks for, as it was read before or as `read` reads it.
    pub(super) fn challenged(&self, read: impl FnOnce() -> Arc<[Challenged]>) -> Arc<[Challenged]> {
        let is_little = |challenged: &[Challenged]| {
            let params =
                challenged.iter().flat_map(|field| field.challenges.iter()).map(|challenge| challenge.params.len());
            challenged.len() <= MOST_READ && params.sum::<usize>() <= MOST_PARAMS
        };
        once(&self.challenged, is_little, read)
    }
}

fn once<T>(
    kept: &OnceLock<Arc<[T]>>,
    is_little: impl FnOnce(&[T]) -> bool,
    read: impl FnOnce() -> Arc<[T]>,
) -> Arc<[T]> {
    if let Some(known) = kept.get() {
        return known.clone();
    }
    let found = read();
    if is_little(&found) {
        kept.get_or_init(|| found.clone());
    }
    found
}

/// All that are known.
#[derive(Default)]
pub(super) struct KnownHeads {
    /// By the number of the very head in memory, which is that of no other one as long as it is held here.
    held: HashMap<usize, (RawHead, Arc<KnownHead>), foldhash::fast::RandomState>,
    /// How many bytes are held so.
    bytes: usize,
    /// By all that is told of it.
    told: Recall<Arc<KnownHead>>,
    count: u64,
}

impl KnownHeads {
    pub(super) fn forget(&mut self) {
        self.let_go();
        self.told.forget();
    }

    fn let_go(&mut self) {
        self.held = HashMap::default();
        self.bytes = 0;
    }

    fn find(&mut self, head: &RawHead) -> Option<Arc<KnownHead>> {
        if let Some((_, known)) = self.held.get(&head.number()) {
            return Some(known.clone());
        }
        let told = told_of(head)?;
        let known = self.told.get(&told).or_else(|| {
            let mut fresh = None;
            self.told.note(&told, || {
                self.count += 1;
                fresh = Some(Arc::new(KnownHead::new(self.count)));
                fresh.clone()
            });
            fresh
        })?;
        // What nobody else has can't come again as the same one in memory.
        if head.is_shared() {
            if self.held.len() >= MOST || self.bytes + head.memory() > BYTES {
                self.let_go();
            }
            self.bytes += head.memory();
            self.held.insert(head.number(), (head.clone(), known.clone()));
        }
        Some(known)
    }
}

impl Redactor {
    /// What is known of a request's head, if the same came before. Lines that are not told of, such as the hop header, make no
    /// difference.
    pub(super) fn known_request(&self, head: &RawHead) -> Option<Arc<KnownHead>> {
        self.recalled.borrow_mut().request_heads.find(head)
    }

    /// The same of an answer's head. They are apart, since an answer mostly has a date, and comes again for a second.
    pub(super) fn known_response(&self, head: &RawHead) -> Option<Arc<KnownHead>> {
        self.recalled.borrow_mut().response_heads.find(head)
    }
}

/// Everything that is told of a head: its start line, and the names and values of its lines, each with its length. Where there
/// is more, such as a defect and its place, or too much, there is nothing.
fn told_of(head: &RawHead) -> Option<Vec<u8>> {
    if !head.is_clean() || head.as_received().len() > LONGEST {
        return None;
    }
    let mut told = Vec::with_capacity(128 + head.as_received().len());
    let mut put = |text: &[u8]| {
        told.extend_from_slice(&text.len().to_ne_bytes());
        told.extend_from_slice(text);
    };
    put(head.start_line());
    for field in head.fields() {
        put(field.name);
        put(field.value);
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{FingerprintKey, parse_challenges};
    use crate::exchange::{Endpoint, Exchange, View, transcript};

    fn head(target: &str, fields: &[(&str, &str)]) -> RawHead {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        RawHead::from_fields(&format!("GET {target} HTTP/1.1"), fields)
    }

    fn redactor() -> Redactor {
        Redactor::new(FingerprintKey::from_bytes(b"known heads"), [])
    }

    #[test]
    fn a_head_is_known_by_what_is_told_of_it_whichever_it_is() {
        let redactor = redactor();
        let number = |head: &RawHead| redactor.known_request(head).map(|known| known.number);
        let (one, same) = (head("/a", &[("Host", "x")]), head("/a", &[("Host", "x")]));
        assert_eq!(number(&one), None);
        let known = number(&one);
        assert!(known.is_some());
        assert_eq!((number(&one), number(&same), number(&same)), (known, known, known));
        let mut told_less = head("/a", &[("Host", "x"), ("Authtap-Hop", "1")]);
        told_less.forget("authtap-hop");
        assert_eq!(number(&told_less), known);
        for other in
            [head("/b", &[("Host", "x")]), head("/a", &[("host", "x")]), head("/a", &[("Host", "x"), ("", "")])]
        {
            number(&other);
            assert!(number(&other).is_some_and(|number| Some(number) != known));
        }
        redactor.forget();
        assert_eq!(number(&one), None);
    }

    #[test]
    fn places_are_those_of_the_tap_the_client_and_the_authority() {
        let redactor = redactor();
        let first = transcript::parse("> GET /orders/7 HTTP/1.1\n> Host: x\n< HTTP/1.1 200 OK\n").unwrap().remove(0);
        let head = first.request.head.clone();
        let again = |change: &dyn Fn(&mut Exchange)| {
            let mut exchange = transcript::parse("> GET / HTTP/1.1\n< HTTP/1.1 200 OK\n").unwrap().remove(0);
            exchange.request.head = head.clone();
            exchange.tap = first.tap.clone();
            change(&mut exchange);
            let view = View::new(&exchange, &redactor);
            let own = Places::of(&view);
            assert_eq!((view.client(), view.host()), (own.client, own.host));
            assert_eq!((view.route(), view.place()), (own.route, own.path));
            (own.client, own.host)
        };
        let same = |_: &mut Exchange| {};
        let usual = [again(&same), again(&same), again(&same)];
        assert!(usual.iter().all(|places| *places == usual[0]));
        assert!(redactor.known_request(&head).is_some());
        let tap = Tap {
            name: "another".to_owned(),
            listen: first.tap.listen.clone(),
            upstream_url: String::new(),
            position: first.tap.position,
        };
        let tap = Arc::new(tap);
        assert_ne!(again(&|exchange| exchange.tap = tap.clone()).1, usual[0].1);
        let addr = Endpoint::Tcp("192.0.2.7:1".parse().unwrap());
        assert_ne!(again(&|exchange| exchange.client.addr = addr.clone()).0, usual[0].0);
        assert_ne!(again(&|exchange| exchange.request.authority = Some("y".to_owned())).1, usual[0].1);
        assert_eq!(again(&same), usual[0]);
    }

    #[test]
    fn what_is_held_has_a_bound() {
        let mut heads = KnownHeads::default();
        for number in 0..3 * MOST {
            let head = head(&format!("/{number:0>4000}"), &[]);
            let shared = head.clone();
            (0..2).for_each(|_| drop(heads.find(&shared)));
            assert!(heads.held.len() <= MOST);
            assert!(heads.held.values().map(|(head, _)| head.memory()).sum::<usize>() <= BYTES);
        }
        assert!(!heads.held.is_empty());
        let held = heads.held.len();
        let alone = head("/alone", &[]);
        assert!((0..3).filter_map(|_| heads.find(&alone)).count() == 2 && heads.held.len() == held);
        let cut = head("/", &[]).incomplete();
        assert!((0..3).all(|_| heads.find(&cut).is_none()));
    }

    #[test]
    fn what_is_read_is_kept_where_it_is_little() {
        let known = KnownHead::new(1);
        let read = |value: &str, count: usize| {
            let challenges: Arc<[_]> = parse_challenges(value.as_bytes()).challenges.into();
            let one = |field| Challenged::new(false, field, challenges.clone(), [].into());
            known.challenged(|| (0..count).map(one).collect()).len()
        };
        assert_eq!(read("Basic", MOST_READ + 1), MOST_READ + 1);
        assert_eq!(read(&format!("Bearer {}", "a=b,".repeat(MOST_PARAMS + 1)), 1), 1);
        assert_eq!([read("Basic", 2), read("Basic", 3)], [2, 2]);
    }
}
