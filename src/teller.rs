//! The thread behind the queue: brings together what several taps saw of a request, has it diagnosed, and tells of it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::diagnose::Diagnoser;
use crate::exchange::View;
use crate::exchange::redact::Redactor;
use crate::keys::Keys;
use crate::panics;
use crate::paths::{Paths, Request};
use crate::proxy::Hops;
use crate::queue::{Inlet, Losses, Next};
use crate::rules::RequestDiagnosis;
use crate::sinks::{End, Lost, Sinks};

/// How long the diagnosis leaves a busy queue alone, so that exchanges come in batches and the threads of the data path
/// don't have to wake it for each one.
const NAP: Duration = Duration::from_millis(4);

/// How long what was said may wait to be written while more comes.
const FLUSH: Duration = Duration::from_millis(50);

/// How many requests are read, then judged, and then told of together. Each of these takes much of the program's code, and a
/// processor that does the same again has it at hand.
const TOGETHER: usize = 32;

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
    /// Until when secrets are shown, where they are.
    pub showing: Option<Instant>,
}

impl Teller {
    /// Diagnoses and tells of exchanges until every outlet is gone.
    pub fn run(mut self, inlet: &Inlet) -> End {
        let began = Instant::now();
        let mut paths = (self.taps.len(), Paths::new(self.taps.len()));
        let mut flushed = Instant::now();
        let mut is_busy = false;
        let mut lost = 0;
        let mut ready = Vec::new();
        if self.showing.is_some() {
            self.sinks.show_secrets(true);
        }
        loop {
            self.mask_in_time();
            let mut next = inlet.try_next();
            if matches!(next, Next::Nothing) {
                ready.extend(guarded_paths(&mut paths, |paths| paths.due(Instant::now())));
                self.tell_all(&mut ready);
                if !is_busy || flushed.elapsed() >= FLUSH {
                    panics::guarded(|| self.sinks.idle());
                    flushed = Instant::now();
                }
                if is_busy {
                    thread::sleep(NAP);
                } else {
                    next = inlet.next(if paths.1.is_idle() { LATER } else { SOON });
                    self.mask_in_time();
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
                        paths.1.lost_some(now);
                    }
                    ready.extend(guarded_paths(&mut paths, |paths| paths.add(exchange, now)));
                    ready.extend(guarded_paths(&mut paths, |paths| paths.due(now)));
                    if ready.len() >= TOGETHER {
                        self.tell_all(&mut ready);
                    }
                    // A queue that is never empty must not keep the record of what was diagnosed from the file.
                    if now.saturating_duration_since(flushed) >= FLUSH {
                        panics::guarded(|| self.sinks.idle());
                        flushed = now;
                    }
                }
                Next::Arrival(arrival) => guarded_paths(&mut paths, |paths| paths.arrived(arrival, Instant::now())),
                Next::Nothing => {}
                Next::Closed => {
                    ready.extend(guarded_paths(&mut paths, |paths| paths.rest(Instant::now())));
                    self.tell_all(&mut ready);
                    let distrusted = self.hops.as_ref().map_or(0, |hops| hops.distrusted());
                    let sum = Lost {
                        exchanges: self.losses.dropped(),
                        distrusted_hop_headers: distrusted,
                        faults: panics::caught(),
                    };
                    return self.sinks.finish(began.elapsed(), &sum);
                }
            }
        }
    }

    /// Masks secrets again where they were shown for long enough.
    fn mask_in_time(&mut self) {
        if self.showing.is_some_and(|until| Instant::now() >= until) {
            self.showing = None;
            self.redactor.show_no_more();
            self.sinks.show_secrets(false);
            tracing::warn!("--show-secrets has come to its end: secrets are masked again");
        }
    }

    /// Reads requests, judges them in their order, and tells of them, a few at a time.
    fn tell_all(&mut self, requests: &mut Vec<Request>) {
        let Teller { redactor, diagnoser, sinks, taps, keys, .. } = self;
        for requests in requests.chunks(TOGETHER) {
            let mut read = Vec::with_capacity(requests.len());
            for request in requests {
                read.extend(guarded(request, || (request, views_of(request, redactor))));
            }
            let mut judged = Vec::with_capacity(read.len());
            for (request, views) in read {
                let diagnosis = guarded(request, || judge(request, &views, keys.as_mut(), diagnoser, taps));
                judged.extend(diagnosis.map(|diagnosis| (request, views, diagnosis)));
            }
            for (request, views, diagnosis) in judged {
                let told: Vec<bool> = request.seen.iter().map(|seen| seen.was_told).collect();
                guarded(request, || sinks.request(&views, &told, &diagnosis));
            }
        }
        requests.clear();
    }
}

fn views_of<'a>(request: &'a Request, redactor: &'a Redactor) -> Vec<View<'a>> {
    request.seen.iter().map(|seen| View::new(&seen.exchange, redactor)).collect()
}

fn judge(
    request: &Request,
    views: &[View<'_>],
    keys: Option<&mut Keys>,
    diagnoser: &mut Diagnoser,
    taps: &[String],
) -> RequestDiagnosis {
    if let Some(keys) = keys
        && keys.prepare(views)
    {
        diagnoser.set_given(keys.given().clone());
    }
    let diagnosis = diagnoser.diagnose_request(views, request, taps);
    for rule in &diagnosis.whole.failed {
        let id = views.first().map(|view| view.exchange().id.to_string()).unwrap_or_default();
        tracing::error!("the rule {rule} broke on exchange {id}; the others ran");
    }
    diagnosis
}

/// What `act` gives. A fault on the way of one request must not keep the others from being told.
fn guarded<T>(request: &Request, act: impl FnOnce() -> T) -> Option<T> {
    let result = panics::guarded(act);
    if result.is_none() {
        let id = request.seen.first().map(|seen| seen.exchange.id.to_string()).unwrap_or_default();
        tracing::error!("telling of exchange {id} broke; it may be missing in the record, and the others are told");
    }
    result
}

/// What `act` gives. Where it breaks, the requests that wait to be joined are gone, and those to come are joined as before.
fn guarded_paths<T: Default>((taps, paths): &mut (usize, Paths), act: impl FnOnce(&mut Paths) -> T) -> T {
    panics::guarded(|| act(paths)).unwrap_or_else(|| {
        *paths = Paths::new(*taps);
        tracing::error!("joining what several taps saw broke; requests that were under way are missing in the record");
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::{Exchange, transcript};
    use crate::queue;
    use crate::sinks::Log;
    use crate::sinks::output::Output;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn exchange() -> Box<Exchange> {
        Box::new(transcript::parse("> GET / HTTP/1.1\n< HTTP/1.1 200 OK\n").unwrap().remove(0))
    }

    fn teller(paper: &Paper) -> (Teller, queue::Outlet, Inlet) {
        let (outlet, inlet, losses) = queue::bounded(8, 1 << 20);
        let stdout = Output::start("paper".to_owned(), paper.clone()).unwrap();
        let teller = Teller {
            redactor: Redactor::new(FingerprintKey::from_bytes(b"test"), []),
            diagnoser: Diagnoser::default(),
            sinks: Sinks::new(Log::Json, stdout, None),
            taps: vec!["tap".to_owned()],
            losses,
            hops: None,
            keys: None,
            showing: None,
        };
        (teller, outlet, inlet)
    }

    #[test]
    fn a_fault_in_telling_of_one_exchange_leaves_the_others() {
        let paper = Paper::default();
        let (teller, outlet, inlet) = teller(&paper);
        let request = Paths::new(1).add(exchange(), Instant::now()).remove(0);
        assert!(guarded::<()>(&request, || panic!("a fault of the tests' own")).is_none());
        outlet.put(exchange());
        drop(outlet);
        let end = teller.run(&inlet);
        assert_eq!(paper.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(end.summary.contains("faults in authtap itself"), "{}", end.summary);
        assert!(!end.is_complete);
    }

    #[test]
    fn a_fault_in_joining_leaves_the_requests_to_come() {
        let mut paths = (1, Paths::new(1));
        let lost: Vec<Request> = guarded_paths(&mut paths, |_| panic!("a fault of the tests' own"));
        assert!(lost.is_empty());
        assert_eq!(guarded_paths(&mut paths, |paths| paths.add(exchange(), Instant::now())).len(), 1);
    }
}
