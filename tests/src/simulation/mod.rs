//! A seeded simulation of devices that sync over a bad network, against the real server and against a model of it.
//!
//! One seed is one story: two to five devices of one person, and a stranger who uses the same entry ids. They edit,
//! delete, push and pull; answers are lost, requests come late, twice or out of order, clocks are wrong, weeks pass, the
//! server throttles, fails, dies between chunks and tears its transactions. After each step and at the end the
//! properties of `design/sync.md` are checked, from what devices were told alone.
//!
//! | module | job |
//! | --- | --- |
//! | `story`, `exchange` | the steps, and what becomes of requests on their way |
//! | `checks`, `orders` | the properties that are looked at from outside |
//! | `repeats`, `restore` | requests again and at once, and a backup that is put back |
//! | `device` | a faithful client: modern, or one of the seed, with clocks or without |
//! | `ledger`, `histories`, `promises` | what was made, acknowledged and told; the properties each answer is judged by |
//! | `world`, `real`, `shadow` | the server: the local stack in this process, alone or beside the model |
//! | `model` | the server as plain code, with room for a planted mistake |
//! | `bug`, `planted` | the mistakes, and how many seeds it takes to catch each |
//!
//! # Limits
//! tokio's clock is paused: pauses and time-outs take no time, and a seed gives the same story wherever it runs, but for
//! requests under way together. The `capacity` fault counts real seconds, so it has tests of its own
//! (`functions/sync/tests/api/trouble.rs`, `layer.rs`). After a restore no history tells of what had lost to a version of
//! the future that is lost: from then on what a stored clock has seen counts as safe.

pub mod bug;
mod checks;
pub mod copy;
pub mod device;
mod exchange;
mod histories;
pub mod ledger;
pub mod model;
pub mod orders;
pub mod planted;
mod promises;
pub mod random;
mod real;
mod repeats;
mod restore;
mod shadow;
mod story;
pub mod wire;
pub mod world;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bug::Bug;
use ledger::{Violation, violation};
use story::Story;
use world::Backend;

/// What a story is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where chance comes from.
    pub seed: u64,
    /// How many steps it has.
    pub steps: usize,
    /// Which server.
    pub backend: Backend,
    /// Which mistake is planted.
    pub bug: Option<Bug>,
}

/// A story in which every property held.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// Requests that were sent.
    pub requests: usize,
}

/// A story in which one did not.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The story.
    pub plan: Plan,
    /// What did not hold.
    pub violation: Violation,
    /// The last steps.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {} ({:?}, {} steps) violates: {}",
            self.plan.seed, self.plan.backend, self.plan.steps, self.violation
        )?;
        for line in &self.trace {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

/// Plays one story.
///
/// # Errors
/// The property that did not hold, with the steps that led there.
pub fn run(plan: Plan) -> Result<Ended, Box<Failure>> {
    let failed = |violation: Violation, trace: Vec<String>| Box::new(Failure { plan, violation, trace });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.map_err(|error| failed(violation("the simulation runs", error.to_string()), Vec::new()))?;
    let trace = story::Trace::default();
    let played = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut story = Story::begin(plan, trace.clone()).await;
            play(&mut story).await.map(|()| Ended { requests: story.requests })
        })
    }));
    let trace = trace.take().into();
    match played {
        Ok(ended) => ended.map_err(|violation| failed(violation, trace)),
        Err(panic) => Err(failed(violation("nothing panics", text_of(panic.as_ref())), trace)),
    }
}

async fn play(story: &mut Story) -> Result<(), Violation> {
    for _ in 0..story.plan.steps {
        story.step().await?;
    }
    story.end().await
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "a panic".to_owned())
}

/// Steps of a story on the real server, and on the model, which is a hundred times as fast.
const REAL_STEPS: usize = 60;
const MODEL_STEPS: usize = 150;

/// The stories of a seed: on the model, and on the real server, every third time with the model beside it.
#[must_use]
pub fn plans(seed: u64) -> [Plan; 2] {
    let real = if seed.is_multiple_of(3) { Backend::Twin } else { Backend::Real };
    [
        Plan { seed, steps: MODEL_STEPS, backend: Backend::Model, bug: None },
        Plan { seed, steps: REAL_STEPS, backend: real, bug: None },
    ]
}

/// What a run of many stories came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Stories in which every property held.
    pub stories: u64,
    /// Requests they sent.
    pub requests: u64,
    /// The first one in which a property did not hold.
    pub failure: Option<Box<Failure>>,
}

/// Plays many stories on as many threads as the machine has cores, until one fails.
#[must_use]
pub fn run_all(plans: &[Plan]) -> Summary {
    let (next, stories, requests) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                    let Some(plan) = plans.get(at) else { return };
                    match run(*plan) {
                        Ok(ended) => {
                            stories.fetch_add(1, Ordering::Relaxed);
                            requests.fetch_add(ended.requests as u64, Ordering::Relaxed);
                        }
                        Err(failed) => {
                            stop.store(true, Ordering::Relaxed);
                            if let Ok(mut failure) = failure.lock() {
                                failure.get_or_insert(failed);
                            }
                        }
                    }
                }
            });
        }
    });
    let failure = failure.into_inner().unwrap_or_default();
    Summary { stories: stories.into_inner(), requests: requests.into_inner(), failure }
}
