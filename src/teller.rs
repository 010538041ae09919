//! The thread behind the queue: brings together what several taps saw of a request, has it diagnosed, and tells of it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::diagnose::Diagnoser;
use crate::exchange::View;
use crate::exchange::redact::Redactor;
use crate::keys::Keys;
use crate::paths::{Paths, Request};
use crate::proxy::Hops;
use crate::queue::{Inlet, Losses, Next};
use crate::sinks::{End, Lost, Sinks};

/// How long the diagnosis leaves a busy queue alone, so that exchanges come in batches and the threads of the data path
/// don't have to wake it for each one.
const NAP: Duration = Duration::from_millis(4);

/// How long what was said may wait to be written while more comes.
const FLUSH: Duration = Duration::from_millis(50);

/// How long it waits for exchanges while something else may become due, and while nothing can.
const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_secs(1);

/// Diagnoses what comes out of a queue, and tells the sinks.
pub struct Teller {
    /// Makes fingerprints and masks.
    pub redactor: Redactor,
    /// Runs the rules.
    pub diagnoser: Diagnoser,
    /// Where it is told.
    pub sinks: Sinks,
    /// The names of the taps, in the order in which a request passes them.
    pub taps: Vec<String>,
    /// Counts what the queue lost.
    pub losses: Losses,
    /// How the taps tell each other of requests, where they do.
    pub hops: Option<Arc<Hops>>,
    /// What was given of the service, where anything was.
    pub keys: Option<Keys>,
}

impl Teller {
    /// Diagnoses and tells of exchanges until every outlet is gone.
    pub fn run(mut self, inlet: &Inlet) -> End {
        let began = Instant::now();
        let mut paths = Paths::new(self.taps.len());
        let mut flushed = Instant::now();
        let mut is_busy = false;
        let mut lost = 0;
        loop {
            let mut next = inlet.try_next();
            if matches!(next, Next::Nothing) {
                self.tell_all(paths.due(Instant::now()));
                if !is_busy || flushed.elapsed() >= FLUSH {
                    self.sinks.idle();
                    flushed = Instant::now();
                }
                if is_busy {
                    thread::sleep(NAP);
                } else {
                    next = inlet.next(if paths.is_idle() { LATER } else { SOON });
                    if matches!(next, Next::Nothing) {
                        self.redactor.forget();
                    }
                }
                is_busy = false;
            }
            match next {
                Next::Exchange(exchange) => {
                    is_busy = true;
                    let now = Instant::now();
                    if self.losses.all() > lost {
                        lost = self.losses.all();
                        paths.lost_some(now);
                    }
                    self.tell_all(paths.add(exchange, now));
                    self.tell_all(paths.due(now));
                }
                Next::Arrival(arrival) => paths.arrived(arrival, Instant::now()),
                Next::Nothing => {}
                Next::Closed => {
                    self.tell_all(paths.rest(Instant::now()));
                    let distrusted = self.hops.as_ref().map_or(0, |hops| hops.distrusted());
                    let sum = Lost { exchanges: self.losses.dropped(), distrusted_hop_headers: distrusted };
                    return self.sinks.finish(began.elapsed(), &sum);
                }
            }
        }
    }

    fn tell_all(&mut self, requests: Vec<Request>) {
        for request in requests {
            self.tell(&request);
        }
    }

    fn tell(&mut self, request: &Request) {
        let views: Vec<View<'_>> = request.seen.iter().map(|seen| View::new(&seen.exchange, &self.redactor)).collect();
        if let Some(keys) = self.keys.as_mut()
            && keys.prepare(&views)
        {
            self.diagnoser.set_given(keys.given().clone());
        }
        let diagnosis = self.diagnoser.diagnose_request(&views, request, &self.taps);
        for rule in &diagnosis.whole.failed {
            let id = views.first().map(|view| view.exchange().id.to_string()).unwrap_or_default();
            tracing::error!("the rule {rule} broke on exchange {id}; the others ran");
        }
        let told: Vec<bool> = request.seen.iter().map(|seen| seen.was_told).collect();
        self.sinks.request(&views, &told, &diagnosis);
    }
}
