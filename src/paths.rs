//! Brings together what the taps of a path saw of one request, before it is diagnosed.
//!
//! The inner exchanges of a request are mostly over before the outer one. They wait for it here, and it waits a moment
//! for those of which it is known, or likely, that they are still to come. What is told by then is told together. All of
//! it is bounded: where too much waits, the oldest is told as it stands.
//!
//! One client's requests are told in the order in which they ended, or what is remembered of a client would be of its
//! future: the 401 of a gateway, behind which something might still arrive, waits longer than the 200 that follows it.
//!
//! Nothing here looks at a clock; whoever calls says how late it is.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ulid::Ulid;

use crate::exchange::Exchange;
use crate::hops::Join;
use crate::hops::join::{Marks, fit, match_up};
use crate::queue::Arrival;

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
    strays: VecDeque<Stray>,
    /// Paths by when their outer exchange came, and by when their first inner one did.
    graces: VecDeque<(Instant, Ulid)>,
    holds: VecDeque<(Instant, Ulid)>,
    /// Each client's paths whose outer exchange came and was not told, by when it came.
    turns: HashMap<IpAddr, VecDeque<Ulid>>,
    /// All paths by when they were first heard of.
    heard: VecDeque<(Instant, Ulid)>,
    bytes: usize,
    /// Until when an exchange may be missing because the queue was full.
    lossy_until: Option<Instant>,
}

/// A path of which something is awaited or remembered.
#[derive(Default)]
struct Open {
    exchanges: Vec<(Arc<Exchange>, bool)>,
    arrivals: Vec<Arrival>,
    has_outer: bool,
}

struct Stray {
    since: Instant,
    exchange: Arc<Exchange>,
    marks: Marks,
    was_told: bool,
}

impl Paths {
    /// For a process with so many taps.
    pub fn new(taps: usize) -> Self {
        Paths {
            taps,
            open: HashMap::new(),
            strays: VecDeque::new(),
            graces: VecDeque::new(),
            holds: VecDeque::new(),
            turns: HashMap::new(),
            heard: VecDeque::new(),
            bytes: 0,
            lossy_until: None,
        }
    }

    /// Whether nothing waits to be told.
    pub fn is_idle(&self) -> bool {
        self.graces.is_empty() && self.holds.is_empty() && self.strays.iter().all(|stray| stray.was_told)
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
        let mut ready: Vec<Request> = self.keep(exchange, now).into_iter().collect();
        if let Some(client) = self.open.get(&id).and_then(client_of) {
            self.take_turns(client, now, &mut ready);
        }
        self.make_room(now, &mut ready);
        ready
    }

    /// What is complete of a client's requests, as far as no earlier one of them waits.
    fn take_turns(&mut self, client: IpAddr, now: Instant, ready: &mut Vec<Request>) {
        while let Some(id) = self.turns.get(&client).and_then(|turns| turns.front().copied()) {
            if self.open.get(&id).is_some_and(|open| !is_complete(open)) {
                return;
            }
            match self.settle(id, now) {
                Some(request) => ready.push(request),
                None => self.end_turn(client, id),
            }
        }
    }

    fn end_turn(&mut self, client: IpAddr, id: Ulid) {
        let Some(turns) = self.turns.get_mut(&client) else { return };
        // It is the first one, but where there was no room to wait for it.
        if let Some(at) = turns.iter().position(|waiting| *waiting == id) {
            turns.remove(at);
        }
        if turns.is_empty() {
            self.turns.remove(&client);
        }
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
            self.strays.push_back(Stray { since: now, exchange, marks, was_told: false });
        } else {
            let id = exchange.path.id;
            let client = exchange.client.addr.ip();
            let open = self.open(id, now);
            let is_first = open.exchanges.is_empty();
            open.exchanges.push((exchange, false));
            open.has_outer |= is_outer;
            if is_outer {
                self.turns.entry(client).or_default().push_back(id);
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
            let client = self.open.get(&id).and_then(client_of);
            ready.extend(self.settle(id, now));
            if let Some(client) = client {
                self.take_turns(client, now, &mut ready);
            }
        }
        while let Some((_, id)) = self.holds.pop_front_if(|(since, _)| is_due(*since, HOLD)) {
            ready.extend(self.tell_inner(id, now));
        }
        for stray in &mut self.strays {
            if !stray.was_told && is_due(stray.since, HOLD) {
                stray.was_told = true;
                ready.push(alone(stray.exchange.clone()));
            }
        }
        while let Some((_, id)) = self.heard.pop_front_if(|(since, _)| is_due(*since, REMEMBER)) {
            self.forget(id);
        }
        while let Some(stray) = self.strays.pop_front_if(|stray| stray.was_told && is_due(stray.since, REMEMBER)) {
            self.bytes -= stray.exchange.memory();
        }
        ready
    }

    /// All that waits, since nothing more will come.
    pub fn rest(&mut self, now: Instant) -> Vec<Request> {
        let mut ready = Vec::new();
        let outers: Vec<Ulid> = std::mem::take(&mut self.graces).into_iter().map(|(_, id)| id).collect();
        ready.extend(outers.into_iter().filter_map(|id| self.settle(id, now)));
        let inners: Vec<Ulid> = std::mem::take(&mut self.holds).into_iter().map(|(_, id)| id).collect();
        ready.extend(inners.into_iter().filter_map(|id| self.tell_inner(id, now)));
        ready.extend(self.strays.drain(..).filter(|stray| !stray.was_told).map(|stray| alone(stray.exchange)));
        ready
    }

    /// The outer exchange of a path is over, and nothing more is awaited.
    fn settle(&mut self, id: Ulid, now: Instant) -> Option<Request> {
        if !self.open.get(&id)?.has_outer {
            return None;
        }
        let mut open = self.open.remove(&id)?;
        if let Some(client) = client_of(&open) {
            self.end_turn(client, id);
        }
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
        while at < seen.len() && !self.strays.is_empty() {
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

    fn take_strays(&mut self, outer: &Exchange) -> Vec<(Stray, Join)> {
        let next = outer.tap.position.index + 1;
        let marks = Marks::of(outer);
        let zero = SignedDuration::ZERO;
        let fitting: Vec<usize> = self
            .strays
            .iter()
            .enumerate()
            .filter(|(_, stray)| stray.exchange.tap.position.index == next && fit(&marks, &stray.marks, zero).is_some())
            .map(|(at, _)| at)
            .collect();
        if fitting.is_empty() {
            return Vec::new();
        }
        // Another request that waits for the same stray makes it unclear whose it is.
        let rivals: Vec<Marks> = self
            .open
            .values()
            .flat_map(|open| &open.exchanges)
            .filter(|(rival, _)| rival.tap.position == outer.tap.position)
            .map(|(rival, _)| Marks::of(rival))
            .collect();
        let outers: Vec<&Marks> = std::iter::once(&marks).chain(&rivals).collect();
        let inners: Vec<&Marks> =
            fitting.iter().filter_map(|at| self.strays.get(*at)).map(|stray| &stray.marks).collect();
        let matched = match_up(&outers, &inners, zero);
        let mut taken = Vec::new();
        for (at, found) in fitting.into_iter().zip(matched).rev() {
            if let Some((0, join)) = found
                && let Some(stray) = self.strays.remove(at)
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
        while self.bytes > MOST_BYTES || self.open.len() > MOST || self.strays.len() > MOST {
            if let Some((_, id)) = self.graces.pop_front() {
                ready.extend(self.settle(id, now));
            } else if let Some((_, id)) = self.holds.pop_front() {
                ready.extend(self.tell_inner(id, now));
                self.forget(id);
                self.lost_some(now);
            } else if let Some(stray) = self.strays.pop_front() {
                self.bytes -= stray.exchange.memory();
                if !stray.was_told {
                    ready.push(alone(stray.exchange));
                }
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
            if let Some(client) = client_of(&open) {
                self.end_turn(client, id);
            }
            self.bytes -= open.exchanges.iter().map(|(exchange, _)| exchange.memory()).sum::<usize>();
        }
    }
}

fn alone(exchange: Arc<Exchange>) -> Request {
    Request { seen: vec![Seen { exchange, parent: None, was_told: false, running: 0, is_certain: true }] }
}

/// Whose request it is, where its outer exchange is over.
fn client_of(open: &Open) -> Option<IpAddr> {
    let outer = open.exchanges.iter().find(|(exchange, _)| exchange.tap.position.index == 0);
    outer.map(|(exchange, _)| exchange.client.addr.ip())
}

/// Whether behind each exchange that was announced something arrived and is over.
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
