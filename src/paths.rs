//! Brings together what the taps of a path saw of one request, before it is diagnosed.
//!
//! The inner exchanges of a request are mostly over before the outer one. They wait for it here, and it waits a moment
//! for those of which it is known, or likely, that they are still to come. What is told by then is told together. All of
//! it is bounded: where too much waits, the oldest is told as it stands.
//!
//! Nothing here looks at a clock; whoever calls says how late it is.

mod marked;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use crate::exchange::Exchange;
use crate::hops::Join;
use crate::hops::join::{Marks, fit, match_up, overlaps};
use crate::queue::Arrival;
use marked::{Marked, Serial};

/// How long an outer exchange that is over waits for inner ones.
const GRACE: Duration = Duration::from_millis(300);

/// How long an inner exchange that is over waits for its outer one before it is told alone. It is remembered for longer,
/// since a slow client may take its time for the answer.
const HOLD: Duration = Duration::from_secs(1);
const REMEMBER: Duration = Duration::from_secs(60);

/// Bounds of what waits and is remembered.
const MOST: usize = 8192;
const MOST_BYTES: usize = 32 << 20;

/// One request, as the taps that it passed saw it.
pub struct Request {
    /// The exchanges, each behind that of the tap before it.
    pub seen: Vec<Seen>,
}

/// One of a request's exchanges.
pub struct Seen {
    /// The exchange.
    pub exchange: Arc<Exchange>,
    /// Which of the request's exchanges came before it, and how that is known.
    pub parent: Option<(usize, Join)>,
    /// Whether it was told before, alone.
    pub was_told: bool,
    /// How many requests arrived at the next tap that were not over yet.
    pub running: usize,
    /// Whether it can be said what arrived at the next tap: nothing was lost on the way here.
    pub is_certain: bool,
}

impl Request {
    /// A request that one tap saw.
    pub fn alone(exchange: Box<Exchange>) -> Self {
        let seen = Seen { exchange: exchange.into(), parent: None, was_told: false, running: 0, is_certain: true };
        Request { seen: vec![seen] }
    }

    fn memory(&self) -> usize {
        self.seen.iter().map(|seen| seen.exchange.memory()).sum()
    }
}

/// The requests that exchanges belong to, which come in the order of their requests, each outer one before its inner ones.
pub fn requests_of(exchanges: impl IntoIterator<Item = Exchange>) -> Vec<Request> {
    let exchanges: Vec<Exchange> = exchanges.into_iter().collect();
    let mut paths = Paths::new(exchanges.iter().map(|exchange| exchange.tap.position.of).max().unwrap_or(1));
    let now = Instant::now();
    let mut requests = Vec::new();
    for exchange in exchanges {
        if exchange.tap.position.index == 0 {
            requests.extend(paths.rest(now));
        }
        // What is complete is not told before the next request begins, since a gateway may have tried again.
        requests.extend(paths.keep(Box::new(exchange), now));
    }
    requests.extend(paths.rest(now));
    requests
}

/// The names of the taps at which exchanges were seen, in the order of the path.
pub fn taps_of(exchanges: &[Exchange]) -> Vec<String> {
    let mut taps: Vec<(usize, String)> =
        exchanges.iter().map(|exchange| (exchange.tap.position.index, exchange.tap.name.clone())).collect();
    taps.sort_unstable();
    taps.dedup();
    taps.into_iter().map(|(_, name)| name).collect()
}

/// What waits to be told.
pub struct Paths {
    taps: usize,
    open: HashMap<Ulid, Open>,
    /// Inner exchanges that no hop header joins to an outer one, by when they came.
    strays: Marked<Stray>,
    /// The first of them that was not told yet.
    untold: Serial,
    /// Outer exchanges that wait for inner ones.
    outers: Marked<Ulid>,
    /// Paths by when their outer exchange came, and by when their first inner one did.
    graces: VecDeque<(Instant, Ulid)>,
    holds: VecDeque<(Instant, Ulid)>,
    /// All paths by when they were first heard of.
    heard: VecDeque<(Instant, Ulid)>,
    bytes: usize,
    /// Until when an exchange may be missing because the queue was full.
    lossy_until: Option<Instant>,
    /// Outer exchanges that wait for inner ones, by when they began.
    waiting: BTreeSet<(Timestamp, Ulid)>,
    /// What is settled while one that began before waits: the rules learn from one request for the next, in their order.
    settled: BTreeMap<(Timestamp, Ulid), Request>,
    /// The taps to which hop headers have come through the hop before them.
    reached: HashSet<usize>,
}

/// A path of which something is awaited or remembered.
#[derive(Default)]
struct Open {
    exchanges: Vec<(Arc<Exchange>, bool)>,
    arrivals: Vec<Arrival>,
    has_outer: bool,
    /// Its place among the outer exchanges that wait.
    waits: Option<Serial>,
}

struct Stray {
    since: Instant,
    exchange: Arc<Exchange>,
    was_told: bool,
}

impl Paths {
    /// For a process with so many taps.
    pub fn new(taps: usize) -> Self {
        Paths {
            taps,
            open: HashMap::new(),
            strays: Marked::new(),
            untold: 0,
            outers: Marked::new(),
            graces: VecDeque::new(),
            holds: VecDeque::new(),
            heard: VecDeque::new(),
            bytes: 0,
            lossy_until: None,
            waiting: BTreeSet::new(),
            settled: BTreeMap::new(),
            reached: HashSet::new(),
        }
    }

    /// Whether nothing waits to be told.
    pub fn is_idle(&self) -> bool {
        self.graces.is_empty() && self.holds.is_empty() && self.strays.from(self.untold).is_none()
    }

    /// Exchanges were lost: for a while, that one is not here says nothing.
    pub fn lost_some(&mut self, now: Instant) {
        self.lossy_until = Some(now + REMEMBER);
    }

    /// A request arrived at a later tap.
    pub fn arrived(&mut self, arrival: Arrival, now: Instant) {
        self.open(arrival.path, now).arrivals.push(arrival);
    }

    fn open(&mut self, id: Ulid, now: Instant) -> &mut Open {
        // Most paths are told long before they would have to be forgotten.
        if self.heard.len() > 2 * MOST + 2 * self.open.len() {
            let open = &self.open;
            self.heard.retain(|(_, id)| open.contains_key(id));
        }
        self.open.entry(id).or_insert_with(|| {
            self.heard.push_back((now, id));
            Open::default()
        })
    }

    /// Takes an exchange in; gives what can be told now.
    pub fn add(&mut self, exchange: Box<Exchange>, now: Instant) -> Vec<Request> {
        let id = exchange.path.id;
        if let Some(alone) = self.keep(exchange, now) {
            return vec![alone];
        }
        let mut ready = Vec::new();
        if let Some(open) = self.open.get_mut(&id).filter(|open| open.has_outer) {
            if is_complete(open) {
                ready.extend(self.settle(id, now));
            } else if open.waits.is_none()
                && let Some((outer, _)) = open.exchanges.iter().find(|(outer, _)| outer.tap.position.index == 0)
            {
                open.waits = Some(self.outers.push(Marks::of(outer), id));
                self.waiting.insert((outer.time, id));
            }
        }
        self.make_room(now, &mut ready);
        self.in_order(ready)
    }

    /// Keeps back what began behind a request that waits; gives what can be told.
    fn in_order(&mut self, requests: Vec<Request>) -> Vec<Request> {
        let mut ready = Vec::new();
        for request in requests {
            match request.seen.first().map(|first| &first.exchange) {
                Some(first) if first.tap.position.index == 0 && !self.waiting.is_empty() => {
                    self.bytes += request.memory();
                    self.settled.insert((first.time, first.id), request);
                }
                _ => ready.push(request),
            }
        }
        while let Some(entry) = self.settled.first_entry() {
            if self.waiting.first().is_some_and(|waiting| waiting < entry.key()) {
                break;
            }
            let request = entry.remove();
            self.bytes -= request.memory();
            ready.push(request);
        }
        ready
    }

    /// Takes an exchange in; gives it back as a request where no other tap can have seen it.
    fn keep(&mut self, exchange: Box<Exchange>, now: Instant) -> Option<Request> {
        if self.taps < 2 {
            return Some(Request::alone(exchange));
        }
        self.bytes += exchange.memory();
        let exchange: Arc<Exchange> = exchange.into();
        let is_outer = exchange.tap.position.index == 0;
        if !is_outer && exchange.path.parent.is_none() {
            let marks = Marks::of(&exchange);
            self.strays.push(marks, Stray { since: now, exchange, was_told: false });
        } else {
            let id = exchange.path.id;
            if !is_outer {
                self.reached.insert(exchange.tap.position.index);
            }
            let open = self.open(id, now);
            let is_first = open.exchanges.is_empty();
            open.exchanges.push((exchange, false));
            open.has_outer |= is_outer;
            if is_outer {
                self.graces.push_back((now, id));
            } else if is_first {
                self.holds.push_back((now, id));
            }
        }
        None
    }

    /// What has waited for long enough.
    pub fn due(&mut self, now: Instant) -> Vec<Request> {
        let is_due = |since: Instant, patience: Duration| now.saturating_duration_since(since) >= patience;
        let mut ready = Vec::new();
        while let Some((_, id)) = self.graces.pop_front_if(|(since, _)| is_due(*since, GRACE)) {
            ready.extend(self.settle(id, now));
        }
        while let Some((_, id)) = self.holds.pop_front_if(|(since, _)| is_due(*since, HOLD)) {
            ready.extend(self.tell_inner(id, now));
        }
        while let Some((serial, stray)) = self.strays.from(self.untold).filter(|(_, stray)| is_due(stray.since, HOLD)) {
            ready.push(alone(stray.exchange.clone()));
            if let Some(stray) = self.strays.get_mut(serial) {
                stray.was_told = true;
            }
            self.untold = serial + 1;
        }
        while let Some((_, id)) = self.heard.pop_front_if(|(since, _)| is_due(*since, REMEMBER)) {
            self.forget(id);
        }
        while let Some((serial, _)) = self.strays.oldest().filter(|(_, stray)| is_due(stray.since, REMEMBER)) {
            ready.extend(self.drop_stray(serial));
        }
        self.in_order(ready)
    }

    /// All that waits, since nothing more will come.
    pub fn rest(&mut self, now: Instant) -> Vec<Request> {
        let mut ready = Vec::new();
        let outers: Vec<Ulid> = std::mem::take(&mut self.graces).into_iter().map(|(_, id)| id).collect();
        ready.extend(outers.into_iter().filter_map(|id| self.settle(id, now)));
        let inners: Vec<Ulid> = std::mem::take(&mut self.holds).into_iter().map(|(_, id)| id).collect();
        ready.extend(inners.into_iter().filter_map(|id| self.tell_inner(id, now)));
        while let Some((serial, _)) = self.strays.oldest() {
            ready.extend(self.drop_stray(serial));
        }
        self.in_order(ready)
    }

    /// Forgets a stray; gives it where it was not told yet.
    fn drop_stray(&mut self, serial: Serial) -> Option<Request> {
        let stray = self.strays.remove(serial)?;
        self.bytes -= stray.exchange.memory();
        (!stray.was_told).then(|| alone(stray.exchange))
    }

    /// The outer exchange of a path is over, and nothing more is awaited.
    fn settle(&mut self, id: Ulid, now: Instant) -> Option<Request> {
        if !self.open.get(&id)?.has_outer {
            return None;
        }
        let mut open = self.open.remove(&id)?;
        self.end_waiting(&open, id);
        self.bytes -= open.exchanges.iter().map(|(exchange, _)| exchange.memory()).sum::<usize>();
        open.exchanges.sort_by_key(|(exchange, _)| (exchange.tap.position.index, exchange.time));
        let is_lossless = self.lossy_until.is_none_or(|until| now > until);
        let mut seen: Vec<Seen> = Vec::new();
        for (exchange, was_told) in open.exchanges {
            // What an exchange of long ago had behind it may be forgotten.
            let is_certain = is_lossless && exchange.timing.total + GRACE < REMEMBER;
            let parent = exchange.path.parent;
            let at = parent.and_then(|parent| seen.iter().position(|seen| seen.exchange.id == parent));
            let arrived = open.arrivals.iter().filter(|arrival| arrival.parent == exchange.id).count();
            let parent = at.map(|at| (at, Join::HopHeader));
            seen.push(Seen { exchange, parent, was_told, running: arrived, is_certain });
        }
        self.add_strays(&mut seen);
        self.doubt(&mut seen);
        for at in 0..seen.len() {
            let over = seen.iter().filter(|inner| inner.parent.is_some_and(|(parent, _)| parent == at)).count();
            if let Some(seen) = seen.get_mut(at) {
                seen.running = seen.running.saturating_sub(over);
            }
        }
        Some(Request { seen })
    }

    /// Looks among the strays for what belongs to exchanges behind which nothing arrived.
    fn add_strays(&mut self, seen: &mut Vec<Seen>) {
        let mut at = 0;
        while at < seen.len() && self.strays.len() > 0 {
            let is_parent = seen.iter().any(|inner| inner.parent.is_some_and(|(parent, _)| parent == at));
            if let Some(outer) = seen.get(at).filter(|outer| !is_parent && outer.running == 0) {
                let found = self.take_strays(&outer.exchange);
                seen.extend(found.into_iter().map(|(stray, join)| Seen {
                    exchange: stray.exchange,
                    parent: Some((at, join)),
                    was_told: stray.was_told,
                    running: 0,
                    is_certain: false,
                }));
            }
            at += 1;
        }
    }

    /// Where a request arrived at the next tap of which nothing tells whose it is, it may be the one that is missed there.
    fn doubt(&self, seen: &mut [Seen]) {
        for at in 0..seen.len() {
            let is_parent = seen.iter().any(|inner| inner.parent.is_some_and(|(parent, _)| parent == at));
            let Some(outer) = seen.get_mut(at).filter(|_| !is_parent) else { continue };
            let next = outer.exchange.tap.position.index + 1;
            let marks = Marks::of(&outer.exchange);
            // What comes through a hop that passes hop headers on, and has none, comes from somebody else.
            let is_known_to_pass = self.reached.contains(&next);
            let own = outer.exchange.path.id;
            let is_next = |(inner, stray): &&(Marks, Stray)| {
                stray.exchange.tap.position.index == next && !(next == 1 && self.is_of_a_later(own, &marks, inner))
            };
            let may_be_missed = match is_known_to_pass {
                true => {
                    let strays = self.strays.candidates(&marks).into_iter().filter_map(|at| self.strays.get(at));
                    strays.filter(is_next).any(|(stray, _)| fit(&marks, stray, SignedDuration::ZERO).is_some())
                }
                false => {
                    self.strays.latest().filter(is_next).any(|(stray, _)| overlaps(&marks, stray, SignedDuration::ZERO))
                }
            };
            outer.is_certain &= !may_be_missed;
        }
    }

    /// Whether what arrived did so when this outer request was over, while another one ran that has the same credentials: that
    /// of a client that answers the gateway's question at once.
    fn is_of_a_later(&self, own: Ulid, outer: &Marks, inner: &Marks) -> bool {
        let others = || self.outers.candidates(inner).into_iter().filter_map(|at| self.outers.get(at));
        inner.credentials.is_some()
            && inner.credentials != outer.credentials
            && runs_before(outer, inner)
            && others().any(|(other, id)| {
                *id != own
                    && other.credentials == inner.credentials
                    && other.time <= inner.time
                    && !runs_before(other, inner)
                    && fit(other, inner, SignedDuration::ZERO).is_some()
            })
    }

    fn take_strays(&mut self, outer: &Exchange) -> Vec<(Stray, Join)> {
        let next = outer.tap.position.index + 1;
        let marks = Marks::of(outer);
        let zero = SignedDuration::ZERO;
        let fits = |serial: &Serial| {
            let known = self.strays.get(*serial);
            known.is_some_and(|(stray, Stray { exchange, .. })| {
                exchange.tap.position.index == next && fit(&marks, stray, zero).is_some()
            })
        };
        let fitting: Vec<Serial> = self.strays.candidates(&marks).into_iter().filter(fits).collect();
        if fitting.is_empty() {
            return Vec::new();
        }
        // Another request that waits for the same stray makes it unclear whose it is.
        let rivals = self.outers.candidates(&marks).into_iter().filter_map(|at| self.outers.get(at));
        let rivals = rivals.filter(|(_, id)| *id != outer.path.id).map(|(marks, _)| marks);
        let outers: Vec<&Marks> = std::iter::once(&marks).chain(rivals).collect();
        let inners: Vec<&Marks> =
            fitting.iter().filter_map(|at| self.strays.get(*at)).map(|(marks, _)| marks).collect();
        let matched = match_up(&outers, &inners, zero);
        let mut taken = Vec::new();
        for (serial, found) in fitting.into_iter().zip(matched).rev() {
            // Whose else it could be is known for the first hop alone.
            let is_clear = |join: &Join| outer.tap.position.index == 0 || *join > Join::Likeness;
            if let Some((0, join)) = found.filter(|(_, join)| is_clear(join))
                && let Some(stray) = self.strays.remove(serial)
            {
                self.bytes -= stray.exchange.memory();
                taken.push((stray, join));
            }
        }
        taken.reverse();
        taken
    }

    /// Inner exchanges whose outer one goes on for long.
    fn tell_inner(&mut self, id: Ulid, now: Instant) -> Option<Request> {
        let is_certain = self.lossy_until.is_none_or(|until| now > until);
        let open = self.open.get_mut(&id).filter(|open| !open.has_outer)?;
        let mut seen: Vec<Seen> = Vec::new();
        open.exchanges.sort_by_key(|(exchange, _)| (exchange.tap.position.index, exchange.time));
        for (exchange, was_told) in &mut open.exchanges {
            let parent = seen.iter().position(|seen| Some(seen.exchange.id) == exchange.path.parent);
            seen.push(Seen {
                exchange: exchange.clone(),
                parent: parent.map(|at| (at, Join::HopHeader)),
                was_told: std::mem::replace(was_told, true),
                running: 0,
                is_certain,
            });
        }
        Some(Request { seen })
    }

    fn make_room(&mut self, now: Instant, ready: &mut Vec<Request>) {
        while self.bytes > MOST_BYTES || self.open.len() + self.settled.len() > MOST || self.strays.len() > MOST {
            if let Some((_, id)) = self.graces.pop_front() {
                ready.extend(self.settle(id, now));
            } else if let Some((_, id)) = self.holds.pop_front() {
                ready.extend(self.tell_inner(id, now));
                self.forget(id);
                self.lost_some(now);
            } else if let Some((serial, _)) = self.strays.oldest() {
                ready.extend(self.drop_stray(serial));
            } else if let Some((_, id)) = self.heard.pop_front() {
                // What is left was told, and is remembered for an outer exchange that is still running.
                self.forget(id);
                self.lost_some(now);
            } else {
                return;
            }
        }
    }

    fn forget(&mut self, id: Ulid) {
        if let Some(open) = self.open.remove(&id) {
            self.end_waiting(&open, id);
            self.bytes -= open.exchanges.iter().map(|(exchange, _)| exchange.memory()).sum::<usize>();
        }
    }

    fn end_waiting(&mut self, open: &Open, id: Ulid) {
        if let Some(serial) = open.waits {
            self.outers.remove(serial);
            for (outer, _) in open.exchanges.iter().filter(|(outer, _)| outer.tap.position.index == 0) {
                self.waiting.remove(&(outer.time, id));
            }
        }
    }
}

fn alone(exchange: Arc<Exchange>) -> Request {
    Request { seen: vec![Seen { exchange, parent: None, was_told: false, running: 0, is_certain: true }] }
}

/// Whether behind each exchange that was announced something arrived and is over.
/// Whether an outer request was over when an inner one began; both clocks are this process's.
fn runs_before(outer: &Marks, inner: &Marks) -> bool {
    let total = SignedDuration::try_from(outer.total).unwrap_or(SignedDuration::MAX);
    inner.time.duration_since(outer.time) > total
}

fn is_complete(open: &Open) -> bool {
    open.exchanges.iter().all(|(exchange, _)| {
        if exchange.tap.position.is_last() || exchange.response.seen().is_some_and(|response| response.by_tap) {
            return true;
        }
        let over = open.exchanges.iter().filter(|(inner, _)| inner.path.parent == Some(exchange.id)).count();
        let arrived = open.arrivals.iter().filter(|arrival| arrival.parent == exchange.id).count();
        over > 0 && over >= arrived
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::transcript;

    /// What two taps saw of one request; `announced` says whether a hop header joins them. `number` tells it from others.
    fn pair(number: u128, announced: bool) -> [Box<Exchange>; 2] {
        let path = format!("/{number}");
        let unannounced = if announced { "" } else { "* unannounced\n" };
        let text = format!(
            "* tap edge\n> GET {path} HTTP/1.1\n> Host: x\n< HTTP/1.1 200 OK\n* tap app\n{unannounced}\
             > GET {path} HTTP/1.1\n> Host: x\n< HTTP/1.1 200 OK\n"
        );
        let exchanges: Vec<_> = transcript::parse(&text).unwrap().into_iter().map(Box::new).collect();
        let [mut edge, mut app] = exchanges.try_into().unwrap_or_else(|_| panic!("two exchanges"));
        let time = edge.id.timestamp_ms();
        (edge.id, app.id) = (Ulid::from_parts(time, 2 * number), Ulid::from_parts(time, 2 * number + 1));
        edge.path.id = edge.id;
        app.path.id = if announced { edge.id } else { app.id };
        app.path.parent = announced.then_some(edge.id);
        [edge, app]
    }

    fn arrival_of(exchange: &Exchange) -> Arrival {
        Arrival { path: exchange.path.id, parent: exchange.path.parent.unwrap(), tap: 1 }
    }

    /// How many exchanges each request has, and whether it can be said what arrived behind the first.
    fn told(requests: &[Request]) -> Vec<(usize, bool)> {
        requests.iter().map(|request| (request.seen.len(), request.seen[0].is_certain)).collect()
    }

    #[test]
    fn both_are_told_together_as_soon_as_both_are_over() {
        let now = Instant::now();
        let [edge, app] = pair(1, true);
        let mut paths = Paths::new(2);
        paths.arrived(arrival_of(&app), now);
        assert!(paths.add(app, now).is_empty());
        let requests = paths.add(edge, now);
        assert_eq!(told(&requests), [(2, true)]);
        assert_eq!(requests[0].seen[1].parent, Some((0, Join::HopHeader)));
        assert_eq!((paths.bytes, paths.open.len()), (0, 0));
    }

    #[test]
    fn an_inner_one_that_still_runs_is_waited_for_and_then_counted() {
        let now = Instant::now();
        let [edge, app] = pair(1, true);
        let mut paths = Paths::new(2);
        paths.arrived(arrival_of(&app), now);
        assert!(paths.add(edge, now).is_empty());
        assert!(paths.due(now + GRACE / 2).is_empty());
        let requests = paths.due(now + GRACE);
        assert_eq!((requests[0].seen.len(), requests[0].seen[0].running), (1, 1));
        // It is told when it is over, alone.
        assert!(paths.add(app, now + GRACE).is_empty());
        assert_eq!(told(&paths.due(now + GRACE + HOLD)), [(1, true)]);
    }

    #[test]
    fn an_inner_one_is_told_alone_where_the_outer_one_takes_its_time_and_is_not_told_again() {
        let now = Instant::now();
        let [edge, app] = pair(1, true);
        let mut paths = Paths::new(2);
        assert!(paths.add(app, now).is_empty());
        assert_eq!(told(&paths.due(now + HOLD)), [(1, true)]);
        let requests = paths.add(edge, now + HOLD * 2);
        assert_eq!(told(&requests), [(2, true)]);
        assert_eq!(requests[0].seen.iter().map(|seen| seen.was_told).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn what_did_not_arrive_is_certain_only_while_nothing_was_lost_and_nothing_is_unexplained() {
        let now = Instant::now();
        let alone = |prepare: &dyn Fn(&mut Paths)| {
            let [edge, _] = pair(1, true);
            let mut paths = Paths::new(2);
            prepare(&mut paths);
            assert!(paths.add(edge, now).is_empty());
            told(&paths.due(now + GRACE))
        };
        assert_eq!(alone(&|_| {}), [(1, true)]);
        assert_eq!(alone(&|paths| paths.lost_some(now)), [(1, false)]);
        // Somebody else's request at the same time, on a hop that is not known to pass hop headers on.
        let stray = |paths: &mut Paths| {
            let [_, app] = pair(2, false);
            assert!(paths.add(app, now).is_empty());
        };
        assert_eq!(alone(&stray), [(1, false)]);
        assert_eq!(
            alone(&|paths| {
                let [_, known] = pair(3, true);
                assert!(paths.add(known, now).is_empty());
                stray(paths);
            }),
            [(1, true)]
        );
    }

    #[test]
    fn without_hop_headers_what_fits_one_request_alone_belongs_to_it() {
        let now = Instant::now();
        let [edge, app] = pair(1, false);
        let mut paths = Paths::new(2);
        assert!(paths.add(app, now).is_empty());
        assert!(paths.add(edge, now).is_empty());
        let requests = paths.due(now + GRACE);
        assert_eq!(requests[0].seen.len(), 2);
        assert_eq!(requests[0].seen[1].parent, Some((0, Join::Likeness)));
        assert_eq!(paths.bytes, 0);
    }

    #[test]
    fn what_began_first_is_told_first() {
        let now = Instant::now();
        let mut paths = Paths::new(2);
        let ([first, _], [mut edge, app]) = (pair(1, true), pair(2, true));
        edge.time += SignedDuration::from_millis(1);
        // The gateway answers the first one itself, and the second one comes through.
        assert!(paths.add(first, now).is_empty());
        assert!(paths.add(app, now).is_empty());
        assert!(paths.add(edge, now).is_empty());
        assert!(paths.due(now + GRACE / 2).is_empty());
        assert_eq!(told(&paths.due(now + GRACE)), [(1, true), (2, true)]);
        assert_eq!((paths.bytes, paths.waiting.len(), paths.settled.len()), (0, 0, 0));
    }

    #[test]
    fn whatever_comes_the_memory_is_bounded_and_nothing_is_told_twice_or_never() {
        let now = Instant::now();
        let mut paths = Paths::new(2);
        let mut count = 0;
        let count_of = |requests: Vec<Request>| -> usize {
            requests.iter().flat_map(|request| &request.seen).filter(|seen| !seen.was_told).count()
        };
        let total = 3 * MOST;
        for number in 0..total {
            let at = now + Duration::from_micros(number as u64);
            let [edge, app] = pair(number as u128, number % 3 != 0);
            // Of a third only the inner side comes, of a third the outer one, and of a third both without a hop header.
            match number % 3 {
                0 => {
                    count += count_of(paths.add(app, at));
                    count += count_of(paths.add(edge, at));
                }
                1 => count += count_of(paths.add(app, at)),
                _ => count += count_of(paths.add(edge, at)),
            }
            assert!(paths.open.len() <= MOST && paths.strays.len() <= MOST, "{number}");
            assert!(paths.bytes <= MOST_BYTES, "{number}");
            assert!(paths.heard.len() <= 4 * MOST + 1, "{number}");
        }
        count += count_of(paths.due(now + REMEMBER * 3));
        count += count_of(paths.rest(now + REMEMBER * 3));
        assert_eq!(count, total + total / 3);
    }
}
