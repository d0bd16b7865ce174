//! Counts every call a service received, for benches and for tests that ask what a request cost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::request::Service;

/// What was counted of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count {
    /// Calls received, those that a fault kept from the service included.
    pub calls: u64,
    /// Calls the service answered with an error.
    pub errors: u64,
    /// Calls a fault rule hit.
    pub faults: u64,
    /// Read units, where the call or [`Counters::watch_capacity`] asked for them.
    pub read_units: f64,
    /// Write units, likewise.
    pub write_units: f64,
}

/// Calls by service and operation.
#[derive(Debug, Default)]
pub struct Counters {
    counts: Mutex<BTreeMap<(Service, &'static str), Count>>,
    capacity: AtomicBool,
}

impl Counters {
    /// The counts so far.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<(Service, &'static str), Count> {
        self.lock().clone()
    }

    /// The count of one operation.
    #[must_use]
    pub fn of(&self, service: Service, operation: &str) -> Count {
        let counts = self.lock();
        let found = counts.iter().find(|((at, name), _)| *at == service && *name == operation);
        found.map(|(_, count)| *count).unwrap_or_default()
    }

    /// All counts of one service together.
    #[must_use]
    pub fn total(&self, service: Service) -> Count {
        self.lock().iter().filter(|((at, _), _)| *at == service).fold(Count::default(), |sum, (_, count)| Count {
            calls: sum.calls + count.calls,
            errors: sum.errors + count.errors,
            faults: sum.faults + count.faults,
            read_units: sum.read_units + count.read_units,
            write_units: sum.write_units + count.write_units,
        })
    }

    /// Starts again from nothing.
    pub fn reset(&self) {
        self.lock().clear();
    }

    /// Counts capacity units of every DynamoDB call, also of those that did not ask for them.
    pub fn watch_capacity(&self, watch: bool) {
        self.capacity.store(watch, Ordering::Relaxed);
    }

    pub(crate) fn watches_capacity(&self) -> bool {
        self.capacity.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, service: Service, operation: &'static str, change: impl FnOnce(&mut Count)) {
        change(self.lock().entry((service, operation)).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Service, &'static str), Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
