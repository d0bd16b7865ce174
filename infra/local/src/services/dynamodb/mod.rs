//! DynamoDB: the embedded engine with the template's tables, behind the SDK's wire format.
//!
//! Calls run on the thread that asks: the engine holds one lock and works for a fraction of a millisecond, less than
//! handing the call to another thread and back costs (see docs/decisions/0007-dynamodb-in-process.md).
//!
//! # Limits
//! Where data is a folder the engine stamps stream records by the real clock; ten minutes of `ClientRequestToken` are
//! real minutes everywhere. Stream records are never trimmed.

mod access;
mod capacity;
mod engine;
mod keys;
mod operation;
mod refusal;
mod stream;
mod tables;
mod torn;
mod unprocessed;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use dynoxide::storage::Storage;
use dynoxide::storage_backend::Clock;
use dynoxide::types::ConsumedCapacity;
use dynoxide::{Database, DynoxideError};
use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::access::Signer;
use super::counters::{Count, Counters};
use super::faults::{Fault, Faults};
use super::request::{Request, Response, Service};
use super::{Now, ServicesError};
use crate::template::{Table, Template};

use keys::KeyNames;
use operation::{Answer, Operation};
use torn::Replica;

pub use stream::{Batch, Position, Record};

/// The engine and what stands around it.
pub struct Dynamo {
    db: Database,
    file: Option<PathBuf>,
    clock: Arc<InjectedClock>,
    tables: Vec<Table>,
    names: KeyNames,
    changes: watch::Sender<u64>,
    capacity: capacity::Capacity,
    replica: RwLock<Option<Arc<Replica>>>,
    /// Read by every call, written by what must be alone: a sweep of a file, a reset, the making of a replica.
    gate: RwLock<()>,
}

impl Dynamo {
    pub(super) fn start(template: &Template, data: Option<&Path>, now: Now) -> Result<Self, ServicesError> {
        let clock = Arc::new(InjectedClock(now));
        let file = data.map(|data| data.join("dynamodb.sqlite"));
        let db = match &file {
            Some(file) => engine::on_file(file)?,
            None => engine::in_memory(clock.clone())?,
        };
        let tables = template.tables().to_vec();
        for table in &tables {
            tables::create(&db, table, true)?;
        }
        Ok(Self {
            db,
            file,
            clock,
            names: KeyNames::new(&tables),
            tables,
            changes: watch::Sender::new(0),
            capacity: capacity::Capacity::default(),
            replica: RwLock::default(),
            gate: RwLock::default(),
        })
    }

    /// The engine itself, for what the wire format cannot say.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Changes after every write; what waits for stream records waits on this.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Reads up to `limit` records of the stream of `table` after a position.
    ///
    /// # Errors
    /// There is no such table or stream.
    pub fn poll(&self, table: &str, after: &Position, limit: usize) -> Result<Batch, ServicesError> {
        let arn = self.tables.iter().find(|known| known.name == table).map_or("", |known| &known.stream_arn);
        let bound = self.replica().and_then(|replica| replica.bound(table));
        Ok(stream::poll(&self.db, table, arn, after, limit, bound)?)
    }

    /// The position after the newest record of `table`.
    ///
    /// # Errors
    /// There is no such table or stream.
    pub fn latest(&self, table: &str) -> Result<Position, ServicesError> {
        Ok(stream::latest(&self.db, table)?)
    }

    /// Deletes rows whose time has come by the injected clock, with the stream records DynamoDB would write.
    ///
    /// # Errors
    /// The engine failed.
    pub fn sweep_ttl(&self) -> Result<usize, ServicesError> {
        let swept = match &self.file {
            None => self.db.sweep_ttl()?,
            // An engine on a file knows the real clock alone, so a second connection sweeps with ours.
            Some(file) => {
                let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
                let storage = Storage::new(&file.to_string_lossy())?.with_clock(self.clock.clone());
                let sweep = dynoxide::ttl::sweep_expired_items(&storage);
                sweep.now_or_never().unwrap_or(Ok(0))?
            }
        };
        if swept > 0 {
            // A replica does not follow a sweep; the next call makes a new one, unless a transaction is on its way.
            let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            let mut replica = self.replica.write().unwrap_or_else(PoisonError::into_inner);
            if replica.as_ref().is_some_and(|replica| replica.lock().is_idle()) {
                *replica = None;
            }
            drop(replica);
            self.changed();
        }
        Ok(swept)
    }

    /// Empties all tables. Readers of streams start again at [`Position::TrimHorizon`].
    pub(super) fn reset(&self) -> Result<(), ServicesError> {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        for table in &self.tables {
            tables::recreate(&self.db, table)?;
        }
        self.capacity.clear();
        *self.replica.write().unwrap_or_else(PoisonError::into_inner) = None;
        drop(_alone);
        self.changed();
        Ok(())
    }

    /// Answers a call after the verdict `fault`, of which only a batch done in part is left to do here; `signer` is the
    /// function that calls.
    pub(super) async fn call(
        &self,
        request: &Request,
        signer: Option<&Signer<'_>>,
        faults: &Faults,
        fault: Option<Fault>,
        counters: &Counters,
    ) -> Response {
        let mut operation = match Operation::read(request.operation, &request.body) {
            Ok(operation) => operation,
            Err(error) => return refused(&error),
        };
        let allowed = signer.map(|signer| access::check(&operation, &request.body, &self.names, signer));
        if let Some(Err(refusal)) = allowed {
            return refusal;
        }
        let left = match fault {
            Some(Fault::Throttle { partly: true }) => unprocessed::split(&mut operation, |index, _| index % 2 == 1),
            Some(Fault::Throttle { partly: false }) => None,
            _ => Some(unprocessed::Left::default()),
        };
        let Some(mut left) = left else { return refusal::throttled() };

        let rate = if operation.is_write() { faults.capacity() } else { None };
        if let Some(units) = rate {
            let keys = operation.keys(&self.names);
            let hit = self.capacity.exhausted(units, &keys, Instant::now());
            if hit.contains(&true) {
                match &operation {
                    Operation::TransactWrite(_) => return refusal::transaction_throttled(&hit),
                    Operation::BatchWrite(_) if hit.contains(&false) => {
                        let split = unprocessed::split(&mut operation, |_, key| {
                            let key = key(&self.names);
                            keys.iter().zip(&hit).any(|(other, hit)| *hit && *other == key)
                        });
                        left.merge(split.unwrap_or_default());
                    }
                    _ => return refusal::throttled(),
                }
            }
        }
        let keys = if rate.is_some() { operation.keys(&self.names) } else { Vec::new() };
        let (write, transact) = (operation.is_write(), matches!(operation, Operation::TransactWrite(_)));
        let measure = rate.is_some() || counters.watches_capacity();

        let result = match self.torn(faults) {
            Ok(Some(replica)) => self.call_torn(&replica, operation, &mut left, request, faults, measure).await,
            Ok(None) => {
                let _shared = self.gate.read().unwrap_or_else(PoisonError::into_inner);
                operation.run(&self.db, &request.body, measure).map_err(|error| refused(&error))
            }
            Err(error) => Err(refused(&error)),
        };
        if rate.is_some() {
            // A refused condition costs as much as the write it refused, at least the smallest.
            let units = result.as_ref().map_or(&[][..], |answer| &answer.units);
            self.capacity.charge(&keys, units, if transact { 2.0 } else { 1.0 });
        }
        match result {
            Ok(answer) => {
                if write {
                    self.changed();
                }
                count_units(counters, request.operation, write, &answer.units);
                Response::json(200, left.join(answer.body))
            }
            Err(response) => response,
        }
    }

    async fn call_torn(
        &self,
        replica: &Arc<Replica>,
        mut operation: Operation,
        left: &mut unprocessed::Left,
        request: &Request,
        faults: &Faults,
        measure: bool,
    ) -> Result<Answer, Response> {
        let body = &request.body;
        let run =
            |operation: Operation, db: &Database| operation.run(db, body, measure).map_err(|error| refused(&error));
        match &operation {
            Operation::Get(_) | Operation::BatchGet(_) | Operation::Query(_) | Operation::Scan(_) => {
                return run(operation, replica.database());
            }
            Operation::Other(_) => return run(operation, &self.db),
            _ => {}
        }
        let (task, answer) = {
            let mut state = replica.lock();
            let mut keys = operation.keys(&self.names);
            let held = state.holds(&keys);
            let token = match &operation {
                Operation::TransactWrite(request) => request.client_request_token.clone(),
                _ => None,
            };
            if state.has_token(token.as_ref()) {
                return Err(refusal::in_progress());
            }
            if held.contains(&true) {
                match &operation {
                    Operation::TransactGet(_) | Operation::TransactWrite(_) => {
                        return Err(refusal::transaction_conflict(&held));
                    }
                    Operation::BatchWrite(_) if held.contains(&false) => {
                        let split = unprocessed::split(&mut operation, |_, key| state.holds(&[key(&self.names)])[0]);
                        left.merge(split.unwrap_or_default());
                        keys = operation.keys(&self.names);
                    }
                    _ => return Err(refusal::item_conflict()),
                }
            }
            let coin = match &operation {
                Operation::TransactGet(_) => return run(operation, &self.db),
                Operation::TransactWrite(_) => faults.torn(),
                _ => None,
            };
            let bounds = self.newest(&keys, coin.is_some());
            let answer = run(operation, &self.db)?;
            let Some(coin) = coin else {
                for key in &keys {
                    replica.show(&self.db, key);
                }
                return Ok(answer);
            };
            let number = replica.begin(&mut state, &keys, token.clone(), bounds);
            // A task of its own: a caller that gives up does not stop a transaction that is committed.
            let apply = replica.clone().apply(self.db.clone(), number, keys, token, coin);
            (tokio::spawn(apply), answer)
        };
        if task.await.is_err() {
            return Err(refusal::error(500, "InternalServerError", "the transaction was not applied"));
        }
        Ok(answer)
    }

    /// The newest stream records of the tables of `keys`, before a transaction adds to them.
    fn newest(&self, keys: &[keys::ItemKey], wanted: bool) -> HashMap<String, i64> {
        let tables = keys.iter().filter(|_| wanted).map(|key| &key.table);
        tables.filter_map(|table| Some((table.clone(), stream::newest(&self.db, table).ok()?))).collect()
    }

    /// The replica while a torn rule stands, made when the first call sees the rule.
    fn torn(&self, faults: &Faults) -> Result<Option<Arc<Replica>>, DynoxideError> {
        let tears = faults.tears();
        let replica = self.replica();
        if tears == replica.is_some() {
            return Ok(replica);
        }
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut replica = self.replica.write().unwrap_or_else(PoisonError::into_inner);
        match (tears, replica.is_some()) {
            (true, false) => *replica = Some(Arc::new(Replica::of(&self.db, &self.tables, &self.names)?)),
            (false, true) => *replica = None,
            _ => {}
        }
        Ok(replica.clone())
    }

    fn replica(&self) -> Option<Arc<Replica>> {
        self.replica.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn refused(error: &DynoxideError) -> Response {
    Response::json(error.status_code(), error.to_json())
}

fn count_units(counters: &Counters, operation: &'static str, write: bool, units: &[ConsumedCapacity]) {
    let total: f64 = units.iter().map(|units| units.capacity_units).sum();
    if total > 0.0 {
        counters.count(Service::Dynamodb, operation, |count: &mut Count| {
            if write {
                count.write_units += total;
            } else {
                count.read_units += total;
            }
        });
    }
}

impl std::fmt::Debug for Dynamo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dynamo").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The injected clock in the engine's terms.
struct InjectedClock(Now);

impl Clock for InjectedClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)() / 1000).unwrap_or_default()
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact in a double")]
    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)() as f64 / 1000.0
    }
}
