//! The server of a story: the real one, the model, or the real one with the model beside it.

use std::cell::{Cell, RefCell};

use super::bug::{Bug, Place};
use super::ledger::Violation;
use super::model::ModelServer;
use super::real::Real;
use super::wire::{Answer, Ask};

/// What goes wrong inside the server while a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Throttles, errors and lost answers, together at 10 %.
    Flaky(u64),
    /// Transactions become visible item by item.
    Torn(u64),
    /// The instance dies when it would call DynamoDB for the n-th time by a kind of call.
    Crash(u64),
}

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// The real one.
    Real,
    /// The real one, which the model must agree with.
    Twin,
    /// The model.
    Model,
}

/// When every story begins: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;
/// Bytes of ciphertext a page of the model holds, so that pages end by size too.
const PAGE_BYTES: usize = 4_000;

/// A server, its clock, and what stands between it and the devices.
pub struct World {
    server: Server,
    between: Option<Bug>,
}

enum Server {
    Real(Box<Real>),
    Model { model: RefCell<ModelServer>, now: Cell<i64>, devices: Cell<usize> },
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A fresh server.
    pub async fn start(backend: Backend, seed: u64, bug: Option<Bug>) -> Self {
        let between = bug.filter(|bug| bug.place() == Place::Between);
        let planted = bug.filter(|bug| bug.place() == Place::Model);
        let server = match backend {
            Backend::Model => Server::Model {
                model: RefCell::new(ModelServer::new(planted, PAGE_BYTES)),
                now: Cell::new(BEGINNING),
                devices: Cell::new(0),
            },
            Backend::Real | Backend::Twin => {
                let shadow = (backend == Backend::Twin).then(|| ModelServer::new(None, usize::MAX));
                Server::Real(Box::new(Real::start(seed, shadow).await))
            }
        };
        Self { server, between }
    }

    /// Whether it has an inside that can be in trouble.
    #[must_use]
    pub fn is_real(&self) -> bool {
        matches!(self.server, Server::Real(_))
    }

    /// A new device of `user`.
    pub async fn join(&self, user: &str) -> String {
        match &self.server {
            Server::Real(real) => real.join(user).await,
            Server::Model { devices, .. } => {
                devices.set(devices.get() + 1);
                format!("dev_{user}{}", devices.get())
            }
        }
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> i64 {
        match &self.server {
            Server::Real(real) => real.now(),
            Server::Model { now, .. } => now.get(),
        }
    }

    /// Moves its clock.
    pub async fn advance(&self, seconds: u64) {
        match &self.server {
            Server::Real(real) => real.advance(seconds).await,
            Server::Model { now, .. } => now.set(now.get() + i64::try_from(seconds).unwrap_or(0)),
        }
    }

    /// Deploys it with a higher `StoreEpoch`.
    pub async fn raise_epoch(&self) -> Result<(), Violation> {
        match &self.server {
            Server::Real(real) => real.raise_epoch().await,
            Server::Model { model, .. } => {
                model.borrow_mut().raise_epoch();
                Ok(())
            }
        }
    }

    /// Copies what it holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn back_up(&self) -> Result<(), Violation> {
        match &self.server {
            Server::Real(real) => real.back_up().await,
            Server::Model { model, .. } => {
                model.borrow_mut().back_up();
                Ok(())
            }
        }
    }

    /// Puts the copy back and raises `StoreEpoch`; orders to erase that are under way arrive after that.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn restore(&self) -> Result<(), Violation> {
        match &self.server {
            Server::Real(real) => real.restore().await,
            Server::Model { model, .. } => {
                model.borrow_mut().restore();
                Ok(())
            }
        }
    }

    /// The answers to requests that are under way together.
    ///
    /// # Errors
    /// The model does not agree, or the server failed.
    pub async fn ask(&self, asked: &[(String, String, Ask)], trouble: Trouble) -> Result<Vec<Answer>, Violation> {
        let answers = match &self.server {
            Server::Real(real) => real.ask(asked, trouble).await?,
            Server::Model { model, now, .. } => {
                let crash = match trouble {
                    Trouble::Crash(at) => usize::try_from(at % 2).ok(),
                    _ => None,
                };
                let mut model = model.borrow_mut();
                if asked.len() > 1 {
                    model.together();
                }
                let ask = |(user, device, ask): &(String, String, Ask)| model.ask(user, device, ask, now.get(), crash);
                let answers = asked.iter().map(ask).collect();
                model.apart();
                answers
            }
        };
        let between = |(answer, (_, _, ask)): (Answer, &(String, String, Ask))| match self.between {
            Some(bug) => altered(bug, ask, answer),
            None => answer,
        };
        Ok(answers.into_iter().zip(asked).map(between).collect())
    }
}

/// The answer as the mistaken server would have given it.
fn altered(bug: Bug, ask: &Ask, answer: Answer) -> Answer {
    match (bug, ask, answer) {
        (Bug::HistoryDropped, _, Answer::History(_)) => Answer::History(Vec::new()),
        (Bug::PageCut, _, Answer::Pulled(mut page)) => {
            if page.has_more && page.entries.pop().is_none() {
                page.tombstones.pop();
                page.deleted_ids.pop();
            }
            Answer::Pulled(page)
        }
        (Bug::FullPageEnds, Ask::Pull(pull), Answer::Pulled(mut page)) => {
            if page.items() == pull.limit {
                page.has_more = false;
                page.complete = true;
            }
            Answer::Pulled(page)
        }
        (Bug::DeletionDropped, _, Answer::Pulled(mut page)) => {
            if !page.snapshot {
                page.tombstones.clear();
                page.deleted_ids.clear();
            }
            Answer::Pulled(page)
        }
        (_, _, answer) => answer,
    }
}
