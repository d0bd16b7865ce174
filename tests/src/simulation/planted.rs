//! How many seeds it takes until each planted bug is caught, and by which property.

use super::bug::{Bug, Place};
use super::world::Backend;
use super::{Failure, Plan, run};

/// Seeds that are tried in the model.
pub const MODEL_SEEDS: u64 = 800;
/// Seeds that are tried between devices and the real server.
pub const REAL_SEEDS: u64 = 20;

/// What became of a planted bug.
#[derive(Debug)]
pub struct Hunt {
    /// Which.
    pub bug: Bug,
    /// The story that caught it; nothing where none did.
    pub caught: Option<Box<Failure>>,
}

impl Hunt {
    /// Its line of the table.
    #[must_use]
    pub fn line(&self) -> String {
        let place = match self.bug.place() {
            Place::Model => "model",
            Place::Between => "before the real server",
        };
        match &self.caught {
            Some(failure) => {
                format!("{:<48} {place:<22} {:>5}  {}", self.bug.name(), failure.plan.seed, failure.violation.property)
            }
            None => format!("{:<48} {place:<22}     -  NOT CAUGHT", self.bug.name()),
        }
    }
}

/// The head of the table.
#[must_use]
pub fn heading() -> String {
    format!("{:<48} {:<22} {:>5}  violates", "planted bug", "where", "seeds")
}

/// Plants `bug` and plays seed after seed, from 1 on, until it is caught.
#[must_use]
pub fn hunt(bug: Bug) -> Hunt {
    let (backend, seeds, steps) = match bug.place() {
        Place::Model => (Backend::Model, MODEL_SEEDS, super::MODEL_STEPS),
        Place::Between => (Backend::Real, REAL_SEEDS, super::REAL_STEPS),
    };
    let caught = (1..=seeds).find_map(|seed| run(Plan { seed, steps, backend, bug: Some(bug) }).err());
    Hunt { bug, caught }
}
