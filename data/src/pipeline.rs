//! Ordered parallel work: one thread makes groups of jobs, workers do them, one thread puts each
//! group together; groups come out in the order they went in, and a bounded number is under way.
//!
//! ```text
//! produce ──jobs──► workers ──results──► gather ──groups──► next()
//!    ▲                                                        │
//!    └────────────────── one permit per group taken ◄─────────┘
//! ```
//!
//! An error or a panic anywhere comes out of [`Pipeline::next`] at the place of its group.
//! Dropping the pipeline ends all its threads.

use crate::DataError;
use configs::Workers;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Groups of results, in order.
pub(crate) struct Pipeline<T> {
    groups: Option<Receiver<Result<T, DataError>>>,
    permits: Option<Sender<()>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

struct Job<J> {
    group: u64,
    slot: usize,
    slots: usize,
    item: J,
}

enum Message<R> {
    Done {
        group: u64,
        slot: usize,
        slots: usize,
        result: Result<R, DataError>,
    },
    /// No group from this one on.
    End {
        group: u64,
        error: Option<DataError>,
    },
}

/// The producer's side.
pub(crate) struct Emitter<J> {
    jobs: Sender<Job<J>>,
    permits: Receiver<()>,
    stop: Arc<AtomicBool>,
    group: u64,
}

impl<J> Emitter<J> {
    /// Waits until another group may be under way. False: stop producing.
    pub fn wait(&self) -> bool {
        self.permits.recv().is_ok() && !self.stop.load(Ordering::Relaxed)
    }

    /// Sends a group of at least one job, for which [`Emitter::wait`] was called.
    pub fn send(&mut self, items: Vec<J>) {
        let slots = items.len();
        for (slot, item) in items.into_iter().enumerate() {
            // Fails only when the pipeline is being dropped; `wait` will say so.
            let _ = self.jobs.send(Job { group: self.group, slot, slots, item });
        }
        self.group += 1;
    }
}

/// How a pipeline runs.
pub(crate) struct Plan {
    /// Worker threads; `auto` is this process's share of the cores.
    pub workers: Workers,
    /// Processes that share the machine's cores.
    pub share: usize,
    /// Groups under way or waiting to be taken, at least 1.
    pub ahead: usize,
}

impl<T: Send + 'static> Pipeline<T> {
    /// Starts the threads. `produce` emits groups until it is done or told to stop; `work` turns
    /// a job into a result; `gather` turns a group's results, in slot order, into what comes out.
    pub fn start<J, R>(
        plan: Plan,
        produce: impl FnOnce(&mut Emitter<J>) -> Result<(), DataError> + Send + 'static,
        work: impl Fn(J) -> Result<R, DataError> + Send + Sync + 'static,
        gather: impl Fn(Vec<R>) -> T + Send + 'static,
    ) -> Result<Self, DataError>
    where
        J: Send + 'static,
        R: Send + 'static,
    {
        let num_workers = match plan.workers {
            Workers::Auto => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                (cores / plan.share.max(1)).max(1)
            }
            Workers::Count(0) => {
                let expected = "`auto` or at least 1".into();
                return Err(DataError::Config {
                    field: "data.workers",
                    expected,
                    found: "0".into(),
                });
            }
            Workers::Count(count) => count,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (permits, permit_source) = channel();
        for _ in 0..plan.ahead.max(1) {
            let _ = permits.send(());
        }
        let (jobs, job_source) = channel::<Job<J>>();
        let (results, result_source) = channel::<Message<R>>();
        let (groups, group_source) = channel();
        let mut pipeline =
            Self { groups: Some(group_source), permits: Some(permits), stop, threads: vec![] };

        let mut emitter =
            Emitter { jobs, permits: permit_source, stop: pipeline.stop.clone(), group: 0 };
        let ends = results.clone();
        pipeline.spawn("data-read", move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| produce(&mut emitter)));
            let error = match outcome {
                Ok(outcome) => outcome.err(),
                Err(panic) => Some(panicked("reading shards".into(), panic)),
            };
            let _ = ends.send(Message::End { group: emitter.group, error });
        })?;

        let work = Arc::new(work);
        let job_source = Arc::new(Mutex::new(job_source));
        for _ in 0..num_workers {
            let (work, jobs, results, stop) =
                (work.clone(), job_source.clone(), results.clone(), pipeline.stop.clone());
            pipeline.spawn("data-work", move || {
                loop {
                    // The lock is held while waiting: whoever holds it takes the next job.
                    let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { group, slot, slots, item }) = job else { return };
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let result =
                        catch_unwind(AssertUnwindSafe(|| work(item))).unwrap_or_else(|panic| {
                            Err(panicked(format!("sample {slot} of a batch"), panic))
                        });
                    if results.send(Message::Done { group, slot, slots, result }).is_err() {
                        return;
                    }
                }
            })?;
        }
        drop(results);

        pipeline.spawn("data-gather", move || {
            let mut under_way = BTreeMap::new();
            let mut next = 0;
            let mut end = None;
            for message in result_source {
                match message {
                    Message::End { group, error } => end = Some((group, error)),
                    Message::Done { group, slot, slots, result } => {
                        let partial = under_way.entry(group).or_insert_with(|| Partial::new(slots));
                        partial.set(slot, result);
                    }
                }
                while under_way.get(&next).is_some_and(|partial: &Partial<R>| partial.left == 0) {
                    let Some(partial) = under_way.remove(&next) else { return };
                    let group = partial.finish().and_then(|results| {
                        catch_unwind(AssertUnwindSafe(|| gather(results)))
                            .map_err(|panic| panicked("putting a batch together".into(), panic))
                    });
                    let failed = group.is_err();
                    if groups.send(group).is_err() || failed {
                        return;
                    }
                    next += 1;
                }
                if end.as_ref().is_some_and(|(group, _)| *group == next) {
                    if let Some((_, Some(error))) = end {
                        let _ = groups.send(Err(error));
                    }
                    return;
                }
            }
        })?;
        Ok(pipeline)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), DataError> {
        let thread = Builder::new().name(name.into()).spawn(body);
        let thread = thread.map_err(|source| DataError::Io {
            path: format!("(starting thread {name})").into(),
            source,
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The next group, or `None` after the last one and after an error.
    pub fn next(&mut self) -> Option<Result<T, DataError>> {
        let group = self.groups.as_ref()?.recv().ok()?;
        if let Some(permits) = &self.permits {
            // Fails once the producer is done; then no permit is needed.
            let _ = permits.send(());
        }
        Some(group)
    }
}

impl<T> Drop for Pipeline<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.permits = None;
        self.groups = None;
        for thread in self.threads.drain(..) {
            // A panic was already caught and reported inside the thread.
            let _ = thread.join();
        }
    }
}

/// A group of which some results are still missing.
struct Partial<R> {
    results: Vec<Option<R>>,
    left: usize,
    /// The error of the lowest slot.
    error: Option<(usize, DataError)>,
}

impl<R> Partial<R> {
    fn new(slots: usize) -> Self {
        Self { results: (0..slots).map(|_| None).collect(), left: slots, error: None }
    }

    fn set(&mut self, slot: usize, result: Result<R, DataError>) {
        self.left -= 1;
        match result {
            Ok(result) => self.results[slot] = Some(result),
            Err(error) if self.error.as_ref().is_none_or(|(first, _)| slot < *first) => {
                self.error = Some((slot, error));
            }
            Err(_) => {}
        }
    }

    fn finish(self) -> Result<Vec<R>, DataError> {
        match self.error {
            Some((_, error)) => Err(error),
            None => Ok(self.results.into_iter().flatten().collect()),
        }
    }
}

/// The error of a caught panic.
pub(crate) fn panicked(at: String, panic: Box<dyn Any + Send>) -> DataError {
    DataError::Panic { at, message: panic_message(panic.as_ref()) }
}

/// What a caught panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    fn plan(workers: usize, ahead: usize) -> Plan {
        Plan { workers: Workers::Count(workers), share: 1, ahead }
    }

    fn squares(
        workers: usize,
        groups: u64,
        fail: impl Fn(u64) -> Result<u64, DataError> + Send + Sync + 'static,
    ) -> Vec<Result<Vec<u64>, String>> {
        let produce = move |out: &mut Emitter<u64>| {
            for group in 0..groups {
                if !out.wait() {
                    break;
                }
                out.send((0..3).map(|slot| group * 3 + slot).collect());
            }
            Ok(())
        };
        let mut pipeline = Pipeline::start(plan(workers, 2), produce, fail, |r| r).unwrap();
        std::iter::from_fn(|| pipeline.next())
            .map(|group| group.map_err(|error| error.to_string()))
            .collect()
    }

    #[test]
    fn groups_keep_their_order_for_any_number_of_workers() {
        for workers in [1, 2, 5] {
            let out = squares(workers, 20, |x| {
                std::thread::sleep(Duration::from_micros((x * 7919) % 300));
                Ok(x * x)
            });
            let flat: Vec<u64> = out.into_iter().flat_map(|g| g.unwrap()).collect();
            assert_eq!(flat, (0..60).map(|x| x * x).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_comes_out_at_its_place_and_ends_the_groups() {
        let out = squares(3, 10, |x| if x == 10 { panic!("no {x}") } else { Ok(x) });
        assert_eq!(out.len(), 4);
        assert!(out[..3].iter().all(Result::is_ok));
        let message = out[3].clone().unwrap_err();
        assert_eq!(message, "a data thread panicked at sample 1 of a batch: no 10");
    }

    #[test]
    fn a_panic_while_gathering_is_an_error_too() {
        let produce = |out: &mut Emitter<u64>| {
            while out.wait() {
                out.send(vec![1]);
            }
            Ok(())
        };
        let gather = |_: Vec<u64>| -> u64 { panic!("no batch") };
        let mut pipeline = Pipeline::start(plan(1, 1), produce, Ok, gather).unwrap();
        let message = pipeline.next().unwrap().unwrap_err().to_string();
        assert_eq!(message, "a data thread panicked at putting a batch together: no batch");
        assert!(pipeline.next().is_none());
    }

    #[test]
    fn an_error_of_the_producer_comes_after_its_groups() {
        let produce = |out: &mut Emitter<u64>| {
            out.wait();
            out.send(vec![1]);
            Err(DataError::NoPaths)
        };
        let mut pipeline = Pipeline::start(plan(2, 4), produce, Ok, |r| r).unwrap();
        assert_eq!(pipeline.next().unwrap().unwrap(), [1]);
        assert!(matches!(pipeline.next(), Some(Err(DataError::NoPaths))));
        assert!(pipeline.next().is_none());
    }

    #[test]
    fn no_more_groups_than_allowed_are_under_way_and_dropping_ends_the_threads() {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let produce = move |out: &mut Emitter<u64>| {
            while out.wait() {
                count.fetch_add(1, Ordering::SeqCst);
                out.send(vec![0]);
            }
            Ok(())
        };
        let mut pipeline = Pipeline::start(plan(2, 3), produce, Ok, |r| r).unwrap();
        for taken in 1..=5 {
            pipeline.next().unwrap().unwrap();
            std::thread::sleep(Duration::from_millis(5));
            assert!(sent.load(Ordering::SeqCst) <= taken + 3);
        }
        drop(pipeline); // Joins every thread: a thread that did not end would hang the test.
    }

    #[test]
    fn no_workers_is_refused() {
        let produce = |_: &mut Emitter<u64>| Ok(());
        let error = Pipeline::start(plan(0, 1), produce, Ok, |r: Vec<u64>| r).err().unwrap();
        assert_eq!(error.to_string(), "data.workers: expected `auto` or at least 1, found 0");
    }
}
